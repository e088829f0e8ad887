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


def verbs_of(program, *words):
    """Each verb as a list of words, with its help: a group's help lists verbs of its own."""
    text = help_of(program, *words)
    if re.match(r"Usage: contractor[a-z ]* VERB ", text):
        for verb in re.findall(r"^  ([a-z]+) ", text, re.MULTILINE):
            yield from verbs_of(program, *words, verb)
    else:
        yield words, text


def main():
    program, page = sys.argv[1:]
    with open(page, encoding="utf-8") as f:
        manual = f.read().replace("\\", "")
    missing, n = 0, 0
    for words, text in verbs_of(program):
        n += 1
        verb = " ".join(words)
        # one section may tell of several: "cache list|clear"
        heading = " ".join(words[:-1] + (rf"(?:[a-z]+\|)*{words[-1]}\b",))
        section = re.search(rf"^## contractor {heading}.*?(?=^#)", manual, re.MULTILINE | re.DOTALL)
        if not section:
            print(f"{page}: no section of the verb {verb}")
            missing += 1
            continue
        for option in sorted(set(re.findall(r"^ .{5} ?(--[a-z][a-z0-9-]+)", text, re.MULTILINE))):
            if option != "--help" and f"*{option}*" not in section.group():
                print(f"{page}: no {option} ({verb})")
                missing += 1
    return 1 if missing or n < 5 else 0


sys.exit(main())
