#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""contractor doctor on this machine: both forms, and a machine on which something is missing."""

import json
import os
import sys

import manager


class Doctor(manager.Manager):
    def doctor(self, *options, expect=0):
        r = self.contractor("doctor", *options)
        self.assertEqual(r.exit, expect, r)
        return r

    def checks(self, expect=0):
        j = json.loads(self.doctor("--json", expect=expect).out)
        return j, {c["name"]: c for c in j["checks"]}

    def test_both_forms(self):
        j, checks = self.checks()
        self.assertTrue(j["can-build"])
        text = self.doctor().out
        for c in checks.values():
            self.assertIn(c["name"], text)
        for name in ("kvm", "nested", "qemu", "namespaces", "tun", "subuid", "cgroup", "disk",
                     "memory", "mmdebstrap", "mke2fs"):
            self.assertIn(name, checks)
        self.assertIn("QEMU emulator version", checks["qemu"]["text"])
        self.assertIn("isolation: auto takes " + j["isolation"]["auto"], text)

    def test_forced_emulation_takes_single(self):
        self.env["CONTRACTOR_ACCEL"] = "tcg"
        j, checks = self.checks()
        self.assertEqual(j["isolation"]["auto"], "single")
        self.assertIn("CONTRACTOR_ACCEL", j["isolation"]["why"])
        self.assertEqual(checks["kvm"]["state"], "note")

    def test_no_qemu(self):
        self.env["PATH"] = self.path("bin")
        os.mkdir(self.path("bin"))
        for p in ("true", "mke2fs"):
            os.symlink("/bin/" + p if p == "true" else "/sbin/" + p, self.path("bin", p))
        j, checks = self.checks(expect=5)
        self.assertFalse(j["can-build"])
        self.assertEqual(checks["qemu"]["state"], "fail")
        self.assertIn("apt install", checks["qemu"]["text"])
        self.assertIn("No build can run here", self.doctor(expect=5).out)

    def test_usage(self):
        self.doctor("--help")
        self.doctor("--nonsense", expect=2)
        self.doctor("argument", expect=2)


if __name__ == "__main__":
    sys.exit(manager.main(__name__))
