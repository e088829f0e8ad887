#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""NoRoot, and the CLI's own cleanliness: no privileges, no leak, no open descriptor."""

import os
import re
import stat
import sys

import case

VALGRIND = ("valgrind", "--quiet", "--leak-check=full", "--show-leak-kinds=definite,indirect",
            "--errors-for-leak-kinds=definite,indirect", "--track-fds=yes", "--error-exitcode=99",
            "--child-silent-after-fork=yes", "--log-file=valgrind.log")


class User(case.Case):
    def test_built_without_privileges(self):
        if os.geteuid() == 0:
            self.skipTest("run by root; tests/run.sh runs it as an ordinary user")
        with open("/proc/self/status", encoding="ascii") as f:
            status = f.read()
        self.assertRegex(status, r"CapEff:\s+0+\n")
        self.assertRegex(status, r"CapPrm:\s+0+\n")
        folder = os.path.dirname(os.path.dirname(os.path.abspath(case.PROGRAM)))
        for where, _, files in os.walk(folder):
            for name in files:
                path = os.path.join(where, name)
                self.assertFalse(os.stat(path).st_mode & (stat.S_ISUID | stat.S_ISGID), path)
                with self.assertRaises(OSError, msg=path):
                    os.getxattr(path, "security.capability")
        self.spec("id -u > ../uid")
        self.build()
        self.assertEqual(self.read("ws/uid"), "0\n", "root in the worker")
        for where, dirs, files in os.walk(self.path("ws")):
            for name in dirs + files:
                st = os.lstat(os.path.join(where, name))
                self.assertEqual((st.st_uid, st.st_gid), (os.geteuid(), os.getegid()))

    def clean(self):
        """valgrind's log has no error, leak, or descriptor beyond 0, 1, 2 and the log itself."""
        log = self.read("valgrind.log")
        found = [l for l in re.findall(r"==\d+== (Open (?:file descriptor|\w+ socket).*)", log)
                 if not re.search(r"descriptor [012]:|valgrind\.log", l)]
        self.assertEqual(found, [], log)
        self.assertNotIn("definitely lost", log)

    def test_valgrind_dump(self):
        self.spec("true", image=False, ansible=[{"hosts": "worker", "tasks": []}])
        r = self.contractor("dump", "spec.yaml", wrap=VALGRIND)
        self.assertEqual(r.exit, 0, f"{r}\n{self.read('valgrind.log')}")
        self.clean()

    def test_valgrind_dump_of_an_error(self):
        self.write("spec.yaml", "a: [1, 2\nb: {")
        r = self.contractor("dump", "spec.yaml", wrap=VALGRIND)
        self.assertEqual(r.exit, 2, f"{r}\n{self.read('valgrind.log')}")
        self.clean()

    def test_valgrind_build(self):
        self.spec("echo under valgrind\nexit 3")
        r = self.contractor("build", "spec.yaml", wrap=VALGRIND)
        self.assertEqual(r.exit, 1, f"{r}\n{self.read('valgrind.log')}")
        self.assertIn("under valgrind", r.out)
        self.clean()


if __name__ == "__main__":
    sys.exit(case.main(__name__))
