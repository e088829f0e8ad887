#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What takes minutes each with isolation: nested: whole builds, long silences.

In the slow suite (tests/run-slow.sh): each starts a worker that is emulated twice over.
"""

import os
import re
import resource
import sys
import time

import manager
import test_evil

HELLO_MAX = 240  # seconds, of two processors that nobody else uses


class Builds(manager.Manager):
    def processor_time(self):
        """Of all that has ended under this test."""
        u = resource.getrusage(resource.RUSAGE_CHILDREN)
        return u.ru_utime + u.ru_stime

    def test_hello(self):
        self.spec("gcc hello.c -o hello\n./hello\necho kept > ../kept")
        self.write("code/hello.c", '#include <stdio.h>\nint main(void) { puts("hello, world"); }\n')
        self.make()
        start, before = time.monotonic(), self.processor_time()
        r = self.build("--tcg", "--isolation", "nested")
        used = self.processor_time() - before
        print(f"# hello under nested isolation: {time.monotonic() - start:.0f} s,"
              f" {used:.0f} s of processor time")
        # processor time does not grow with what else this machine has to do
        self.assertLess(used / 2, HELLO_MAX)
        self.assertIn("hello, world", r.out)
        self.assertIn("manager VM:", r.err)
        self.assertTrue(os.access(self.path("ws/src/hello"), os.X_OK))
        self.assertEqual(self.read("ws/kept"), "kept\n")

    def test_build_fails(self):
        self.spec("exit 7")
        self.build("--tcg", "--isolation", "nested", expect=1)
        self.assertEqual(self.report()["build-exit-code"], 7)


class Evil(test_evil.Meeting):
    def test_flood_of_words(self):
        """To its deadline, and without a growing command line."""
        peak = []

        def watch(p):
            while p.poll() is None:
                with open(f"/proc/{p.pid}/status", encoding="utf-8") as f:
                    size = re.search(r"VmRSS:\s+(\d+)", f.read())
                peak.append(int(size.group(1)) if size else 0)
                time.sleep(0.5)

        self.broken(self.meet(test_evil.FLOOD_WORDS, "--limit", "time=1s", watch=watch),
                    "did not end the build within its time")
        self.assertLess(max(peak), 100000)

    def test_burn(self):
        """The host has its own wall around what the manager says of processor time."""
        start = resource.getrusage(resource.RUSAGE_CHILDREN)
        r = self.meet(test_evil.BURN, "--limit", "cpu-time=1s", "--limit", "time=60min")
        end = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.broken(r, "the manager VM died")
        self.assertLess(end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime, 170)

    def test_silent(self):
        self.broken(self.meet(test_evil.SILENT), "the manager has said nothing for 2 min")


if __name__ == "__main__":
    sys.exit(manager.main(__name__))
