#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The boot deadline of a worker in a manager VM; other ends are in kill.py."""

import os
import sys

import manager

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../attack"))
from attack import descendants, processes  # noqa: E402


class Build(manager.Manager):
    def begin(self, *options):
        self.spec("sleep 60")
        return self.start(*manager.COLD, *options, "spec.yaml")

    def gone(self, pids):
        self.wait_for("the processes' end",
                      lambda: not [p for p in pids if os.path.exists(f"/proc/{p}")], timeout=30)

    def test_boot_deadline(self):
        p = self.begin("--boot-deadline", "5s")
        self.wait_for("the manager VM", lambda: processes(p.pid, "qemu-system"))
        family = descendants(p.pid)
        r = self.finish(p)
        self.assertEqual(r.exit, 5, r)
        self.assertIn("boot deadline", r.err)
        self.gone(family)


if __name__ == "__main__":
    sys.exit(manager.main(__name__))
