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
PEEK = "cat /etc/machine-id; date +%s; head -c 16 /dev/urandom | od -An -tx1; cat new ../before"


class Template(manager.Manager):
    def nested(self):
        r = self.finish(self.start("build", "--tcg", "--isolation", "nested", "spec.yaml"))
        self.assertEqual(r.exit, 0, r)
        return r

    def go(self):
        """Milliseconds from the command to the first phase of the worker's own."""
        phases = {p["name"]: p["start-ms"] for p in self.report()["phases"]}
        return phases["copy-in"]

    def small(self, build, **more):
        self.spec(build, template=True, **more,
                  limits={"memory": "256MiB", "time": "60min", "cpu-time": "60min"})

    def test_many_times(self):
        self.small(PEEK)
        found, took = [], []
        for i in range(WARM + 1):
            self.write("code/new", f"source {i}\n")
            self.write("ws/before", f"before {i}\n")
            r = self.nested()
            self.assertEqual(self.report()["template"]["what"], "used" if i else "made", r)
            machine, clock, numbers, source, before = self.log().splitlines()[-5:]
            self.assertEqual((source, before), (f"source {i}", f"before {i}"))
            self.assertLess(abs(int(clock) - time.time()), 120)
            found.append((machine, numbers))
            took.append(self.go() / 1000)
        self.assertEqual(len({m for m, _ in found}), len(found))
        self.assertEqual(len({n for _, n in found}), len(found))
        if WARM:
            print(f"# command to the worker at work: {took[0]:.2f} s when made; then"
                  f" {statistics.median(took[1:]):.2f} s (median; {min(took[1:]):.2f} to"
                  f" {max(took[1:]):.2f})")

    def test_two_at_once(self):
        self.small("echo one > ../mine; sleep 1; cat ../mine", workspace="ws1")
        self.nested()
        self.small("echo two > ../mine; sleep 1; cat ../mine", workspace="ws2", name="other.yaml")
        both = [self.start("build", "--tcg", "--isolation", "nested", n)
                for n in ("spec.yaml", "other.yaml")]
        for p, ws, said in zip(both, ("ws1", "ws2"), ("one", "two")):
            r = self.finish(p)
            self.assertEqual(r.exit, 0, r)
            self.assertIn("the worker starts from", r.err)
            self.assertEqual(self.read(f"{ws}/mine"), said + "\n")

    def test_limits_are_from_the_restore_on(self):
        self.small("sleep 600")
        for what in ("made", "used"):
            r = self.contractor("build", "--tcg", "--isolation", "nested", "--limit",
                                "time=300s", "spec.yaml")
            self.assertEqual(r.exit, 3, r)
            self.assertEqual((self.report()["template"]["what"], self.report()["limit"]),
                             (what, "time"))

    def test_damaged(self):
        """It boots in the same build, and says so."""
        self.small("echo built")
        self.nested()
        cache = os.path.join(self.env["XDG_CACHE_HOME"], "contractor")
        files = [os.path.join(w, f) for w, _, fs in os.walk(cache) for f in fs]
        big = max((f for f in files if not f.endswith(".img")), key=os.path.getsize)
        with open(big, "r+b") as f:
            f.seek(os.path.getsize(big) - 4096)
            f.write(b"\0" * 64)
        r = self.nested()
        self.assertTrue(re.search("template.*removed", r.err), r)


if __name__ == "__main__":
    sys.exit(manager.main(__name__))
