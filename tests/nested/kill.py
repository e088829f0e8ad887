#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9 with isolation: nested, of CLI and manager VM, and inside it of manager and QEMU.

As tests/fault/kill.py: after each kill nothing may be left, and the old workspace is whole. The
phases are those of the build, and `manager-boot` before them. CONTRACTOR_KILLS says how often for
each pair (tests/nested/kill.sh: 20).

On the host a worker makes no difference to what is left, and emulated twice over it takes minutes.
So the class Host has evil.c pass through the phases as manager; Nested has the real manager and
worker, a few times in each phase; in Inside killed.c kills within the VM.
With CONTRACTOR_KILLS=1 only what is cheap is done.
"""

import os
import random
import sys
import time

import manager
import stand_in
import test_evil

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../fault"))
import kill  # noqa: E402

kill.LINE_SECONDS = 1200
STEP_SECONDS = 12  # of killed.c


class Host(kill.Kill, manager.Manager):
    options = ("--nice", str(test_evil.PHASES))
    boot_seconds = 2

    def program(self):
        return stand_in.install("CONTRACTOR_EVIL")

    def start(self, *args, **how):
        how.setdefault("program", self.program())
        options = ["time=60min" if a == "time=5min" else a for a in args[1:]]
        return super().start(*manager.COLD, *self.options, *options, **how)

    def process(self, pid, who):
        found = [p for p, _ in kill.children(pid) if "qemu-system" in kill.command(p)]
        return pid if who == "cli" else found[0] if found else None

    def phase(self):
        try:
            with open(os.path.join(self.builds()[-1], "state"), encoding="utf-8") as f:
                return f.read()
        except (IndexError, OSError):
            return ""

    def come_to(self, phase, p):
        if phase == "manager-boot":
            self.wait_for("QEMU", lambda: self.process(p.pid, "qemu"))
            time.sleep(random.uniform(0, 4))
        elif phase == "boot":
            self.wait_for("the worker's boot",
                          lambda: p.poll() is not None or "boot" in self.phase(), 300)
            time.sleep(random.uniform(0, self.boot_seconds))
        else:
            super().come_to(phase, p)

    def often(self, who, phase, times):
        for _ in range(times):
            self.kill(who, phase)


class Nested(Host):
    options = ()
    boot_seconds = 30

    def program(self):
        return kill.case.PROGRAM

    def test_next_build(self):
        """After so many kills."""
        self.write("ws/quick", "")
        self.build("--lock-wait", "10s")


class Inside(manager.Manager):
    """The manager and QEMU in the manager VM, killed there by killed.c."""

    def inside(self, odd, step):
        self.spec("sleep 600")
        self.write("ws/kept", "from before")
        program = stand_in.install("CONTRACTOR_KILLED")
        with open(self.path("out"), "w") as out, open(self.path("err"), "w") as err:
            p = self.start(*manager.COLD, "--nice", str(2 * step + odd), "spec.yaml",
                           program=program, stdout=out, stderr=err)
            family = set()
            while p.poll() is None:
                family.update(kill.children(p.pid))
                time.sleep(0.5)
        said = self.read("err")
        self.assertEqual(p.returncode, 5, said)
        self.assertRegex(said, "the manager VM ended early" if odd else "QEMU died in phase")
        left = [x for x, start in family if (kill.stat(x) or (0, 0, 0))[2] == start]
        self.assertEqual([kill.command(x) for x in left], [])
        self.assertEqual(os.listdir(self.path("ws")), ["kept"])
        return said


def add(cls, name, times, call):
    setattr(cls, f"test_{name}_{times}_times".replace("-", "_"), call)


for name in [n for n in dir(kill.Kill) if n.startswith("test_")]:
    setattr(Host, name, None)  # those of the single home
for w in ("cli", "qemu"):
    for ph in ("manager-boot", "boot", "build", "copy-out"):
        add(Host, f"{w}_during_{ph}", kill.KILLS,
            lambda self, w=w, ph=ph: self.often(w, ph, kill.KILLS))
        if kill.KILLS > 1 and ph != "manager-boot":
            few = (kill.KILLS + 9) // 10
            add(Nested, f"{w}_during_{ph}", few, lambda self, w=w, ph=ph: self.often(w, ph, few))
for odd, w in enumerate(("qemu", "manager")):
    # at once, and later in the boot, in the build, ...
    for step in range(10 if kill.KILLS > 1 else 1):
        few = (kill.KILLS + 9) // 10
        add(Inside, f"inner_{w}_after_{step * STEP_SECONDS}_s", few,
            lambda self, odd=odd, step=step: [self.inside(odd, step) for _ in range(few)])
if kill.KILLS == 1:
    del Nested  # takes minutes
else:
    for name in [n for n in dir(Host) if n.startswith("test_") and n not in vars(Nested)]:
        setattr(Nested, name, None)

if __name__ == "__main__":
    sys.exit(manager.main(__name__))
