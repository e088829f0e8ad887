#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Layers, memory templates and kept workspaces through kill -9, SIGSTOP and full disks at each step
of making and using them, and restored again and again: each next build is right.

CONTRACTOR_KILLS says how often for each step and process, CONTRACTOR_RESTORES how many restores in
a row (20 and 200 by tests/fault/run.sh); without them a few are picked. The layers need an image
with Ansible. TAP on stdout; arguments are parts of the names of tests.
"""

import json
import os
import random
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../e2e")]
import case  # noqa: E402
import kill  # noqa: E402
import warm  # noqa: E402

TIMES = int(os.environ.get("CONTRACTOR_KILLS", "0"))
RESTORES = int(os.environ.get("CONTRACTOR_RESTORES", "2"))
AT_ONCE = 8 if TIMES else 3
# A step: the phase it begins with, the how many-eth of that name, and for how long it may last.
TEMPLATE_STEPS = {"boot": ("boot", 1, 3.0), "saved": ("ready", 1, 0.1),
                  "restored": ("restore", 1, 0.2), "begun": ("copy-in", 1, 0.2),
                  "built": ("build", 1, 1.0)}
WORKSPACE_STEPS = {"taken": ("start", 1, 0.1), "packed": ("restore", 1, 0.2),
                   "changed": ("build", 1, 0.5), "returned": ("copy-out", 1, 0.05),
                   "laid": ("save", 1, 0.1)}
LAYER_STEPS = {"play": ("prepare", 1, 5.0), "kept": ("keep", 1, 0.3), "used": ("boot", 2, 1.0)}
# With few kills; with many all of them are met.
SHORT = {("template", "kill", "saved", "cli"), ("template", "kill", "restored", "qemu"),
         ("template", "stop", "restored", "keeper"), ("template", "fill", "boot", ""),
         ("layer", "kill", "kept", "cli"), ("workspace", "kill", "taken", "cli"),
         ("workspace", "kill", "laid", "cli")}
CHANGE = "for i in $(seq 100); do echo $i >> many/$i; done; rm many/7; echo x >> ../made\n"
# A cache of its own, without room once the file `now` is there, and with room again for the second
# build.
FILLED = """
resize() { # all options anew: what mount finds of them has the ids of another user namespace
	mount -t tmpfs -o "remount,size=$1" small "$2"
}
mount -t tmpfs -o size=1280m small "$1"
mkdir "$1"/contractor
(until [ -e now ] || [ ! -e spec.yaml ]; do sleep 0.002; done
until resize $(($(df --output=used "$1" | tail -n 1)))k "$1"; do :; done) 2>/dev/null &
if [ "$3" = workspace ]; then
	"$2" build spec.yaml >/dev/null 2>&1
	echo more >> code/data
fi
"$2" build --json spec.yaml >out 2>err && first=0 || first=$?
wait $! || true
resize 1280m "$1"
"$2" build spec.yaml >out2 2>err2 && second=0 || second=$?
"$2" cache verify >verified 2>&1 || true
echo $first $second
"""


def phases(text):
    """The names in the events that have been written."""
    found = []
    for line in text.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue  # half a line
        if event.get("event") == "phase":
            found.append(event["name"])
    return found


def nice(pid):
    try:
        return os.getpriority(os.PRIO_PROCESS, pid)
    except ProcessLookupError:
        return 0


class Cached(warm.Warm):
    """One fault a time; the spec has a template, or a play and a template."""

    def use(self, kind):
        more = {"network": {"prepare-repositories": False}}
        if kind == "layer":
            more["ansible"] = [{"hosts": "worker", "gather_facts": False, "tasks": [
                {"shell": "cat /proc/sys/kernel/random/uuid >/made; sync; test -s /made"}]}]
            self.warm_spec(warm.WHO + "test -s /made\n", **more)
        elif kind == "workspace":
            for i in range(300):
                self.write(f"code/many/{i}", str(i) * 100)
            self.warm_spec(warm.WHO + CHANGE, **more)
            self.right()
        else:
            self.warm_spec(warm.WHO, **more)
        self.kind = kind

    def process(self, pid, who):
        if who == "cli":
            return pid
        if who == "keeper":
            found = [p for p, _ in kill.children(pid)
                     if p != pid and kill.command(p) == kill.command(pid) and nice(p) == 19]
        else:
            word = {"manager": "contractor-manager", "qemu": "qemu-system"}[who]
            found = [p for p, _ in kill.children(pid) if word in kill.command(p)]
        return found[0] if found else None

    def come_to(self, step, p):
        phase, nth, last = step
        end = time.monotonic() + case.TIMEOUT
        while phases(self.read("out")).count(phase) < nth and p.poll() is None:
            self.assertLess(time.monotonic(), end, self.read("err"))
            time.sleep(0.002)
        time.sleep(random.uniform(0, last))

    def right(self):
        """The next build: in a worker of its own, from a cache with nothing damaged in it."""
        before = time.time()
        r = self.build()
        said = warm.words(self.log())
        self.check_worker(said, before, time.time())
        self.assertIn(self.report()["template"]["what"], ("made", "used"), r)
        self.assertIn(" 0 damaged", self.contractor("cache", "verify").out)
        self.assertEqual(said["data"], self.read("code/data").split()[-1])
        self.assertFalse(os.path.exists(self.path("ws/src/many/7")))
        for n in ("8", "100", "299") if os.path.exists(self.path("code/many")) else ():
            more = "" if int(n) > 100 else n + "\n"
            self.assertEqual(self.read("ws/src/many/" + n), n * 100 + more)
        self.assertEqual([n for n in os.listdir(self.dir) if n.startswith(".contractor-")], [])
        for name in os.listdir(self.path("home/.cache/contractor/layers")):
            self.assertNotIn(".new", name)

    def fault(self, how, step, who):
        """Kills, or stops for a while, one of the processes of a build that makes all anew."""
        how_new = () if self.kind == "workspace" else ("--refresh",)
        self.write("code/data", f"data {random.random()}\n")
        with open(self.path("out"), "w") as out, open(self.path("err"), "w") as err:
            p = self.start("build", "--json", *how_new, "spec.yaml", stdout=out, stderr=err)
            self.come_to(step, p)
            victim = self.process(p.pid, who)
            if victim is not None:
                try:
                    os.kill(victim, signal.SIGKILL if how == "kill" else signal.SIGSTOP)
                except ProcessLookupError:
                    victim = None
            if victim is not None and how == "stop":
                time.sleep(random.uniform(0, 3))
                try:
                    os.kill(victim, signal.SIGCONT)
                except ProcessLookupError:
                    pass
            p.wait(timeout=case.TIMEOUT)
        said = self.read("err")
        if victim is None:
            self.assertEqual(p.returncode, 0, said)  # it came too late, or there was none
        elif how == "kill" and who == "cli":
            self.assertIn(p.returncode, (0, -signal.SIGKILL), said)
        elif how == "kill" and who != "keeper":
            self.assertIn(p.returncode, (0, 5), said)
        else:
            self.assertEqual(p.returncode, 0, said)
        self.right()
        return victim is not None

    def fill(self, step):
        """The cache's disk is full from a moment in that step on; whether the build told of it."""
        for name in ("out", "err", "now"):
            if os.path.exists(self.path(name)):
                os.unlink(self.path(name))
        self.write("out", "")
        self.write("err", "")
        cache = self.path("home/.cache")
        os.makedirs(cache, exist_ok=True)
        p = self.start("-rm", "sh", "-ec", FILLED, "sh", cache, case.PROGRAM, self.kind,
                       program="unshare")
        self.come_to(step, p)
        self.write("now", "")
        r = self.finish(p)
        told = f"{r}\n{self.read('err')}\n{self.read('err2')}"
        self.assertRegex(r.out, "^(0|5) 0\n", told)
        self.assertIn(" 0 damaged", self.read("verified"), told)
        if r.out[0] == "5":
            self.assertRegex(self.read("err"), "(?i)space|room|free on this disk", told)
        said = self.read("out")  # events
        return r.out[0] == "5" or "template: none" in said or "not kept" in said

    def often(self, kind, how, step, who):
        steps = {**TEMPLATE_STEPS, **LAYER_STEPS, **WORKSPACE_STEPS}
        self.use(kind)
        met = 0
        for _ in range(TIMES or 1):
            if how == "fill":
                met += self.fill(steps[step])
            else:
                met += self.fault(how, steps[step], who)
        print(f"# {kind}, {how} {who} in {step}: {met} of {TIMES or 1} met it", flush=True)


