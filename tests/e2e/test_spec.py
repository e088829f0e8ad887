#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused before a machine is started, quickly and with a sentence that helps."""

import os
import sys
import time

import case


class Spec(case.Case):
    def refused(self, *words, args=("build", "spec.yaml"), expect=2):
        start = time.monotonic()
        r = self.contractor(*args, timeout=60)
        self.assertEqual(r.exit, expect, r)
        self.assertLess(time.monotonic() - start, 5)
        for word in words:
            self.assertIn(word, r.err)
        self.assertFalse(os.path.exists(self.path("ws")), "a workspace was made")
        self.assertFalse(self.builds(), "a build was recorded")
        return r

    def test_no_such_spec(self):
        self.refused("nothing.yaml", args=("build", "nothing.yaml"))

    def test_unknown_key(self):
        self.write("spec.yaml", "worker-image: w\nsource: code\nworkspac: ws\nbuild: 'true'\n")
        self.refused("spec.yaml:3:1", "workspac", "workspace")

    def test_missing_key(self):
        self.write("spec.yaml", "worker-image: w\nsource: code\nworkspace: ws\n")
        self.refused("spec.yaml", "build")

    def test_wrong_type(self):
        self.write("spec.yaml", "worker-image: w\nsource: [a]\nworkspace: ws\nbuild: 'true'\n")
        self.refused("spec.yaml:2:", "source")

    def test_bad_limit(self):
        self.spec("true", image=False, limits={"memory": "lots"})
        self.refused("spec.yaml:", "memory")

    def test_missing_image(self):
        self.spec("true", image=False)
        self.refused("worker.img")

    def test_image_without_manifest(self):
        self.write("worker.img", "not an image")
        self.spec("true", image=False)
        self.refused("worker.img", "contractor image build")

    def test_image_shorter_than_its_manifest(self):
        self.image()
        os.remove(self.path("worker.img"))
        self.write("worker.img", "short")
        self.spec("true", image=False)
        self.refused("worker.img")

    def test_missing_source(self):
        self.spec("true", source="nowhere")
        self.refused("nowhere")

    def test_architecture_of_another_machine(self):
        self.spec("true", arch="aarch64")
        self.refused("aarch64")

    def test_usage(self):
        self.refused("build", args=("build",))
        self.refused("--bogus", args=("build", "--bogus", "x.yaml"))
        self.refused("build", args=("biuld", "x.yaml"))

    def test_unreadable_source_file_is_named(self):
        if os.geteuid() == 0:
            self.skipTest("root reads every file")
        self.write("code/secret", "x", 0)
        self.spec("true")
        r = self.contractor("build", "spec.yaml")
        self.assertNotEqual(r.exit, 0, r)
        self.assertIn("secret", r.err)
        self.assertFalse(os.path.exists(self.path("ws")))

    def test_help_and_version(self):
        for args in (("--help",), ("build", "--help"), ("dump", "--help"), ("image", "--help")):
            r = self.contractor(*args)
            self.assertEqual(r.exit, 0, r)
            self.assertIn("contractor", r.out)
            self.assertEqual(r.err, "")
        self.assertRegex(self.contractor("--version").out, r"^contractor \d+\.\d+\.\d+\n$")


if __name__ == "__main__":
    sys.exit(case.main(__name__))
