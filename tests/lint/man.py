#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each long option of each command's --help is in the manual page: man.py CONTRACTOR PAGE."""

import re
import subprocess
import sys


def help_of(*words):
    p = subprocess.run(list(words) + ["--help"], capture_output=True, text=True, timeout=30)
    if p.returncode != 0:
        sys.exit(f"{' '.join(words)} --help: exit status {p.returncode}\n{p.stderr}")
    return p.stdout


def main():
    program, page = sys.argv[1:]
    with open(page, encoding="utf-8") as f:
        manual = f.read().replace("\\", "")
    verbs = re.findall(r"^  ([a-z]+) ", help_of(program), re.MULTILINE)
    missing = 0 if verbs else 1
    for verb in verbs:
        if not re.search(rf"\b{verb}\b", manual):
            print(f"{page}: no word of the verb {verb}")
            missing += 1
        for option in sorted(set(re.findall(r"(--[a-z][a-z0-9-]+)", help_of(program, verb)))):
            if f"*{option}*" not in manual:
                print(f"{page}: no {option} ({verb})")
                missing += 1
    return 1 if missing else 0


sys.exit(main())
