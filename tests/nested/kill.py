#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9 with isolation: nested, of CLI and manager VM, and inside it of manager and QEMU.

As tests/fault/kill.py: after each kill nothing may be left, and the old workspace is whole. The
phases are those of the build, and `manager-boot` before them. CONTRACTOR_KILLS says how often for
each pair (tests/nested/kill.sh: 20).

On the host a worker makes no difference to what is left, and one that is emulated twice over takes
minutes to boot. So the class Host has evil.c pass through the phases as manager; Nested has the real
manager and worker, restored from a template but for the phase boot. In Inside killed.c kills within
the VM: a few times while the worker boots, often in each phase of restored ones. With
CONTRACTOR_KILLS=1 only what is cheap is done.
"""

import collections
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
STEP_SECONDS = 12
PHASES = ("boot", "ready", "prepare", "copy-in", "build", "shell", "copy-out")  # as ctl.h has them
NESTED = ("build", "--tcg", "--isolation", "nested")
ENDS = {"qemu": "QEMU died in phase", "manager": "the manager VM ended early"}


class Home(kill.Kill, manager.Manager):
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


class Host(Home):
    command = (*manager.COLD, "--nice", str(test_evil.PHASES))
    boot_seconds = 2

    def program(self):
        return stand_in.install("CONTRACTOR_EVIL")


class Nested(Home):
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


class Inside(Home):
    """The manager and QEMU in the manager VM, killed there by killed.c."""

    def program(self):
        return stand_in.install("CONTRACTOR_KILLED")

    def inside(self, who, phase, seconds, **more):
        """The phase in which one was killed so long after another had begun; None: none was."""
        log = 100000 * (2 * PHASES.index(phase) + 2 + (who == "manager")) + int(1000 * seconds)
        self.spec("dd if=/dev/zero of=../big bs=1M count=24",
                  limits={"memory": "256MiB", "log": log}, **more)
        old = kill.tree(self.path("ws"))
        family = set()
        with open(self.path("out"), "w") as out, open(self.path("err"), "w") as err:
            p = self.start("build", "spec.yaml", stdout=out, stderr=err)
            while p.poll() is None:
                family.update(kill.children(p.pid))
                time.sleep(0.5)
        said = self.read("err")
        self.assertEqual(self.left_in_proc(family, set()) + self.left_in_files(), [])
        self.assertNotIn("its stream has not ended", said)  # after a wait of its own
        if p.returncode == 0:
            return None
        self.assertEqual(p.returncode, 5, said)
        self.assertIn(ENDS[who], said)
        self.assertEqual(kill.tree(self.path("ws")), old, "the workspace was changed")
        return self.report()["phases"][-1]["name"]

    def booting(self, who, seconds):
        self.command = manager.COLD
        self.assertEqual(self.inside(who, "boot", seconds), "boot")

    def often(self, who, phase, times):
        self.command = NESTED
        self.assertIsNone(self.inside(who, "shell", 0, template=True))  # there is none
        lasts = {p["name"]: p["ms"] / 1000 for p in self.report()["phases"]}
        met = collections.Counter()
        while met[phase] < times and met.total() < 2 * times:
            seconds = random.uniform(0.1, min(0.8 * lasts[phase], 4))
            met[self.inside(who, phase, seconds, template=True)] += 1
        print(f"# {who} killed {dict(met)}", flush=True)
        self.assertEqual(met[phase], times)


def add(cls, name, times, call):
    setattr(cls, f"test_{name}_{times}_times".replace("-", "_"), call)


for name in [n for n in dir(kill.Kill) if n.startswith("test_")]:
    setattr(Home, name, None)  # those of the single home
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
            lambda self, w=w, step=step: self.booting(w, step * STEP_SECONDS))
    for ph in ("copy-in", "build", "copy-out") if kill.KILLS > 1 else ():
        add(Inside, f"inner_{w}_during_{ph}", kill.KILLS,
            lambda self, w=w, ph=ph: self.often(w, ph, kill.KILLS))

if __name__ == "__main__":
    sys.exit(manager.main(__name__))
