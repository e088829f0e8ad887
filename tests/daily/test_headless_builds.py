#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole build with everything odd at once: no environment, no terminal, umask 000, an odd folder."""

import os
import stat
import subprocess
import sys

import case


class Whole(case.Case):
    def test_all_at_once(self):
        folder = self.dir.encode() + b"/a b'\"\n\xff$(x)"
        os.makedirs(folder + b"/code")
        with open(folder + b"/code/file", "w", encoding="ascii") as f:
            f.write("content\n")
        self.image()
        self.spec("cat file\ntest ! -t 0\numask 022\nmkdir d\ncp file d/new\nchmod 600 file\n")
        for name in (b"worker.img", b"worker.img.json", b"spec.yaml"):
            os.rename(self.dir.encode() + b"/" + name, folder + b"/" + name)
        env = {"HOME": self.home}
        p = subprocess.run(["setsid", "--wait", os.path.abspath(case.PROGRAM), "build", "spec.yaml"],
                           cwd=folder, env=env, umask=0, stdin=subprocess.DEVNULL,
                           capture_output=True, timeout=case.TIMEOUT)
        self.assertEqual(p.returncode, 0, p)
        self.assertEqual(p.stdout, b"content\n")
        self.assertNotIn(b"\x1b", p.stderr)
        self.assertNotIn(b"\r", p.stderr)
        for name, mode in ((b"/ws/src/d", 0o755), (b"/ws/src/d/new", 0o644), (b"/ws/src/file", 0o600)):
            self.assertEqual(stat.S_IMODE(os.stat(folder + name).st_mode), mode, name)
        self.assertEqual(stat.S_IMODE(os.stat(self.builds()[-1] + "/log").st_mode), 0o600)


if __name__ == "__main__":
    sys.exit(case.main(__name__))
