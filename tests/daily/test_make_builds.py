#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""examples/make with real workers: two at once, nothing the second time, and ^C leaves nothing."""

import os
import shutil
import signal
import subprocess
import sys

import case


class Builds(case.Case):
    def setUp(self):
        super().setUp()
        shutil.copytree(os.path.join(case.TOP, "examples/make"), self.path("make"),
                        ignore=shutil.ignore_patterns("*.img*", "ws"))
        self.image("make/worker.img")
        self.env["CONTRACTOR"] = os.path.abspath(case.PROGRAM)
        self.env.pop("MAKEFLAGS", None)

    def make(self, *args):
        p = subprocess.run(["make", "-C", "make", *args], cwd=self.dir, env=self.env, text=True,
                           capture_output=True, timeout=case.TIMEOUT)
        self.assertEqual(p.returncode, 0, p)
        return p

    def test_example(self):
        self.make("-j2")
        out = subprocess.run([self.path("make/greeter/ws/src/greeter"), "you"], text=True,
                             capture_output=True, check=True).stdout
        self.assertEqual(out, "hello, you\n")
        self.assertTrue(os.path.exists(self.path("make/library/ws/src/libsum.a")))
        self.assertEqual(len(self.builds()), 2)
        self.make("-j2")
        self.assertEqual(len(self.builds()), 2, "built again though nothing has changed")

    def processes(self):
        """Command lines of what runs with this test's folder as its home."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/environ", "rb") as f:
                    ours = f"HOME={self.home}".encode() in f.read().split(b"\0")
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    line = f.read()
            except OSError:
                continue
            if ours and line:
                found.append(line)
        return found

    def test_interrupt(self):
        self.write("make/greeter/greeter.yaml", self.read("make/greeter/greeter.yaml").replace(
            "build: ", "build: echo begun; sleep 600; "))
        log = open(self.path("out"), "w", encoding="utf-8")
        p = subprocess.Popen(["make", "-C", "make", "greeter/ws/src/greeter"], cwd=self.dir,
                             env=self.env, stdout=log, stderr=log, process_group=0)
        self.addCleanup(log.close)
        self.addCleanup(lambda: p.poll() is None and os.killpg(p.pid, signal.SIGKILL))
        self.wait_for("the build", lambda: "begun" in self.read("out"))
        os.killpg(p.pid, signal.SIGINT)  # as a terminal's ^C
        p.wait(timeout=60)
        self.assertNotEqual(p.returncode, 0)
        self.wait_for("all processes to end", lambda: not self.processes(), 60)
        self.assertEqual(sorted(os.listdir(self.path("make/greeter"))),
                         ["greeter.c", "greeter.yaml"])
        self.assertEqual(os.listdir(os.path.join(self.home, ".local/state/contractor/jobs")), ["lock"])
        self.assertEqual(self.report()["verdict"], "interrupted")


if __name__ == "__main__":
    sys.exit(case.main(__name__))
