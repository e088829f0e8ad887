#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of the other Debian releases are built, boot under bare QEMU, and build hello."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))

import case  # noqa: E402

BOOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "boot.py")


class Suites(case.Case):
    def check(self, suite):
        r = self.contractor("image", "build", "--suite", suite, "-o", "other.img", timeout=3600)
        self.assertEqual(r.exit, 0, r)
        p = subprocess.run([BOOT], env={**os.environ, "CONTRACTOR_TEST_IMAGE": self.path("other.img")},
                           text=True, capture_output=True, timeout=3600)
        self.assertEqual(p.returncode, 0, p.stdout + p.stderr)
        self.write("code/hello.c", "#include <stdio.h>\nint main(void) { return puts(\"hello\") < 0; }\n")
        self.spec("gcc hello.c -o hello\n./hello >../said", image=False, worker_image="other.img")
        self.build()
        self.assertEqual(self.read("ws/said"), "hello\n")


def add(suite):
    setattr(Suites, f"test_{suite}", lambda self: self.check(suite))


for name in ("bullseye", "trixie"):
    add(name)

if __name__ == "__main__":
    sys.exit(case.main(__name__))
