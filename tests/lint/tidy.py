#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""clang-tidy over every C file that the build compiles: tidy.py BUILD-FOLDER."""

import concurrent.futures
import json
import os
import shutil
import subprocess
import sys


def main():
    build = os.path.abspath(sys.argv[1])
    if not shutil.which("clang-tidy"):
        print("clang-tidy is not installed")
        return 77
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as f:
        files = {os.path.normpath(os.path.join(c["directory"], c["file"])) for c in json.load(f)}

    def tidy(name):
        # GCC's own warning options are no business of clang.
        return subprocess.run(["clang-tidy", "-p", build, "--quiet",
                               "--extra-arg=-Wno-unknown-warning-option", name],
                              text=True, capture_output=True)

    bad = 0
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        names = sorted(f for f in files if f.endswith(".c") and os.path.exists(f))
        for p in pool.map(tidy, names):
            if p.returncode != 0:
                bad += 1
                print(p.stdout)
    return 1 if bad else 0


sys.exit(main())
