#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""NoRoot, and the CLI's own cleanliness: no privileges, no leak, no open descriptor.

`dump` and whole builds are run under valgrind, whose Debian 12 version needs a preloaded library
(valgrind.c) for the calls that it does not know. So that nothing hides behind that, builds are run
by the leak sanitizer too (CONTRACTOR_ASAN names a program built with build-dev.ini), and strace
holds the program up at its very end for a look at its descriptors.
"""

import os
import re
import stat
import sys
import time

import case

# No exit code for errors: the packer, forked and ended by _exit, would take it for its own leaks.
VALGRIND = ("valgrind", "--leak-check=full", "--show-leak-kinds=definite,indirect",
            "--errors-for-leak-kinds=definite,indirect", "--track-fds=yes",
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
        self.assertIn("ERROR SUMMARY: 0 errors", log)

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
        self.env["LD_PRELOAD"] = os.environ["CONTRACTOR_VALGRIND_PRELOAD"]
        for build, expect in (("echo made > ../made", 0), ("exit 3", 1)):
            self.spec(build)
            r = self.contractor("build", "spec.yaml", wrap=VALGRIND)
            self.assertEqual(r.exit, expect, f"{r}\n{self.read('valgrind.log')}")
            self.assertEqual(self.read("ws/made"), "made\n")
            self.clean()

    def test_build_leaks_no_memory(self):
        program = os.environ.get("CONTRACTOR_ASAN")
        if not program:
            self.skipTest("CONTRACTOR_ASAN is not set (tests/run.sh sets it)")
        self.env["ASAN_OPTIONS"] = "detect_leaks=1:exitcode=99"
        for build, expect in (("true", 0), ("exit 3", 1), ("echo o > /proc/sysrq-trigger\nsleep 60", 5)):
            self.spec(f"echo 1 > /proc/sys/kernel/sysrq\n{build}")
            p = self.start("build", "spec.yaml", program=program)
            r = self.finish(p)
            self.assertEqual(r.exit, expect, r)
            self.assertNotIn("Sanitizer", r.err)
            self.assertNotIn("runtime error", r.err)

    @staticmethod
    def traced(pid):
        """The program that strace runs, which has tried ptrace on a child before; None: not yet."""
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            for child in f.read().split():
                try:
                    if os.readlink(f"/proc/{child}/exe") == os.path.realpath(case.PROGRAM):
                        return int(child)
                except OSError:
                    continue
        return None

    def descriptors_at_exit(self, pid):
        """What a process has open while strace delays its exit_group, by polling until it is gone."""
        last = {}
        while True:
            try:
                fds = os.listdir(f"/proc/{pid}/fd")
                last = {fd: os.readlink(f"/proc/{pid}/fd/{fd}") for fd in fds}
            except OSError:
                if not os.path.exists(f"/proc/{pid}/fd/0"):
                    return last
            time.sleep(0.1)

    def test_build_leaves_no_descriptor_open(self):
        for build, expect in (("true", 0), ("exit 3", 1)):
            self.spec(build)
            p = self.start("build", "spec.yaml", wrap=(
                "strace", "-q", "-o", "/dev/null", "-e", "trace=exit_group",
                "-e", "inject=exit_group:delay_enter=2000000"))
            self.wait_for("contractor under strace", lambda: self.traced(p.pid))
            fds = self.descriptors_at_exit(self.traced(p.pid))
            r = self.finish(p)
            self.assertEqual(r.exit, expect, r)
            self.assertEqual(sorted(fds), ["0", "1", "2"], fds)


if __name__ == "__main__":
    sys.exit(case.main(__name__))
