#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documents against the tree: what they name is there, and README's first spec is one."""

import os
import re
import sys

import case

DOCUMENTS = ["README.md", "HACKING.md", "SECURITY.md", "docs/any-os.md"]


class Documents(case.Case):
    def text(self, name):
        with open(os.path.join(case.TOP, name), encoding="utf-8") as f:
            return f.read()

    def test_paths(self):
        found = set()
        for name in DOCUMENTS:
            for path in re.findall(r"(?<![\w./])((?:tests|src|firmware|examples|docs|man|net|qmp)/[\w./-]*\w)",
                                   self.text(name)):
                if "NAME" in path:
                    continue
                found.add(path)
                self.assertTrue(os.path.exists(os.path.join(case.TOP, path)) or
                                os.path.exists(os.path.join(case.TOP, path + ".c")), f"{name}: {path}")
        self.assertGreater(len(found), 40)

    def test_named_tests(self):
        """A function that a document names in brackets behind a file is in that file."""
        pairs = re.findall(r"`([\w/.-]+\.py)` \(`(\w+)`\)", self.text("SECURITY.md"))
        self.assertGreaterEqual(len(pairs), 2)
        for path, function in pairs:
            self.assertIn(f"def {function}(", self.text(path))

    def test_first_spec(self):
        part = self.text("README.md").split("## A first build spec\n", 1)[1]
        spec = re.search(r"\n((?:    .*\n)+)", part).group(1)
        spec = re.sub(r"(?m)^    ", "", spec)
        self.assertLessEqual(len(spec.splitlines()), 10)
        self.write("spec.yaml", spec)
        r = self.contractor("dump", "spec.yaml")
        self.assertEqual(r.exit, 0, r)
        r = self.contractor("check", "spec.yaml")
        self.assertEqual(r.exit, 0, r)

    def test_stub(self):
        stub = self.text("firmware/worker/any-stub")
        self.assertLessEqual(len(stub.splitlines()), 40)
        self.assertIn(f"{len(stub.splitlines())} lines of POSIX sh", self.text("docs/any-os.md"))


if __name__ == "__main__":
    sys.exit(case.main(__name__))
