#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A shell in a worker, by a real terminal under tmux: sizes, ^C, ^D, and the terminal afterwards."""

import os
import signal
import subprocess
import sys

import case
import tmux


class Shell(case.Case):
    program = case.PROGRAM

    def settings(self, t):
        t.type("stty -g >settings-now; echo 'wro''te'")
        t.wait("wrote")
        t.tmux("clear-history")
        t.type("clear")
        self.wait_for("the screen to clear", lambda: "wrote" not in t.screen(), 60)
        return self.read("settings-now")

    def test_shell(self):
        self.spec("echo not run; exit 9", env={"FLAVOUR": "sweet"})
        t = tmux.Tmux(self, 100, 30)
        before = self.settings(t)
        t.type("TERM=screen contractor shell spec.yaml; echo \"status=$?\"")
        t.wait("a shell in the worker", "/workspace/src#")
        t.type("echo size=$(stty size) flavour=$FLAVOUR term=$TERM in=$PWD tty=$(tty)")
        t.wait("size=30 100 flavour=sweet term=screen in=/workspace/src tty=/dev/pts/0")
        t.resize(120, 40)
        self.wait_for("the new size", lambda: (t.type("echo now=$(stty size)"),
                                               "now=40 120" in t.screen())[1], 120)
        t.type("echo sleep''ing; sleep 1000; echo inter''rupted=$?")
        t.wait("sleeping")
        t.key("C-c")
        t.type("echo after=$?")
        t.wait("after=130")
        t.type("echo worked >../result; echo rea''dy; cat")
        t.wait("ready")
        t.type("typed")
        t.wait("typed\ntyped")
        t.key("C-d")
        t.type("echo to the l''og >&2")
        t.wait("to the log")
        t.key("C-d")
        t.wait("status=0", "workspace: ")
        self.assertEqual(self.settings(t), before)
        self.assertEqual(self.read("ws/result"), "worked\n")
        self.assertIs(self.report()["shell"], True)
        self.assertIn("shell", [p["name"] for p in self.report()["phases"]])
        self.assertIn("to the log", self.log())

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
