#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker of another architecture: an arm64 image, made here, whose machine is emulated.

It is set up by running its own programs, so that this machine has to run those: qemu-user-static, and
its entry in binfmt_misc (tests/run.sh sees to it).
"""

import importlib.util
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
_spec = importlib.util.spec_from_file_location("e2e_case", os.path.join(HERE, "../e2e/case.py"))
case = importlib.util.module_from_spec(_spec)
sys.modules["e2e_case"] = case
_spec.loader.exec_module(case)


class Arm(case.Case):
    def test_build(self):
        made = os.environ.get("CONTRACTOR_TEST_ARM_IMAGE")
        if made:
            for suffix in ("", ".json"):
                os.symlink(made + suffix, self.path("worker.img" + suffix))
        else:
            r = self.contractor("image", "build", "-q", "--arch", "arm64", "--no-ansible", "--include",
                                "gcc,libc6-dev", "-o", "worker.img", timeout=5400)
            self.assertEqual(r.exit, 0, r)
        manifest = json.loads(self.read("worker.img.json"))
        self.assertEqual(manifest["arch"], "aarch64")
        self.write("code/hello.c", '#include <stdio.h>\nint main(void) { puts("hello"); return 0; }\n')
        self.spec("uname -m\ngcc -o ../hello hello.c\n../hello\ncat readme\n", image=False,
                  arch="aarch64", isolation="auto", limits={"time": "30min"})
        r = self.build()
        self.assertIn("aarch64\nhello\na source\n", r.out)
        report = self.report()
        self.assertEqual((report["machine"], report["accelerator"], report["isolation"]),
                         ("virt", "tcg", "single"))
        with open(self.path("ws/hello"), "rb") as f:
            self.assertEqual(f.read(20)[18:], b"\xb7\0")  # EM_AARCH64
        # what cannot be is told
        self.assertIn("isolation: nested is for x86_64 workers",
                      self.build("--isolation", "nested", expect=2).err)
        self.spec("true", image=False, arch="x86_64")
        self.assertIn("the image is for aarch64", self.build(expect=2).err)


if __name__ == "__main__":
    sys.exit(case.main(__name__))
