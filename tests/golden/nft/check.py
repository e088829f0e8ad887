#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares the batches of some rule sets with golden files: check.py NFT-TOOL FOLDER.

NAME.text is what our decoder says of the batch, NAME.hex the batch itself, so that neither the
encoder nor the decoder can change by itself. UPDATE_GOLDEN=1 writes them anew. The bytes are those
of a little-endian machine.
"""

import difflib
import os
import subprocess
import sys

TOOL, FOLDER = os.path.abspath(sys.argv[1]), sys.argv[2]
CASES = {
    "least": [],
    "walls": ["--rate", "1000000", "--total", "500000000", "--connections", "1500"],
    "literals": [
        "--allow", "10.0.0.0/8,443,tcp",
        "--allow", "10.98.3.0/24,400-500,tcp",
        "--allow", "1.1.1.1,53,dns",
        "--allow", "2001:db8::1,80,tcp",
        "--allow", "0.0.0.0/0,123,udp",
    ],
    "interface": ["--ifname", "fifteen-letters"],
}


def compare(name, kind, options):
    path = f"{FOLDER}/{name}.{kind}"
    p = subprocess.run([TOOL, *options, kind], stdout=subprocess.PIPE, text=True, check=True)
    if os.environ.get("UPDATE_GOLDEN"):
        with open(path, "w", encoding="ascii") as f:
            f.write(p.stdout)
        return True
    with open(path, encoding="ascii") as f:
        want = f.read()
    for line in difflib.unified_diff(want.splitlines(), p.stdout.splitlines(), "golden", "now", "", "", 0, ""):
        print("# " + line)
    return p.stdout == want


def main():
    failed = 0
    tests = [(n, k, o) for n, o in CASES.items() for k in ("text", "hex")]
    print(f"1..{len(tests)}")
    for i, (name, kind, options) in enumerate(tests, 1):
        good = compare(name, kind, options)
        failed += not good
        print(f"{'ok' if good else 'not ok'} {i} - {name}.{kind}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
