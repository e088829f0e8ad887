#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds that end their shell, their machine, or nothing at all, told apart."""

import sys
import time

import case

SYSRQ = "echo 1 > /proc/sys/kernel/sysrq\necho {} > /proc/sysrq-trigger\nsleep 120"


class Breaks(case.Case):
    def broken(self, build, *options):
        """The machine breaks: exit 5, a reason, the console's last lines, the old workspace."""
        self.write("ws/kept", "from before")
        self.spec(f"echo before the end\nsync\nsleep 1\n{build}")
        r = self.build(*options, expect=5)
        self.assertEqual(self.report()["verdict"], "infrastructure")
        self.assertTrue(self.report()["reason"])
        self.assertEqual(self.read("ws/kept"), "from before")
        return r

    def test_kill_9_of_its_shell_is_a_failed_build(self):
        self.spec("kill -9 $$")
        r = self.build(expect=1)
        self.assertEqual(self.report()["verdict"], "failed")
        self.assertEqual(self.report()["build-exit-code"], 137)
        self.assertIn("SIGKILL", r.err)

    def test_reboot(self):
        r = self.broken("reboot -f\nsleep 120")
        self.assertIn("before the end", self.log())
        self.assertNotIn("exit status", r.err)

    def test_power_off(self):
        self.broken("poweroff -f\nsleep 120")

    def test_panic_shows_the_console(self):
        r = self.broken(SYSRQ.format("c"))
        self.assertIn("anic", r.err)

    def test_kill_of_everything_else_in_the_guest(self):
        """The driver lives on, says how the shell ended, and the workspace comes back."""
        self.spec("echo kept > ../kept\nkill -9 -1\nexit 9")
        self.build(expect=1)
        self.assertEqual(self.report()["build-exit-code"], 9)
        self.assertEqual(self.read("ws/kept"), "kept\n")

    def test_time_limit_ends_a_silent_build(self):
        self.write("ws/kept", "from before")
        self.spec("sleep 600")
        start = time.monotonic()
        r = self.build("--limit", "time=30s", expect=3)
        self.assertLess(time.monotonic() - start, 45)
        self.assertIn("limit of time", r.err)
        report = self.report()
        self.assertEqual((report["verdict"], report["limit"]), ("limit", "time"))
        self.assertEqual(self.read("ws/kept"), "from before")

    def test_boot_deadline(self):
        self.spec("true")
        start = time.monotonic()
        r = self.build("--boot-deadline", "1s", expect=5)
        self.assertLess(time.monotonic() - start, 15)
        self.assertIn("boot", r.err)

    def test_kernel_that_cannot_start_init(self):
        self.image(cmdline=lambda c: c + " rdinit=/nonexistent init=/nonexistent root=/dev/none")
        self.spec("true")
        r = self.build("--boot-deadline", "60s", expect=5)
        self.assertIn("onsole", r.err)


if __name__ == "__main__":
    sys.exit(case.main(__name__))
