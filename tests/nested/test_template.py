#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manager VMs that are restored with the worker waiting in them: made once, right every time.

In the slow suite: a template's worker is booted under double emulation. CONTRACTOR_WARM says how
many builds start from it (50).
"""

import os
import re
import statistics
import sys
import time

import manager

WARM = int(os.environ.get("CONTRACTOR_WARM", "50"))
# By the shell alone: each program that is started costs a second here. The time is that of ../time.
PEEK = ": > ../time\n" + "".join(f"read -r word < {f}; echo $word\n" for f in (
    "/etc/machine-id", "/proc/sys/kernel/random/uuid", "new", "../before"))


class Template(manager.Manager):
    made = False

    def setUp(self):
        super().setUp()
        if not Template.made:
            self.small("true", workspace="other")
            self.nested()
            print(f"# command to the worker at work: {self.go():.2f} s, the template made or found")
            Template.made = True

    def nested(self, *options, expect=0):
        r = self.contractor("build", "--tcg", "--isolation", "nested", *options, "spec.yaml")
        self.assertEqual(r.exit, expect, r)
        return r

    def go(self):
        """Seconds from the command to the first phase of the worker's own."""
        phases = {p["name"]: p["start-ms"] for p in self.report()["phases"]}
        return phases["copy-in"] / 1000

    def small(self, build, **more):
        self.spec(build, template=True, **more, limits={"memory": "256MiB"})

    def test_many_times(self):
        self.small(PEEK)
        found, took = [], []
        for i in range(WARM):
            self.write("code/new", f"source {i}\n")
            self.write("ws/before", f"before {i}\n")
            r = self.nested()
            self.assertEqual(self.report()["template"]["what"], "used", r)
            machine, number, source, before = self.log().splitlines()[-4:]
            self.assertEqual((source, before), (f"source {i}", f"before {i}"))
            self.assertLess(abs(os.stat(self.path("ws/time")).st_mtime - time.time()), 120)
            found.append((machine, number))
            took.append(self.go())
        self.assertEqual(len({m for m, _ in found}), WARM)
        self.assertEqual(len({n for _, n in found}), WARM)
        print(f"# command to the worker at work, {WARM} times: {statistics.median(took):.2f} s"
              f" (median; {min(took):.2f} to {max(took):.2f})")

    def test_two_at_once(self):
        names = ("one", "two")
        for n in names:
            self.small(f"echo {n} > ../mine; sleep 1; cat ../mine", workspace=n, name=f"{n}.yaml")
        both = [self.start("build", "--tcg", "--isolation", "nested", f"{n}.yaml") for n in names]
        for p, n in zip(both, names):
            r = self.finish(p)
            self.assertEqual(r.exit, 0, r)
            self.assertIn("the worker starts from", r.err)
            self.assertEqual(self.read(f"{n}/mine"), n + "\n")

    def test_limits_are_from_the_restore_on(self):
        """And those of the build, not of the one that made the template."""
        self.small("sleep 600")
        self.nested("--limit", "time=15s", expect=3)
        report = self.report()
        self.assertEqual((report["template"]["what"], report["limit"]), ("used", "time"))
        self.assertLess(report["used"], 15000 + 5000)

    def test_damaged(self):
        """It is made anew in the same build, which says so."""
        self.small("echo built")
        self.nested()
        big = os.path.join(self.env["XDG_CACHE_HOME"], "contractor/layers",
                           self.report()["template"]["key"] + ".img")
        with open(big, "r+b") as f:
            f.seek(os.path.getsize(big) - 4096)
            f.write(b"\0" * 64)
        r = self.nested()
        self.assertTrue(re.search("template.*removed", r.err), r)
        self.assertEqual(self.report()["template"]["what"], "made", r)


if __name__ == "__main__":
    sys.exit(manager.main(__name__))
