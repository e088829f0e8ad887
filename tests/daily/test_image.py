#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""image list, inspect and verify, over images that need not boot."""

import hashlib
import json
import os
import pty
import sys

import case


class Image(case.Case):
    def setUp(self):
        super().setUp()
        case.fake_image(self.dir)
        self.change(sha256=hashlib.sha256(b"\0" * (1 << 20)).hexdigest(),
                    repositories=["http://deb.example.org/debian"], packages=["make", "ansible-core"])

    def change(self, **more):
        manifest = json.loads(self.read("worker.img.json"))
        manifest.update(more)
        self.write("worker.img.json", json.dumps(manifest))

    def run_ok(self, *args, expect=0):
        r = self.contractor("image", *args)
        self.assertEqual(r.exit, expect, r)
        return r.out if expect == 0 else r.err

    def test_list(self):
        self.write("plain.img", "no manifest")
        self.write("lonely.img.json", self.read("worker.img.json"))
        self.write("broken.img", "x")
        self.write("broken.img.json", "{")
        self.write("report.json", "{}")
        self.assertRegex(self.run_ok("list"), r"\Aworker\.img +x86_64 +bookworm +1 MiB  2 packages\n\Z")
        os.mkdir(self.path("empty"))
        self.assertEqual(self.run_ok("list", "empty"), "")
        self.assertEqual(json.loads(self.run_ok("list", "--json", "empty")), [])
        found = json.loads(self.run_ok("list", "--json", self.dir))
        self.assertEqual([(i["image"], i["arch"], i["size"], i["packages"]) for i in found],
                         [(self.path("worker.img"), "x86_64", 1 << 20, 2)])
        self.assertIn("No such file", self.run_ok("list", "absent", expect=2))

    def test_inspect(self):
        text = self.run_ok("inspect", "worker.img")
        for line in ("architecture: x86_64", "suite: bookworm", "size: 1 MiB (1048576 bytes)",
                     "kernel parameters: quiet", "workspace: by tar", "repository: http://deb.example.org/debian",
                     "packages: 2, Ansible among them"):
            self.assertIn(line + "\n", text)
        self.assertEqual(self.run_ok("inspect", "--packages", "worker.img"), "ansible-core\nmake\n")
        self.assertEqual(json.loads(self.run_ok("inspect", "--json", "worker.img"))["suite"], "bookworm")

    def test_live_line(self):
        """Of a long job, on a terminal: redrawn with time and bytes, and at last a line for each step."""
        with open(self.path("disk"), "wb") as f:
            f.truncate(200 << 20)
            f.seek(510)
            f.write(b"\x55\xaa")
            f.seek(1 << 20)
            for _ in range(60):
                f.write(os.urandom(1 << 20))
        plain = self.contractor("image", "import", "disk", "-o", "plain.img")
        self.assertEqual(plain.exit, 0, plain)
        self.assertEqual(plain.err, "contractor: converting the disk\n"
                                    "contractor: taking its checksum\n")
        ours, theirs = pty.openpty()
        self.env["TERM"] = "xterm"
        p = self.start("image", "import", "disk", "-o", "live.img", stderr=theirs)
        os.close(theirs)
        seen = bytearray()
        try:
            while data := os.read(ours, 65536):
                seen.extend(data)
        except OSError:
            pass
        os.close(ours)
        self.assertEqual(p.wait(timeout=60), 0, seen)
        text = seen.decode()
        self.assertRegex(text, r"\r\x1b\[Kcontractor: converting the disk [\d.]+ ")
        lines = [l.rsplit("\x1b[K", 1)[-1] for l in text.split("\r\n") if l]
        self.assertRegex(lines[0], r"\Acontractor: converting the disk [\d.]+ m?s, [\d.]+ MiB, [\d.]+ \w+/s\Z")
        self.assertRegex(lines[1], r"\Acontractor: taking its checksum [\d.]+ m?s\Z")
        self.assertEqual(len(lines), 2, text)

    def test_verify(self):
        self.assertEqual(self.run_ok("verify", "worker.img"), "worker.img: whole\n")
        with open(self.path("worker.img"), "r+b") as f:
            f.seek(12345)
            f.write(b"x")
        self.assertIn("not what its manifest says", self.run_ok("verify", "worker.img", expect=1))
        self.change(size=1 << 21)
        self.assertIn("its manifest says 2097152", self.run_ok("verify", "worker.img", expect=1))
        self.assertIn("no such worker image", self.run_ok("verify", "absent.img", expect=2))


if __name__ == "__main__":
    sys.exit(case.main(__name__))
