#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Adds up test logs: count.py FILE..., Meson's JSON or (NAME.tap) the output of a TAP program.

Each test of a TAP program is one. Prints what was skipped, what failed and the gist of why, and as
the last line "N passed, N failed"; exits 1 if anything failed or nothing passed.
"""

import json
import os
import re
import sys

GOOD = {"OK", "EXPECTEDFAIL"}
TAP_LINE = re.compile(r"(not )?ok\b\s*\d*\s*(?:- )?(.*)$")
# A traceback's steps outside Python's own library, and what it ends with.
TRACE = re.compile(r'File "(?!/usr/lib)(?:.*/)?([^/]*)", line (\d+)')
RAISED = re.compile(r"(\w*\.)*\w*(Error|Expired|Exception|Interrupt)\b")
# What is left of the output is often its end alone: the reason must be there, in a line.
GIST_HEAD, GIST_TAIL = 400, 200


def gist(lines):
    """The diagnostics of a failed test in one line."""
    where, text = [], lines
    for i, line in enumerate(lines):
        m = TRACE.match(line)
        if m:
            where.append(f"{m.group(1)}:{m.group(2)}")
        elif RAISED.match(line):
            text = lines[i:]
            break
    text = " ".join(" ".join(text).split())
    if len(text) > GIST_HEAD + GIST_TAIL + 5:
        text = f"{text[:GIST_HEAD]} ... {text[-GIST_TAIL:]}"
    return "".join(f": {x}" for x in (*where, text) if x)


def tap(text):
    """Labels of the passed, failed and skipped tests in a TAP program's output; why they failed."""
    passed, failed, skipped, notes = [], [], [], []
    last = None  # the one that failed, until the next
    for line in text.split("\n"):
        m = TAP_LINE.match(line)
        if not m:
            if line.startswith("# ") and last is not None:
                last.append(line[2:].strip())
            continue
        last = None
        if m.group(1):
            failed.append(m.group(2))
            last = []
            notes.append(last)
        elif re.search(r"#\s*skip", m.group(2), re.IGNORECASE):
            skipped.append(m.group(2))
        else:
            passed.append(m.group(2))
    return passed, [f + gist(n) for f, n in zip(failed, notes)], skipped


def main():
    passed, failed, skipped = 0, [], []
    for name in sys.argv[1:]:
        if not os.path.exists(name):
            failed.append(f"{name}: no such log")
            continue
        with open(name, encoding="utf-8") as f:
            if name.endswith(".tap"):
                tests = [{"name": os.path.basename(name), "stdout": f.read(), "result": "?"}]
                ended = re.search(r"^# end$", tests[0]["stdout"], re.MULTILINE)
                tests[0]["result"] = "OK" if ended else "no end of its output"
            else:
                tests = [json.loads(line) for line in f if line.strip()]
        for test in tests:
            label = test["name"].replace("contractor:", "")
            out = test.get("stdout", "")
            good = test["result"] in GOOD
            if re.search(r"^1\.\.\d+", out, re.MULTILINE):
                p, f, s = tap(out)
                passed += len(p)
                failed += [f"{label}: {x}" for x in f]
                skipped += [f"{label}: {x}" for x in s]
                # it crashed or was stopped between two tests, or left some out
                if not good and not f and test["result"] != "SKIP":
                    failed.append(f"{label}: {test['result']}")
            elif good:
                passed += 1
            elif test["result"] == "SKIP":
                skipped.append(f"{label}: {out.strip() or 'no reason given'}")
            else:
                said = (out + test.get("stderr", "")).strip().split("\n")[-5:]
                failed.append(f"{label}: {test['result']}{gist(said)}")
    for label in skipped:
        print(f"skipped: {label}")
    for label in failed:
        print(f"FAILED: {label}")
    print(f"{passed} passed, {len(failed)} failed")
    return 1 if failed or not passed else 0


sys.exit(main())
