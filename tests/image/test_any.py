#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stub for any system (firmware/worker/any-stub), in one that is nothing but a kernel and busybox."""

import importlib.util
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
STUB = os.path.join(HERE, "../../firmware/worker/any-stub")
_spec = importlib.util.spec_from_file_location("e2e_case", os.path.join(HERE, "../e2e/case.py"))
case = importlib.util.module_from_spec(_spec)
sys.modules["e2e_case"] = case
_spec.loader.exec_module(case)

# What such a system's own start would do before it comes to the stub.
INIT = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /run /tmp /root /usr/sbin /sbin
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t tmpfs run /run
/bin/busybox --install -s /bin
/bin/any-stub
while :; do sleep 1000; done
"""


class Any(case.Case):
    def test_lines(self):
        with open(STUB, encoding="ascii") as f:
            self.assertLessEqual(len(f.readlines()), 40)
        subprocess.run(["busybox", "sh", "-n", STUB], check=True)
        subprocess.run(["dash", "-n", STUB], check=True)

    def part(self, manifest, name):
        with open(case.IMAGE, "rb") as f:
            f.seek(manifest[name]["offset"])
            return f.read(manifest[name]["size"])

    def make_image(self, layers=False):
        """The kernel and the modules of the test image, busybox, and the stub."""
        with open(case.IMAGE + ".json", encoding="utf-8") as f:
            manifest = json.load(f)
        tree = self.path("tree")
        os.mkdir(tree)
        subprocess.run(["cpio", "-id", "--quiet"], cwd=tree, check=True,
                       input=self.part(manifest, "initrd"))
        self.write("tree/init", INIT, 0o755)
        with open(STUB, encoding="ascii") as f:
            self.write("tree/bin/any-stub", f.read(), 0o755)
        names = subprocess.run(["find", "."], cwd=tree, check=True, capture_output=True).stdout
        initrd = subprocess.run(["cpio", "-o", "-H", "newc", "--quiet", "-R", "0:0"], cwd=tree,
                                check=True, input=names, capture_output=True).stdout
        kernel = self.part(manifest, "kernel")
        parts = {"root": b"\0" * 4096, "kernel": kernel, "initrd": initrd}
        offset = 0
        with open(self.path("worker.img"), "wb") as f:
            for name, data in parts.items():
                f.seek(offset)
                f.write(data)
                manifest[name] = {"offset": offset, "size": len(data)}
                offset += (len(data) + 4095) // 4096 * 4096
            f.truncate(offset)
        manifest["root"]["fs"] = "none"
        manifest.update(size=offset, packages=[], repositories=[], suite="", layers=layers)
        self.write("worker.img.json", json.dumps(manifest))

    def test_build(self):
        if not case.IMAGE:
            self.skipTest("CONTRACTOR_TEST_IMAGE is not set (tests/run.sh makes an image)")
        self.make_image()
        self.write("code/sub/file", "content\n")
        self.spec("cat sub/file\nls -l /bin/sh\necho \"$FLAVOUR\"\nln -s readme link\n"
                  "sleep 1000 &\necho made >../result\nexit 3", image=False, env={"FLAVOUR": "sweet"},
                  isolation="single")
        r = self.build(expect=1)
        self.assertIn("content\n", r.out)
        self.assertIn("busybox", r.out)
        self.assertIn("sweet\n", r.out)
        self.assertEqual(self.report()["build-exit-code"], 3)
        self.assertEqual(self.read("ws/result"), "made\n")
        self.assertEqual(os.readlink(self.path("ws/src/link")), "readme")

    def test_not_for_layers(self):
        """A manifest that promises too much: the worker says so, and nobody waits."""
        if not case.IMAGE:
            self.skipTest("CONTRACTOR_TEST_IMAGE is not set (tests/run.sh makes an image)")
        self.make_image(layers=True)
        self.spec("true", image=False, isolation="single")
        r = self.build(expect=5, timeout=120)
        self.assertRegex(r.err, "infrastructure: .*the workspace cannot be unpacked")


if __name__ == "__main__":
    sys.exit(case.main(__name__))
