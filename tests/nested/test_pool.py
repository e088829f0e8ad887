#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Managers that wait for builds: each is used once and replaced, and a dead one is in nobody's way.

The manager in the VMs is evil.c, which needs no worker: what is shown here is about the VMs.
"""

import json
import os
import signal
import sys
import time

import manager
import stand_in
from test_evil import MARK

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../attack"))
from attack import descendants, processes  # noqa: E402


class Pool(manager.Manager):
    def setUp(self):
        super().setUp()
        self.program = stand_in.install("CONTRACTOR_EVIL")
        self.env["XDG_RUNTIME_DIR"] = self.path("run")
        os.mkdir(self.path("run"), 0o700)
        self.addCleanup(self.verb, "stop")
        self.spec("true")
        self.specs = 0

    def verb(self, *args, expect=0):
        r = self.finish(self.start("manager", *args, program=self.program))
        self.assertEqual(r.exit, expect, r)
        return r

    def status(self):
        return json.loads(self.verb("status", "--json").out)

    def filled(self, n):
        self.wait_for(f"{n} managers that wait", lambda: self.status()["waiting"] == n, 300)

    def server(self):
        """The process that keeps the managers: the one that has our socket."""
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/environ", "rb") as f:
                    mine = f"XDG_RUNTIME_DIR={self.path('run')}\0".encode() in f.read()
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    if mine and b"\0manager\0start\0" in f.read():
                        return int(pid)
            except OSError:
                pass
        return None

    def begin(self, *options):
        """A build in a folder of its own, so that two do not wait for each other."""
        self.specs += 1
        name = f"spec{self.specs}.yaml"
        self.spec("true", name=name, workspace=f"ws{self.specs}")
        return self.start(*manager.COLD, "--nice", str(MARK), *options, name, program=self.program)

    def marks(self):
        found = []
        for folder in self.builds():
            with open(os.path.join(folder, "log"), encoding="utf-8") as f:
                found.append(f.read().strip())
        return found

    def test_two_builds_at_once(self):
        self.verb("start", "-n", "2", "--tcg")
        self.assertEqual(self.status()["waiting"], 2)
        self.verb("start", "--tcg", expect=5)  # there is one pool
        both = [self.begin(), self.begin()]
        for p in both:
            self.assertIn("one that waited", self.finish(p).err)
        self.assertEqual(self.marks(), ["marked: no"] * 2)
        self.filled(2)
        # those that took their places have never been used
        self.assertIn("one that waited", self.finish(self.begin()).err)
        self.assertEqual(self.marks(), ["marked: no"] * 3)
        with open(os.path.join(self.builds()[-1], "report.json"), encoding="utf-8") as f:
            self.assertTrue(json.load(f)["manager-vm"]["waited"])

    def until_mark(self):
        """From the command to the manager at work, in seconds."""
        start, n = time.monotonic(), len(self.builds())
        p = self.begin()
        self.wait_for("the manager", lambda: len(self.builds()) > n and self.marks()[-1], 300)
        took = time.monotonic() - start
        self.finish(p)
        return took

    def test_saves_time(self):
        cold = self.until_mark()
        self.verb("start", "--tcg")
        warm = self.until_mark()
        print(f"# command to manager at work: {cold:.2f} s, {warm:.2f} s with one that waited,"
              f" {warm / cold:.2f} of it")
        self.assertLess(warm, cold)

    def test_killed_build(self):
        self.verb("start", "--tcg")
        server = self.server()
        p = self.begin()
        self.wait_for("the manager", lambda: self.status()["in-use"] == 1)
        p.send_signal(signal.SIGKILL)
        p.wait()
        self.wait_for("its end", lambda: self.status()["in-use"] == 0, 30)
        self.filled(1)
        self.assertEqual(len(processes(server, "qemu-system")), 1)
        self.assertIn("one that waited", self.finish(self.begin()).err)

    def test_killed_pool(self):
        """Its VMs go with it; its socket is in nobody's way."""
        self.verb("start", "--tcg")
        server = self.server()
        p = self.begin()
        self.wait_for("the manager", lambda: self.status()["in-use"] == 1)
        family = descendants(server)
        os.kill(server, signal.SIGKILL)
        r = self.finish(p)
        self.assertEqual(r.exit, 5, r)
        self.wait_for("the processes' end",
                      lambda: not [x for x in family if os.path.exists(f"/proc/{x}")], 30)
        self.assertTrue(os.path.exists(self.path("run/contractor/managers.sock")))
        self.assertIn("no managers wait", self.verb("status").out)
        r = self.finish(self.begin())
        self.assertNotIn("waited", r.err)
        self.assertEqual(self.marks()[-1], "marked: no")
        self.verb("start", "--tcg")
        self.assertEqual(self.status()["waiting"], 1)

    def test_stop_and_idle(self):
        self.verb("start", "--tcg", "--idle", "20s", "--memory", "256MiB")
        server = self.server()
        r = self.finish(self.begin())
        self.assertIn("no waiting manager is used: the waiting managers have less memory", r.err)
        self.wait_for("the idle end", lambda: not os.path.exists(f"/proc/{server}"), 60)
        self.assertEqual(os.listdir(self.path("run/contractor")), ["managers.lock"])
        self.verb("start", "--tcg")
        server = self.server()
        self.verb("stop")
        self.wait_for("the end", lambda: not os.path.exists(f"/proc/{server}"), 30)
        self.assertEqual(self.status()["waiting"], 0)

    def test_usage(self):
        for options in (["-n", "0"], ["-n", "17"], ["--memory", "1"], ["--idle", "x"], ["x"]):
            self.verb("start", *options, expect=2)


if __name__ == "__main__":
    sys.exit(manager.main(__name__))
