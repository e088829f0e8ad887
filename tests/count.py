#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Adds up test logs: count.py FILE..., Meson's JSON or (NAME.tap) the output of a TAP program.

Each test of a TAP program is one. Prints what was skipped and what failed, and as the last line "N passed, N failed"; exits 1 if
anything failed or nothing passed.
"""

import json
import os
import re
import sys

GOOD = {"OK", "EXPECTEDFAIL"}
TAP_LINE = re.compile(r"(not )?ok\b\s*\d*\s*(?:- )?(.*)$")


def tap(text):
    """Labels of the passed, failed and skipped tests in a TAP program's output."""
    passed, failed, skipped = [], [], []
    for line in text.split("\n"):
        m = TAP_LINE.match(line)
        if not m:
            continue
        if m.group(1):
            failed.append(m.group(2))
        elif re.search(r"#\s*skip", m.group(2), re.IGNORECASE):
            skipped.append(m.group(2))
        else:
            passed.append(m.group(2))
    return passed, failed, skipped


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
                failed.append(f"{label}: {test['result']}")
    for label in skipped:
        print(f"skipped: {label}")
    for label in failed:
        print(f"FAILED: {label}")
    print(f"{passed} passed, {len(failed)} failed")
    return 1 if failed or not passed else 0


sys.exit(main())
