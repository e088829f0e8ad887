#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules about the tree that no compiler checks: lint.py TOP CHECK [COMPILER ARGUMENT...].

Each check prints one line for each fault, "file:line: what", and exits 1 if there was any;
77 with a reason when the tool that it needs is not installed.
"""

import os
import re
import shutil
import subprocess
import sys

FOLDERS = ["src", "qmp", "net", "firmware", "tests", "subplot", "examples", "man", ".ci"]
SKIP_FOLDERS = {"__pycache__", "corpus", "ws", "workspace", "golden"}

# Lowest first. A module includes itself and lower layers, never its own layer's others or above.
LAYERS = [
    ["src/base"],
    ["qmp", "net"],
    ["src/spec", "src/archive", "src/image", "src/vm"],
    ["src/manager"],
    ["src/cli"],
]

# Library headers that few modules may know. src/image only unpacks a kernel's modules with it.
WRAPPED = [
    (re.compile(r"<yaml\.h>"), ["src/spec"]),
    (re.compile(r"<archive(_entry)?\.h>"), ["src/archive", "src/image"]),
    (re.compile(r"<netlink/"), ["net"]),
]

BANNED = re.compile(
    r"\b(strtol|strtoul|strtoll|strtoull|strtod|strtof|atoi|atol|atoll|atof|strcpy|strcat|strncpy|"
    r"strncat|sprintf|vsprintf|system|popen|gets|sleep|usleep|nanosleep|alloca|tmpnam|tempnam|"
    r"mktemp|strtok|rand|srand|setjmp|longjmp)\s*\("
)
LIBRARY_BANNED = re.compile(
    r"\b(printf|fprintf|vprintf|vfprintf|dprintf|puts|putchar|perror|exit|abort|err|errx|warn)\s*\("
)
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")

FILE_LINES = 600
FUNCTION_LINES = 60


def walk(top):
    """Every file of the project below the known folders and in the top folder, sorted."""
    found = [f for f in os.listdir(top) if os.path.isfile(os.path.join(top, f))]
    for folder in FOLDERS:
        for where, dirs, files in os.walk(os.path.join(top, folder)):
            dirs[:] = sorted(d for d in dirs if d not in SKIP_FOLDERS)
            found += [os.path.relpath(os.path.join(where, f), top) for f in files]
    return sorted(found)


def read(top, name):
    with open(os.path.join(top, name), encoding="utf-8", errors="surrogateescape") as f:
        return f.read()


def c_files(top):
    return [f for f in walk(top) if f.endswith((".c", ".h"))]


def code_only(text):
    """The text with comments and string contents blanked, line numbers kept."""

    def blank(m):
        s = m.group(0)
        if s.startswith(("/*", "//")):
            return re.sub(r"[^\n]", " ", s)
        return s[0] + re.sub(r"[^\n]", " ", s[1:-1]) + s[-1]

    pattern = r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'"
    return re.sub(pattern, blank, text, flags=re.S)


def module_of(name):
    for level, layer in enumerate(LAYERS):
        for module in layer:
            if name.startswith(module + "/"):
                return module, level
    return None, None


def included_module(module, header):
    """The module that a quoted include names; headers without a folder are the module's own."""
    if "/" not in header:
        return module
    first = header.split("/")[0]
    return first if first in ("qmp", "net") else "src/" + first


def check_layers(top, _):
    for name in c_files(top):
        module, level = module_of(name)
        if not module:
            continue
        for n, line in enumerate(read(top, name).split("\n"), 1):
            m = re.match(r'\s*#\s*include\s+(?:"([^"]+)"|(<[^>]+>))', line)
            if not m:
                continue
            if m.group(2):
                for pattern, owners in WRAPPED:
                    if pattern.match(m.group(2)) and module not in owners:
                        yield f"{name}:{n}: {m.group(2)} is for {' and '.join(owners)} alone"
                continue
            other = included_module(module, m.group(1))
            other_level = module_of(other + "/")[1]
            if other_level is None:
                yield f"{name}:{n}: {m.group(1)}: no such module"
            elif other != module and other_level >= level:
                yield f"{name}:{n}: {module} must not know {other}"


def check_headers(top, compiler):
    """Each header compiles alone, twice in a row."""
    for name in c_files(top):
        if not name.endswith(".h"):
            continue
        source = f'#include "{os.path.join(top, name)}"\n' * 2
        command = compiler + ["-fsyntax-only", "-Werror", "-I" + top, "-I" + top + "/src"]
        p = subprocess.run(command + ["-x", "c", "-"], input=source, text=True, capture_output=True)
        if p.returncode != 0:
            yield f"{name}:1: does not compile alone:\n{p.stderr}"


