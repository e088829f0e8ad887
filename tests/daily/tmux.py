# SPDX-License-Identifier: GPL-3.0-or-later
"""A terminal of a test's own: a tmux server with one session, of a given size."""

import os
import subprocess
import uuid

# The state folder's worth of a terminal, whatever the tester's own is.
TERM = "screen"


class Tmux:
    def __init__(self, test, cols, rows):
        self.socket = test.path("tmux-" + uuid.uuid4().hex[:8])
        self.test = test
        env = dict(test.env, TERM=TERM, PS1="$ ", ENV="", LC_ALL="C.UTF-8",
                   PATH=os.path.dirname(os.path.abspath(test.program)) + ":" + os.environ["PATH"])
        env.pop("TMUX", None)
        self.env = env
        # by the tester's own shell, which may or may not stay between the two by itself
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(cols), "-y", str(rows),
                  "-c", test.dir, "exec sh")
        test.addCleanup(lambda: subprocess.run(["tmux", "-S", self.socket, "kill-server"],
                                               capture_output=True))
        test.wait_for("the terminal's prompt",
                      lambda: self.screen().strip()[-1:] in ("$", "#"), 60)

    def tmux(self, *args):
        p = subprocess.run(["tmux", "-S", self.socket, *args], env=self.env, cwd=self.test.dir,
                           text=True, capture_output=True, timeout=30)
        self.test.assertEqual(p.returncode, 0, p)
        return p.stdout

    def screen(self, history=False):
        return self.tmux("capture-pane", "-p", "-J", *(("-S", "-1000") if history else ()))

    def type(self, text, enter=True):
        self.tmux("send-keys", "-l", text)
        if enter:
            self.tmux("send-keys", "Enter")

    def key(self, name):
        self.tmux("send-keys", name)

    def resize(self, cols, rows):
        self.tmux("resize-window", "-x", str(cols), "-y", str(rows))

    def wait(self, *texts, timeout=int(os.environ.get("TMUX_WAIT", "600"))):
        """Waits until all texts are on the screen or in its history."""
        try:
            self.test.wait_for(repr(texts), lambda: all(t in self.screen(True) for t in texts), timeout)
        except AssertionError as e:
            raise AssertionError(f"{e}\n{self.screen(True)}") from e
