#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several builds at the same time: of two specs, and of the same one."""

import os
import signal
import sys

import case


class Parallel(case.Case):
    def start_and_wait(self, spec):
        """A build that has come to its commands."""
        p = self.start("build", spec, stdout=open(self.path(spec + ".out"), "w"))
        self.wait_for("the build's first line", lambda: "begun" in self.read(spec + ".out"))
        return p

    def test_two_specs(self):
        for n in ("one", "two"):
            self.spec(f"echo begun {n}\nsleep 5\necho {n} > ../result", name=f"{n}.yaml",
                      workspace=f"ws-{n}")
        first, second = self.start("build", "one.yaml"), self.start("build", "two.yaml")
        for p, n in ((first, "one"), (second, "two")):
            r = self.finish(p)
            self.assertEqual(r.exit, 0, r)
            self.assertIn(f"begun {n}", r.out)
            self.assertEqual(self.read(f"ws-{n}/result"), n + "\n")
        self.assertEqual(len(self.builds()), 2)

    def test_the_same_spec_waits(self):
        self.spec("echo begun\nsleep 4\necho x >> ../lines")
        first = self.start_and_wait("spec.yaml")
        second = self.start("build", "spec.yaml")
        r = self.finish(second)
        self.assertEqual(r.exit, 0, r)
        self.assertIn("another build", r.err)
        self.assertEqual(first.wait(), 0)
        self.assertEqual(self.read("ws/lines"), "x\nx\n")

    def test_the_same_spec_is_refused_where_waiting_is_not_wanted(self):
        self.spec("echo begun\nsleep 20")
        self.start_and_wait("spec.yaml")
        r = self.contractor("build", "--lock-wait", "0s", "spec.yaml")
        self.assertEqual(r.exit, 5, r)
        self.assertIn("another build", r.err)

    def test_a_killed_build_leaves_no_lock(self):
        self.spec("echo begun\ntest -e ../second || sleep 600", name="spec.yaml")
        self.write("ws/second.not", "")
        first = self.start_and_wait("spec.yaml")
        first.send_signal(signal.SIGKILL)
        first.wait()
        self.write("ws/second", "")
        self.build("--lock-wait", "30s")
        self.assertFalse([n for n in os.listdir(self.dir) if n.startswith(".contractor")])

    def test_interrupt(self):
        self.write("ws/kept", "from before")
        self.spec("echo begun\nsleep 600")
        p = self.start_and_wait("spec.yaml")
        p.send_signal(signal.SIGINT)
        self.assertNotIn(p.wait(timeout=30), (0, 1))
        self.assertEqual(self.read("ws/kept"), "from before")


if __name__ == "__main__":
    sys.exit(case.main(__name__))
