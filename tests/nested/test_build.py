#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ends of a manager VM; whole builds are in the acceptance document and in test_slow.py."""

import os
import signal
import sys
import time

import manager

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../attack"))
from attack import descendants, processes  # noqa: E402


class Build(manager.Manager):
    def begin(self, *options):
        self.spec("sleep 60")
        return self.start("build", "--isolation", "nested", *options, "spec.yaml")

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

    def test_killed(self):
        """The manager VM dies with the command line, wherever it is."""
        self.make()
        for delay in (0.5, 3, 10):
            p = self.begin()
            time.sleep(delay)
            family = descendants(p.pid)
            p.send_signal(signal.SIGKILL)
            p.wait()
            self.gone(family)

    def test_vm_killed(self):
        p = self.begin()
        self.wait_for("the manager VM", lambda: processes(p.pid, "qemu-system"))
        time.sleep(3)
        family = descendants(p.pid)
        os.kill(processes(p.pid, "qemu-system")[0], signal.SIGKILL)
        r = self.finish(p)
        self.assertEqual(r.exit, 5, r)
        self.assertIn("the manager VM died", r.err)
        self.gone(family)


if __name__ == "__main__":
    sys.exit(manager.main(__name__))
