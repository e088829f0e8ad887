#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9 with isolation: nested, of CLI and manager VM, and inside it of manager and QEMU.

As tests/fault/kill.py: after each kill nothing may be left, and the old workspace is whole. The
phases are those of the build, and `manager-boot` before them. CONTRACTOR_KILLS says how often for
each pair (tests/nested/kill.sh: 20).

On the host a worker makes no difference to what is left, and one that is emulated twice over takes
minutes to boot. So the class Host has evil.c pass through the phases as manager; Nested has the real
manager and worker, restored from a template but for the phase boot. In Inside killed.c kills within
the VM: a few times while the worker boots, often when both were restored. With CONTRACTOR_KILLS=1
only what is cheap is done.
"""

import collections
import os
import random
import shutil
import sys
import time

import manager
import stand_in
import test_evil

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../fault"))
import kill  # noqa: E402

kill.LINE_SECONDS = 1200
STEP_SECONDS = 12  # of killed.c
RESTORED = 19
NESTED = ("build", "--tcg", "--isolation", "nested")
ENDS = {"qemu": "QEMU died in phase", "manager": "the manager VM ended early"}


class Host(kill.Kill, manager.Manager):
    command = (*manager.COLD, "--nice", str(test_evil.PHASES))
    boot_seconds = 2

    def program(self):
        return stand_in.install("CONTRACTOR_EVIL")

    def start(self, *args, **how):
        how.setdefault("program", self.program())
        options = ["time=60min" if a == "time=5min" else a for a in args[1:]]
        self.before = set(self.builds())
        return super().start(*self.command, *options, **how)

    def process(self, pid, who):
        found = [p for p, _ in kill.children(pid) if "qemu-system" in kill.command(p)]
        return pid if who == "cli" else found[0] if found else None

    def phase(self):
        """What is written of the phases of the build that was started last."""
        new = [b for b in self.builds() if b not in self.before]
        try:
            with open(os.path.join(new[-1], "state"), encoding="utf-8") as f:
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
        elif phase == "restore":
            self.wait_for("the restore", lambda: p.poll() is not None or phase in self.phase(), 60)
            time.sleep(random.uniform(0, 0.5))
        else:
            super().come_to(phase, p)

    def often(self, who, phase, times):
        for _ in range(times):
            self.kill(who, phase)


class Nested(Host):
    command = NESTED
    boot_seconds = 30
    made = False

    def setUp(self):
        super().setUp()
        self.spec("echo begun\ntest -e ../quick || sleep 3\ntest -e ../quick || "
                  "dd if=/dev/zero of=../big bs=1M count=8\necho ended", template=True,
                  limits={"memory": "256MiB"})
        if not Nested.made:
            self.next_build()
            Nested.made = True

    def program(self):
        return kill.case.PROGRAM

    def next_build(self):
        self.write("ws/quick", "")
        r = self.finish(self.start("build", "--lock-wait", "10s", "spec.yaml"))
        self.assertEqual(r.exit, 0, r)
        os.unlink(self.path("ws/quick"))
        return r

    def often(self, who, phase, times):
        # of what boots to become a template QEMU's end is only told, and another worker boots
        self.command = manager.COLD if phase == "boot" else NESTED
        super().often(who, phase, times)
        self.command = NESTED
        r = self.next_build()
        self.assertEqual(self.report()["template"]["what"], "used", r)
        self.assertIn(" 0 damaged", self.contractor("cache", "verify").out)


class Inside(manager.Manager):
    """The manager and QEMU in the manager VM, killed there by killed.c."""

    def inside(self, nice, command, **more):
        """The build's exit status, and what it said."""
        self.spec("sleep 4\ndd if=/dev/zero of=../big bs=1M count=8",
                  limits={"memory": "256MiB"}, **more)
        shutil.rmtree(self.path("ws"), ignore_errors=True)
        self.write("ws/kept", "from before")
        program = stand_in.install("CONTRACTOR_KILLED")
        with open(self.path("out"), "w") as out, open(self.path("err"), "w") as err:
            p = self.start(*command, "--nice", str(nice), "spec.yaml", program=program,
                           stdout=out, stderr=err)
            family = set()
            while p.poll() is None:
                family.update(kill.children(p.pid))
                time.sleep(0.5)
        said = self.read("err")
        left = [x for x, start in family if (kill.stat(x) or (0, 0, 0))[2] == start]
        self.assertEqual([kill.command(x) for x in left], [])
        self.assertIn(p.returncode, (0, 5), said)
        self.assertNotIn("its stream has not ended", said)  # after a wait of its own
        if p.returncode == 5:
            self.assertEqual(os.listdir(self.path("ws")), ["kept"])
        return p.returncode, said

    def booting(self, who, step):
        status, said = self.inside(2 * step + (who == "manager"), manager.COLD)
        self.assertEqual(status, 5, said)
        self.assertIn(ENDS[who], said)

    def restored(self, times):
        met = collections.Counter()
        for _ in range(times):
            status, said = self.inside(RESTORED, NESTED, template=True)
            who = [w for w, text in ENDS.items() if text in said]
            # too late, or so early that a worker was booted
            self.assertTrue(who or status == 0, said)
            met["nobody" if status == 0 else
                f"{who[0]} in {self.report()['phases'][-1]['name']}"] += 1
        print(f"# killed in a restored manager VM: {dict(met)}", flush=True)


def add(cls, name, times, call):
    setattr(cls, f"test_{name}_{times}_times".replace("-", "_"), call)


for name in [n for n in dir(kill.Kill) if n.startswith("test_")]:
    setattr(Host, name, None)  # those of the single home
for w in ("cli", "qemu"):
    for ph in ("manager-boot", "boot", "build", "copy-out"):
        add(Host, f"{w}_during_{ph}", kill.KILLS,
            lambda self, w=w, ph=ph: self.often(w, ph, kill.KILLS))
    for ph in ("boot", "restore", "build", "copy-out"):
        # QEMU killed in a restore boots a worker, in the same build
        if kill.KILLS > 1 and (w, ph) != ("qemu", "restore"):
            add(Nested, f"{w}_during_{ph}", kill.KILLS,
                lambda self, w=w, ph=ph: self.often(w, ph, kill.KILLS))
for w in ENDS:
    for step in range(4 if kill.KILLS > 1 else 1):
        add(Inside, f"inner_{w}_after_{step * STEP_SECONDS}_s", 1,
            lambda self, w=w, step=step: self.booting(w, step))
if kill.KILLS > 1:
    add(Inside, "restored", 6 * kill.KILLS, lambda self: self.restored(6 * kill.KILLS))
if kill.KILLS == 1:
    del Nested  # takes minutes
else:
    for name in [n for n in dir(Host) if n.startswith("test_") and n not in vars(Nested)]:
        setattr(Nested, name, None)

if __name__ == "__main__":
    sys.exit(manager.main(__name__))
