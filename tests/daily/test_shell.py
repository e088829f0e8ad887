#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A shell in a worker, by a real terminal under tmux: sizes, ^C, ^D, and the terminal afterwards."""

import os
import signal
import subprocess
import sys

import case
import shell
import tmux


class Shell(shell.Person, case.Case):
    program = case.PROGRAM

    def test_shell(self):
        self.spec("echo not run; exit 9", env={"FLAVOUR": "sweet"})
        self.use_shell()

    def test_on_failure_and_a_signal(self):
        self.spec("echo building; echo half >../half; exit 7", template=None)
        t = tmux.Tmux(self, 80, 24)
        before = self.settings(t)
        t.type("contractor build --shell-on-failure spec.yaml; echo \"status=$?\"")
        t.wait("building", "a shell in the worker")
        t.type("cat ../half; echo from-$(hostname)")
        t.wait("half\n", "from-worker")
        pid = subprocess.run(["pgrep", "-f", "-P", t.tmux("display", "-p", "#{pane_pid}").strip(),
                              "contractor build"], text=True, capture_output=True,
                             check=True).stdout.split()[0]
        os.kill(int(pid), signal.SIGTERM)
        t.wait("status=130")
        self.assertEqual(self.settings(t), before)
        report = self.report()
        self.assertEqual((report["verdict"], report["shell"]), ("interrupted", True))

    def test_without_a_terminal(self):
        """build goes on as if nothing had been said; shell is refused."""
        case.fake_image(self.dir)
        self.spec("true", image=False)
        r = self.contractor("build", "--shell-on-failure", "--boot-deadline", "1s", "spec.yaml")
        self.assertEqual(r.exit, 5, r)
        r = self.contractor("shell", "spec.yaml")
        self.assertEqual((r.exit, r.err), (
            2, "contractor: shell: needs a terminal for stdin and stdout\n"
               "Try: contractor shell --help\n"))


if __name__ == "__main__":
    sys.exit(case.main(__name__))
