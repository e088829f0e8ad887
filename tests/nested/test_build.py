#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds with isolation: nested, under double emulation where there is no KVM."""

import os
import resource
import signal
import subprocess
import sys
import time

import manager

HELLO_MAX = 240  # seconds, of two processors that nobody else uses


class Build(manager.Manager):
    def qemus(self):
        """QEMU processes that this test's builds have started."""
        p = subprocess.run(["pgrep", "-u", str(os.getuid()), "-f", "contractor.manager"],
                           capture_output=True, text=True, check=False)
        return [int(n) for n in p.stdout.split()]

    def processor_time(self):
        """Of all that has ended under this test."""
        u = resource.getrusage(resource.RUSAGE_CHILDREN)
        return u.ru_utime + u.ru_stime

    def gone(self):
        self.wait_for("the manager VM's end", lambda: not self.qemus(), timeout=30)

    def test_hello(self):
        self.spec("gcc hello.c -o hello\n./hello\necho kept > ../kept")
        self.write("code/hello.c", '#include <stdio.h>\nint main(void) { puts("hello, world"); }\n')
        self.make()
        start, before = time.monotonic(), self.processor_time()
        r = self.build("--isolation", "nested")
        used = self.processor_time() - before
        print(f"# hello under nested isolation: {time.monotonic() - start:.0f} s,"
              f" {used:.0f} s of processor time")
        # processor time does not grow with what else this machine has to do
        self.assertLess(used / 2, HELLO_MAX)
        self.assertIn("hello, world", r.out)
        self.assertIn("manager VM:", r.err)
        self.assertTrue(os.access(self.path("ws/src/hello"), os.X_OK))
        nested = self.report()
        self.assertEqual(nested["isolation"], "nested")
        self.build("--isolation", "single")
        single = self.report()
        self.assertEqual(set(nested), set(single))
        self.assertEqual(set(nested["limits"]), set(single["limits"]))
        names = [[p["name"] for p in report["phases"]] for report in (nested, single)]
        self.assertEqual(names[0], names[1])
        self.assertEqual(self.read("ws/kept"), "kept\n")
        self.gone()

    def test_build_fails(self):
        self.spec("exit 7")
        self.build("--isolation", "nested", expect=1)
        self.assertEqual(self.report()["build-exit-code"], 7)

    def test_disk_limit(self):
        self.spec("head -c 400M /dev/zero > ../big")
        self.build("--isolation", "nested", "--limit", "disk=200MiB", expect=3)
        self.assertEqual(self.report()["limit"], "disk")

    def test_boot_deadline(self):
        self.spec("true")
        r = self.build("--isolation", "nested", "--boot-deadline", "5s", expect=5)
        self.assertIn("boot deadline", r.err)
        self.gone()

    def test_killed(self):
        """The manager VM dies with the command line, wherever it is."""
        self.spec("sleep 60")
        self.make()
        for delay in (0.5, 3, 10, 30):
            p = self.start("build", "--isolation", "nested", "spec.yaml")
            time.sleep(delay)
            p.send_signal(signal.SIGKILL)
            p.wait()
            self.gone()

    def test_vm_killed(self):
        self.spec("true")
        p = self.start("build", "--isolation", "nested", "spec.yaml")
        self.wait_for("the manager VM", self.qemus)
        time.sleep(3)
        for pid in self.qemus():
            os.kill(pid, signal.SIGKILL)
        r = self.finish(p)
        self.assertEqual(r.exit, 5, r)
        self.assertIn("the manager VM died", r.err)


if __name__ == "__main__":
    sys.exit(manager.main(__name__))
