#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A shell in a worker inside the manager VM, by a real terminal: booted, and restored.

In the slow suite: the worker is booted under double emulation.
"""

import os
import sys

import manager

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "daily"))
import shell  # noqa: E402


class Shell(shell.Person, manager.Manager):
    program = manager.case.PROGRAM

    def test_shell(self):
        self.spec("echo not run; exit 9", env={"FLAVOUR": "sweet"}, template=True,
                  limits={"memory": "256MiB", "time": "60min", "cpu-time": "60min"})
        for what, option in (("made", "--refresh"), ("used", "")):
            self.use_shell("--tcg", "--isolation", "nested", option)
            self.assertEqual(self.report()["isolation"], "nested")
            self.assertEqual(self.report()["template"]["what"], what)


if __name__ == "__main__":
    sys.exit(manager.main(__name__))