def add(kind, how, step, who):
    def test(self):
        self.often(kind, how, step, who)

    if TIMES or (kind, how, step, who) in SHORT:
        setattr(Cached, f"test_{kind}_{how}_{who}_{step}".replace("__", "_"), test)


for st in TEMPLATE_STEPS:
    for hw in ("kill", "stop"):
        for w in ("cli", "manager", "qemu") + (("keeper",) if st in ("restored", "begun") else ()):
            add("template", hw, st, w)
    add("template", "fill", st, "")
for st in LAYER_STEPS:
    for hw in ("kill", "stop"):
        for w in ("cli", "manager", "qemu"):
            if st != "kept" or w == "cli":
                add("layer", hw, st, w)
    add("layer", "fill", st, "")


for st in WORKSPACE_STEPS:
    for hw in ("kill", "stop"):
        for w in ("cli", "manager", "qemu"):
            if st not in ("taken", "laid") or w == "cli":
                add("workspace", hw, st, w)
    add("workspace", "fill", st, "")


class Restored(warm.Warm):
    def test_in_a_row(self):
        """Each has its own data, time, names and random numbers."""
        self.warm_spec()
        seen = warm.pieces(self.run_one("made")[0])
        ids = []
        for n in range(RESTORES):
            self.write("code/data", f"data {n}\n")
            said = self.run_one("used")[0]
            self.assertEqual(said["data"], str(n))
            seen += warm.pieces(said)
            ids += said["id"].split()
        self.assertEqual(len(set(seen)), len(seen))
        # the machine's, and that of its boot, which the kernel makes up when it is first asked
        self.assertEqual(len(set(ids)), 2 * RESTORES)

    def test_at_once(self):
        """Builds from one template, in as many workspaces."""
        self.warm_spec()
        seen = warm.pieces(self.run_one("made")[0])
        procs = []
        for n in range(AT_ONCE):
            self.write(f"code{n}/data", f"data {n}\n")
            self.warm_spec(name=f"spec{n}.yaml", source=f"code{n}", workspace=f"ws{n}")
            out = self.path(f"out{n}")
            procs.append(self.start("build", "-v", "--jobs-limit", "99", f"spec{n}.yaml",
                                    stdout=open(out, "w"), stderr=open(out + ".err", "w")))
        for n, p in enumerate(procs):
            p.wait(timeout=case.TIMEOUT)
            told = self.read(f"out{n}.err")
            self.assertEqual(p.returncode, 0, told)
            self.assertIn("the worker starts from", told)
            said = warm.words(self.read(f"out{n}"))
            self.assertEqual(said["data"], str(n))
            seen += warm.pieces(said)
        self.assertEqual(len(set(seen)), len(seen))


if __name__ == "__main__":
    sys.exit(case.main(__name__))
