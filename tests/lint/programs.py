#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""usage: programs.py BUILD-FOLDER: `ninja programs` makes each program that is installed."""
import json
import os
import subprocess
import sys


def main():
    build = sys.argv[1]
    with open(os.path.join(build, "meson-info/intro-targets.json"), encoding="utf-8") as f:
        targets = json.load(f)
    installed = {os.path.relpath(name, build) for t in targets
                 if t["type"] == "executable" and t["installed"] for name in t["filename"]}
    made = subprocess.run(["ninja", "-C", build, "-t", "query", "programs"], check=True,
                          stdout=subprocess.PIPE, text=True).stdout.split()
    missing = installed.difference(made)
    for name in sorted(missing):
        print(f"{name}: is installed, and not made by `ninja programs`")
    return 1 if missing or not installed else 0


if __name__ == "__main__":
    sys.exit(main())
