#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The acceptance document's hello.yaml, as it stands there, with an image that has no compiler."""

import os
import re
import sys

import case

DOCUMENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../subplot/contractor.md")


class Bare(case.Case):
    def test_hello(self):
        with open(DOCUMENT, encoding="utf-8") as f:
            text = f.read()
        for name in ("hello.c", "hello.yaml"):
            m = re.search(r"```\{\.file #" + re.escape(name) + r"[^\n]*\n(.*?)```", text, re.S)
            self.write(name, m.group(1))
        r = self.contractor("image", "build", "-o", "worker.img", "--include", "", timeout=3600)
        self.assertEqual(r.exit, 0, r)
        r = self.build(spec="hello.yaml", timeout=3600)
        first = self.report()
        self.assertTrue(os.access(self.path("ws/src/hello"), os.X_OK))
        self.assertIn("hello, world", self.log())
        self.assertRegex(self.log(), r"TASK \[apt\]")
        self.assertIn("is kept for later builds", r.err)
        r = self.build(spec="hello.yaml")
        self.assertIn(f"no play is run: layer {first['prepare']['key'][:12]} of ", r.err)
        self.assertNotIn("TASK", self.log())
        self.assertIn("hello, world", self.log())


if __name__ == "__main__":
    sys.exit(case.main(__name__))
