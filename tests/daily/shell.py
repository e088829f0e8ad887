# SPDX-License-Identifier: GPL-3.0-or-later
"""A person at the shell of a worker: sizes, ^C, ^D, and the terminal as it was afterwards."""

import re

import tmux


class Person:
    """For a Case: what is typed, and what must be seen of it."""

    asked = 0

    def settings(self, t):
        t.type("stty -g >settings-now; echo 'wro''te'")
        t.wait("wrote")
        t.tmux("clear-history")
        t.type("clear")
        self.wait_for("the screen to clear", lambda: "wrote" not in t.screen(), 60)
        return self.read("settings-now")

    def use_shell(self, *options):
        """contractor shell spec.yaml, whose env has FLAVOUR=sweet, to its end; the terminal."""
        t = tmux.Tmux(self, 100, 30)
        before = self.settings(t)
        t.type(f"TERM=screen contractor shell {' '.join(options)} spec.yaml; echo \"status=$?\"")
        t.wait("a shell in the worker", "/workspace/src#")
        t.type("echo size=$(stty size) flavour=$FLAVOUR term=$TERM in=$PWD tty=$(tty)")
        t.wait("size=30 100 flavour=sweet term=screen in=/workspace/src tty=/dev/pts/0")
        t.resize(120, 40)
        while self.ask_size(t) != "40 120":
            self.assertLess(self.asked, 100, t.screen(True))
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
        self.assertEqual(self.read("ws/result"), "worked\n")
        self.assertIs(self.report()["shell"], True)
        self.assertIn("shell", [p["name"] for p in self.report()["phases"]])
        self.assertIn("to the log", self.log())
        said = t.screen(True)
        self.assertEqual(self.settings(t), before)
        return said

    def ask_size(self, t):
        """The size that the worker's terminal has now: it hears of a new one a little later."""
        self.asked += 1
        t.type(f"echo size-{self.asked}=$(stty size)=")
        answer = re.compile(rf"^size-{self.asked}=(\d+ \d+)=$", re.MULTILINE)
        self.wait_for("a size", lambda: answer.search(t.screen(True)))
        return answer.search(t.screen(True)).group(1)
