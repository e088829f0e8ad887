#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands on a terminal of 80 and of 200 columns after a build: a good, a failing, a denied and a
limited one, line by line as on the screen, against tests/daily/screen/*.txt. UPDATE_GOLDEN=1 writes
those anew.

Times, the names of folders and the build's id are of one width each and are replaced by a text of
that width, so that every line is wrapped where it was.
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
    "limited": {"build": "echo unpacking\ntouch ../1 ../2 ../3 ../4 ../5 ../6 ../7 ../8\n",
                "limits": {"files": 5}},
}


# What the folder of a test's name is padded to.
FOLDER_LENGTH = 64


def same_width(pattern, replacement, text):
    """Replaces what the pattern finds; where the width is another one, by a text that shows it."""
    return re.sub(pattern, lambda m: replacement.ljust(len(m.group()), "+")[:len(m.group())], text)


class Screen(case.Case):
    program = case.PROGRAM

    def setUp(self):
        super().setUp()
        self.outer = self.dir
        self.dir = self.path("w" * (FOLDER_LENGTH - 1 - len(self.dir)))
        self.home = self.env["HOME"] = self.path("home")
        os.makedirs(self.home)
        self.write("code/readme", "a source\n")

    def remove(self):
        self.dir = self.outer
        super().remove()

    def neat(self, line):
        line = same_width(re.escape(self.dir), "/DIR", line)
        line = same_width(r"\d{8}-\d{6}-[0-9a-f]{6}", "YYYYMMDD-hhmmss-xxxxxx", line)
        # up to 100 s each time is as wide as any other
        return same_width(r"\b\d+\.\d+ s\b", "T.TT s", line)

    def as_on_screen(self, t, width):
        """The lines of the last build, cut where the terminal cut them, with neat() done."""
        whole = [line.rstrip() for line in t.screen(True).splitlines()]
        first = max(i for i, line in enumerate(whole) if "contractor build" in line)
        raw = t.tmux("capture-pane", "-p", "-S", "-2000").splitlines()
        raw = raw[max(i for i, line in enumerate(raw) if "contractor build" in line):]
        raw.reverse()
        out = []
        for line in whole[first:]:
            cuts, text = [0], raw.pop()
            while len(text) < len(line):
                cuts.append(len(cuts) * width)
                text = text.ljust(cuts[-1]) + raw.pop()
            self.assertEqual(text, line)
            line = self.neat(line)
            out += [line[i:i + width].rstrip() for i in cuts]
            if line.startswith("status="):
                break
        self.assertLessEqual(max(map(len, out)), width)
        out[0] = "$" + out[0][1:]
        return "\n".join(out) + "\n"

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
            text = self.build_on(t, width, name)
            for _ in range(2):
                if not re.search(r"T\.TT s\+|\bmin\b", text):
                    break
                text = self.build_on(t, width, name)  # 100 s and more are wider
            self.assertNotIn("\x1b", text)
            self.compare(f"{name}-{width}", text)

    def build_on(self, t, width, name):
        t.type("clear; echo cle''ar")
        self.wait_for("an empty screen", lambda: t.screen().strip() in ("clear\n$", "clear\n#"), 60)
        t.tmux("clear-history")
        t.type(f"contractor build --isolation single --tcg {name}.yaml; echo \"status=$?\"")
        t.wait("status=0" if name == "good" else "\nstatus=")
        return self.as_on_screen(t, width)

    def test_80(self):
        self.run_width(80)

    def test_200(self):
        self.run_width(200)


if __name__ == "__main__":
    sys.exit(case.main(__name__))
