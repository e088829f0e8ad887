#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands on a terminal of 80 and of 200 columns after a build: a good, a failing, a denied and a
limited one, against tests/daily/screen/*.txt. UPDATE_GOLDEN=1 writes those anew.

Times, rates and the names of folders are replaced; a line that the terminal has wrapped is one line.
"""

import os
import re
import sys

import case
import tmux

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "screen")
RULE = {"allow": [{"host": "packages.example.org", "port": 443, "protocol": "tcp"}]}
BUILDS = {
    "good": {"build": "echo compiling\nprintf 'red \\033[31m text\\n'\necho built >../result\n"},
    "failing": {"build": "echo 'main.c:3: error: no such thing' >&2\nexit 2\n"},
    "denied": {"build": "echo fetching\n"
                        "bash -c 'exec 3<>/dev/tcp/192.0.2.7/80' 2>/dev/null || echo cannot\n",
               "network": RULE},
    "limited": {"build": "echo filling\nhead -c 9000 /dev/zero | tr '\\0' x >&2\nsleep 60\n",
                "limits": {"log": "4KiB"}},
}


class Screen(case.Case):
    program = case.PROGRAM

    def neat(self, text):
        text = text.replace(self.dir, "DIR")
        text = re.sub(r"\d{8}-\d{6}-[0-9a-f]{6}", "ID", text)
        text = re.sub(r"\b\d+(\.\d+)? (ms|s|min|h)\b( \d+ s\b)?", "TIME", text)
        text = re.sub(r"used \d+(\.\d+)? \w+", "used SIZE", text)
        text = re.sub(r"\d+ %  \d+(\.\d+)? \w+ of", "N %  SIZE of", text)
        text = re.sub(r"x{80,}", "xxx...", text)
        return "\n".join(line.rstrip() for line in text.splitlines()).strip() + "\n"

    def compare(self, name, text):
        path = os.path.join(FOLDER, name + ".txt")
        if os.environ.get("UPDATE_GOLDEN"):
            os.makedirs(FOLDER, exist_ok=True)
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
        with open(path, encoding="utf-8") as f:
            self.assertEqual(text, f.read(), name)

    def run_width(self, width):
        for name, more in BUILDS.items():
            self.spec(name=name + ".yaml", **more)
        t = tmux.Tmux(self, width, 50)
        for name in BUILDS:
            t.type("clear; echo cle''ar")
            self.wait_for("an empty screen", lambda: t.screen().strip() in ("clear\n$", "clear\n#"), 60)
            t.tmux("clear-history")
            t.type(f"contractor build --isolation single --tcg {name}.yaml; echo \"status=$?\"")
            t.wait("status=0" if name == "good" else "\nstatus=")
            text = t.screen(True)
            # all lines as they are on the screen: none wider than it, and no rest of a redrawn one
            for line in t.tmux("capture-pane", "-p", "-S", "-2000").splitlines():
                self.assertLessEqual(len(line), width)
            self.assertNotIn("\x1b", text)
            self.compare(f"{name}-{width}", self.neat(text[text.index("contractor build"):
                                                           text.rindex("status=") + 9]))

    def test_80(self):
        self.run_width(80)

    def test_200(self):
        self.run_width(200)


if __name__ == "__main__":
    sys.exit(case.main(__name__))
