# SPDX-License-Identifier: GPL-3.0-or-later
"""What the attacks share: builds that must be stopped, and a look at the processes of a build."""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))
import case  # noqa: E402

MIB = 1 << 20


def descendants(pid):
    """The process and all below it."""
    parents = {}
    for p in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{p}/stat", "rb") as f:
                parents[int(p)] = int(f.read().rsplit(b")", 1)[1].split()[1])
        except OSError:
            pass
    found, todo = set(), [pid]
    while todo:
        p = todo.pop()
        found.add(p)
        todo += [c for c, parent in parents.items() if parent == p and c not in found]
    return found


def processes(pid, name):
    """Those of the process' descendants whose program begins with that name, not being zombies."""
    found = []
    for p in descendants(pid):
        try:
            with open(f"/proc/{p}/status", encoding="utf-8") as f:
                text = f.read()
        except OSError:
            continue
        if text.startswith("Name:\t" + name[:15]) and "\nState:\tZ" not in text:
            found.append(p)
    return found


def cpu_seconds(pid):
    """User and system time of a process, without its children."""
    with open(f"/proc/{pid}/stat", "rb") as f:
        fields = f.read().rsplit(b")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_peak(p, name):
    """The most that any process of that name below p has had resident, in bytes, until p ends."""
    peak = 0
    while p.poll() is None:
        for pid in processes(p.pid, name):
            try:
                with open(f"/proc/{pid}/status", encoding="utf-8") as f:
                    lines = f.read().split("\n")
            except OSError:
                continue
            for line in lines:
                if line.startswith("VmHWM:"):
                    peak = max(peak, int(line.split()[1]) * 1024)
        time.sleep(0.1)
    return peak


class Attack(case.Case):
    """A test whose workspace holds a file from before, which must come through."""

    def setUp(self):
        super().setUp()
        self.write("ws/kept", "from before")

    def has_said(self, text):
        """Whether the log of the last build, if it has one yet, has that in it."""
        builds = self.builds()
        return bool(builds) and os.path.exists(os.path.join(builds[-1], "log")) and \
            text in self.log()

    def unharmed(self):
        """The old workspace is whole, and nothing lies about beside it."""
        self.assertEqual(self.read("ws/kept"), "from before")
        self.assertEqual([n for n in os.listdir(self.dir) if n.startswith(".contractor")], [])

    def judged(self, limit, r):
        """The result of a build that went over `limit`: exit 3, and the report says all of it."""
        self.assertEqual(r.exit, 3, r)
        report = self.report()
        self.assertEqual((report["verdict"], report["limit"]), ("limit", limit), r)
        self.assertGreaterEqual(report["used"], report["granted"])
        self.assertGreater(report["at-ms"], 0)
        self.assertIn(f"over its limit of {limit}: granted", r.err)
        self.unharmed()
        self.assertEqual(os.listdir(self.path("ws")), ["kept"])
        return report

    def over(self, limit, build, *options, **limits):
        """A build that is stopped over `limit`; its report."""
        self.spec(build, limits={k.replace("_", "-"): v for k, v in limits.items()})
        start = time.monotonic()
        r = self.contractor("build", *options, "spec.yaml")
        self.seconds = time.monotonic() - start
        return self.judged(limit, r)

    def broken(self, r, *words):
        """The result of a build that failed for another reason than its own or a limit."""
        self.assertEqual(r.exit, 5, r)
        for w in words:
            self.assertIn(w, r.err)
        self.unharmed()
        self.assertEqual(os.listdir(self.path("ws")), ["kept"])