def check_format(top, _):
    if not shutil.which("clang-format"):
        print("clang-format is not installed")
        sys.exit(77)
    files = c_files(top)
    p = subprocess.run(["clang-format", "--dry-run", "-Werror"] + files, cwd=top, text=True,
                       capture_output=True)
    if p.returncode != 0:
        yield p.stderr + "\nclang-format -i puts it right"


def check_style(top, _):
    for name in c_files(top):
        text = read(top, name)
        lines = text.split("\n")
        if len(lines) - 1 > FILE_LINES:
            yield f"{name}:{len(lines) - 1}: over {FILE_LINES} lines"
        start = 0
        for n, line in enumerate(lines, 1):
            if line == "{":
                start = n
            elif line == "}" and start:
                if n - start - 1 > FUNCTION_LINES:
                    yield f"{name}:{start}: a function of {n - start - 1} lines, over {FUNCTION_LINES}"
                start = 0


def spdx_line(name, text):
    lines = text.split("\n")
    if name.endswith((".c", ".h")):
        return lines[0] == "/* SPDX-License-Identifier: GPL-3.0-or-later */"
    n = 1 if lines[0].startswith("#!") else 0
    return len(lines) > n and lines[n] == "# SPDX-License-Identifier: GPL-3.0-or-later"


def is_script(text):
    return re.match(r"#!.*\b(sh|bash|dash|python3?)\b", text) is not None


def check_spdx(top, _):
    for name in walk(top):
        text = read(top, name)
        if name.endswith((".c", ".h", ".py", ".sh")) or is_script(text):
            if not name.startswith("examples/") or is_script(text):
                if not spdx_line(name, text):
                    yield f"{name}:1: no SPDX line"
            if name.endswith((".c", ".h")) and not name.startswith("examples/"):
                if not text.split("\n")[1].startswith("/* "):
                    yield f"{name}:2: no sentence that says what the file owns"


def check_banned(top, _):
    for name in walk(top):
        text = read(top, name)
        if name.startswith("tests/lint/"):
            continue
        for n, line in enumerate(text.split("\n"), 1):
            if UNFINISHED.search(line):
                yield f"{name}:{n}: unfinished: {line.strip()}"
        if not name.endswith((".c", ".h")) or name.startswith(("tests/", "examples/")):
            continue
        library = name.startswith(("src/base/", "qmp/", "net/")) and name != "src/base/log.c"
        for n, line in enumerate(code_only(text).split("\n"), 1):
            if line.lstrip().startswith("#pragma GCC poison"):
                continue
            if m := BANNED.search(line):
                yield f"{name}:{n}: {m.group(1)} is banned"
            if library and (m := LIBRARY_BANNED.search(line)):
                yield f"{name}:{n}: {m.group(1)}: a library neither prints nor exits"


def check_shell(top, _):
    scripts = []
    for name in walk(top):
        m = re.match(r"#!\s*\S*?\b(sh|bash|dash)\b", read(top, name))
        if m or name.endswith(".sh"):
            scripts.append((name, m.group(1) if m else "sh"))
    for name, shell in scripts:
        p = subprocess.run([shell, "-n", name], cwd=top, text=True, capture_output=True)
        if p.returncode != 0:
            yield f"{name}: {p.stderr}"
        if name.startswith("firmware/"):
            continue
        if not os.access(os.path.join(top, name), os.X_OK) and read(top, name).startswith("#!"):
            yield f"{name}:1: has #! and is not executable"
    if shutil.which("shellcheck"):
        p = subprocess.run(["shellcheck", "-x", "-S", "style"] + [n for n, _ in scripts], cwd=top,
                           text=True, capture_output=True)
        if p.returncode != 0:
            yield p.stdout


CHECKS = {
    "layers": check_layers,
    "headers": check_headers,
    "format": check_format,
    "style": check_style,
    "spdx": check_spdx,
    "banned": check_banned,
    "shell": check_shell,
}


def main():
    if len(sys.argv) < 3 or sys.argv[2] not in CHECKS:
        print(f"usage: lint.py TOP {'|'.join(CHECKS)} [COMPILER...]", file=sys.stderr)
        return 2
    failed = 0
    for fault in CHECKS[sys.argv[2]](os.path.abspath(sys.argv[1]), sys.argv[3:]):
        print(fault)
        failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
