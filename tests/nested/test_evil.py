#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A manager that was taken over, in its manager VM: what it can reach, and what it can say.

evil.c stands in place of contractor-manager; no worker is started, so each takes a few seconds.
"""

import os
import re
import sys
import time

import manager
import stand_in

(PROBE, GARBAGE, TRUNCATED, FLOOD_LOG, FLOOD_WORDS, LIE, LIE_DISK, SILENT, EXIT, PANIC, PORT,
 TERMINAL, MARK, PHASES, BURN) = range(15)


class Meeting(manager.Manager):
    """A build by the evil manager."""

    def setUp(self):
        super().setUp()
        self.program = stand_in.install("CONTRACTOR_EVIL")
        self.write("ws/kept", "from before")

    def meet(self, mode, *options, watch=None, **spec):
        """A build by the evil manager: how it ended."""
        self.spec("true", **spec)
        p = self.start(*manager.COLD, "--nice", str(mode), *options, "spec.yaml",
                       program=self.program)
        if watch:
            watch(p)
        start = time.monotonic()
        r = self.finish(p)
        self.seconds = time.monotonic() - start
        self.assertEqual(self.read("ws/kept"), "from before")
        self.assertEqual(os.listdir(self.path("ws")), ["kept"])
        return r

    def broken(self, r, words):
        self.assertEqual(r.exit, 5, r)
        self.assertRegex(r.err, words)
        self.assertEqual(self.report()["verdict"], "infrastructure")


class Evil(Meeting):
    def test_what_it_reaches(self):
        r = self.meet(PROBE, network={"allow": [{"host": "good.example", "protocol": "http"}]})
        log = self.log()
        found = lambda what: sorted(re.findall(rf"^{what}: (.*)$", log, re.M))  # noqa: E731
        # it booted with one
        self.assertEqual(found("processors"), ["2"], log)
        self.assertEqual(found("disk"), ["image", "input", "output", "scratch"], log)
        self.assertNotEqual(found("write image"), ["written"], log)
        self.assertNotEqual(found("write input"), ["written"], log)
        self.assertEqual(found("write output") + found("write scratch"), ["written"] * 2, log)
        kinds = {line.split()[2] for line in found("mount")}
        self.assertLessEqual(kinds, {"rootfs", "tmpfs", "proc", "sysfs", "devtmpfs"}, log)
        # neither a network device (class 02) nor one for files (virtio-9p, virtio-fs: 0x018000)
        self.assertTrue(found("pci"), log)
        self.assertEqual([c for c in found("pci") if c.startswith("0x02")], [], log)
        self.assertEqual(found("port"), ["contractor.dial", "contractor.manager"], log)
        self.assertEqual(found("interface"), ["lo"], log)
        for address in ("10.0.2.2", "192.168.0.1", "169.254.169.254", "8.8.8.8", "10.98.0.2"):
            self.assertEqual(found("connect " + address), ["Network is unreachable"], log)
        for name in ("evil.example", "127.0.0.1", "169.254.169.254", "45.12.7.1"):
            self.assertEqual(found("dial " + name), ["denied by the rules"], log)
        # it did not say that it had been denied, and it said that it had built
        self.assertEqual(self.report()["denied"][0]["count"], 4, r)
        self.assertIn(r.exit, (4, 5), r)

    def test_garbage(self):
        self.broken(self.meet(GARBAGE), "a frame that the protocol does not have")

    def test_truncated(self):
        self.broken(self.meet(TRUNCATED), "the manager VM ended early|says nothing")

    def test_flood_of_log(self):
        r = self.meet(FLOOD_LOG, "--limit", "log=1MiB")
        self.assertEqual((r.exit, self.report()["limit"]), (3, "log"), r)
        self.assertLessEqual(len(self.log()), 1 << 20)

    def test_lies(self):
        self.broken(self.meet(LIE), "output")

    def test_lies_about_the_disk(self):
        r = self.meet(LIE_DISK, "--limit", "disk=64MiB")
        self.assertEqual((r.exit, self.report()["limit"]), (3, "disk"), r)

    def test_ends(self):
        r = self.meet(EXIT)
        self.broken(r, "the manager VM ended early")
        self.assertIn("contractor-manager ended: exit status 7", r.err)

    def test_panic(self):
        r = self.meet(PANIC)
        self.broken(r, "the manager VM (has crashed|ended early)")
        self.assertIn("Kernel panic - not syncing: sysrq triggered crash", r.err)

    def test_port(self):
        self.broken(self.meet(PORT, network={"allow": [{"host": "good.example",
                                                        "protocol": "http"}]}),
                    "does not keep to the protocol of its network port")

    def test_hostile_text(self):
        r = self.meet(TERMINAL)
        self.assertEqual(r.exit, 5, r)
        self.assertNotIn("\x1b", r.err + r.out)
        self.assertNotIn("\x07", r.err + r.out)


if __name__ == "__main__":
    sys.exit(manager.main(__name__))
