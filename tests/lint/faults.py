#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each check of lint.py finds the fault that it is for: faults.py COMPILER..., TAP on stdout."""

import os
import subprocess
import sys
import tempfile

LINT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "lint.py")
HEAD = "/* SPDX-License-Identifier: GPL-3.0-or-later */\n/* Owns nothing. */\n"
LONG = "int f(void)\n{\n" + "\tf();\n" * 61 + "}\n"

# check, file, content, words that the complaint must have
FAULTS = [
    ("layers", "qmp/a.c", HEAD + '#include "net/rule.h"\n', "qmp must not know net"),
    ("layers", "src/base/a.c", HEAD + '#include "vm/vm.h"\n', "src/base must not know src/vm"),
    ("layers", "src/vm/a.c", HEAD + '#include "manager/m.h"\n', "must not know src/manager"),
    ("layers", "src/vm/a.c", HEAD + '#include "spec/spec.h"\n', "must not know src/spec"),
    ("layers", "src/vm/a.c", HEAD + "#include <archive.h>\n", "for src/archive and src/image alone"),
    ("layers", "src/cli/a.c", HEAD + '#include "vmm/vm.h"\n', "no such module"),
    ("headers", "src/base/a.h", HEAD + "uint64_t f(void);\n", "does not compile alone"),
    ("headers", "src/base/a.h", HEAD + "struct a { int b; };\n", "does not compile alone"),
    ("style", "src/base/a.c", HEAD + LONG, "a function of 61 lines"),
    ("style", "src/base/a.c", HEAD + "\n" * 600, "over 600 lines"),
    ("spdx", "src/base/a.c", "int f(void);\n/* */\n", "no SPDX line"),
    ("spdx", "tests/a", "#!/bin/sh\necho\n", "no SPDX line"),
    ("banned", "src/vm/a.c", HEAD + "int f(void)\n{\n\treturn atoi(x);\n}\n", "atoi is banned"),
    ("banned", "net/a.c", HEAD + "void f(void)\n{\n\texit(1);\n}\n", "neither prints nor exits"),
    ("banned", "src/vm/a.c", HEAD + "/* " + "TO" + "DO: later */\n", "unfinished"),
    ("shell", "tests/a.sh", "if true; then\n", "tests/a.sh"),
]
# What looks like a fault and is none.
CLEAN = [
    ("layers", "src/manager/a.c", HEAD + '#include "vm/vm.h"\n#include "net/rule.h"\n'),
    ("banned", "net/a.c", HEAD + '/* exit(1) */\nconst char *s = "atoi(x)"; /* " */\n'),
    ("headers", "src/base/a.h", HEAD + "#ifndef A_H\n#define A_H\nstruct a { int b; };\n#endif\n"),
    ("style", "src/base/a.c", HEAD + LONG.replace("\tf();\n", "", 1)),
]


def lint(check, name, content):
    with tempfile.TemporaryDirectory() as top:
        path = os.path.join(top, name)
        os.makedirs(os.path.dirname(path))
        with open(path, "w", encoding="utf-8") as f:
            f.write(content)
        return subprocess.run([LINT, top, check] + sys.argv[1:], text=True, capture_output=True)


def main():
    print(f"1..{len(FAULTS) + len(CLEAN)}")
    failed = 0
    for n, (check, name, content, words) in enumerate(FAULTS, 1):
        p = lint(check, name, content)
        ok = p.returncode == 1 and words in p.stdout
        failed += not ok
        print(f"{'ok' if ok else 'not ok'} {n} - {check} tells: {words}")
    for n, (check, name, content) in enumerate(CLEAN, len(FAULTS) + 1):
        p = lint(check, name, content)
        failed += p.returncode != 0
        print(f"{'not ok' if p.returncode else 'ok'} {n} - {check} lets pass: {name}")
    return 1 if failed else 0


sys.exit(main())
