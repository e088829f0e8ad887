#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares `contractor dump` with PyYAML and with golden error texts: check.py DUMP FOLDER.

NAME.yaml must dump to the JSON that PyYAML's safe_load gives, types included, dates as the text
that stands there; where there is a NAME.error beside it, dump must fail with that text and status
2. UPDATE_GOLDEN=1 writes the NAME.error files anew. Then come inputs that are made here: scalars
by the thousand, and files too large, too deep or too odd to keep in the tree.
"""

import glob
import json
import math
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import time

import yaml

DUMP, FOLDER = os.path.abspath(sys.argv[1]), sys.argv[2]
HEAD = "worker-image: w.img\nsource: .\nworkspace: ws\nbuild: make\n"
QUICK = 1.0  # seconds of processor time that any refusal may take
STUCK = 5.0  # seconds on the clock, on a machine that has other work too
results = []


class Loader(yaml.SafeLoader):
    """safe_load, but for dates: JSON has none, so the text of the scalar stays."""


Loader.add_constructor("tag:yaml.org,2002:timestamp", Loader.construct_yaml_str)


def ok(good, name, why=""):
    results.append(good)
    print(f"{'ok' if good else 'not ok'} {len(results)} - {name}")
    if not good:
        print("\n".join("# " + line for line in str(why).split("\n")))


def dump(path, cwd=FOLDER):
    """Exit status, stdout, stderr, and the seconds that it took: endless when it was stuck."""
    start, used = time.monotonic(), cpu_time()
    try:
        p = subprocess.run([DUMP, path], cwd=cwd, capture_output=True, timeout=20)
    except subprocess.TimeoutExpired:
        return None, "", "hangs", math.inf
    took = cpu_time() - used if time.monotonic() - start < STUCK else math.inf
    return p.returncode, p.stdout.decode(), p.stderr.decode(errors="replace"), took


def cpu_time():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def no_duplicates(pairs):
    out = dict(pairs)
    if len(out) != len(pairs):
        raise ValueError(f"a key twice in the JSON: {[k for k, _ in pairs]}")
    return out


def difference(a, b, where="$"):
    """Where two trees differ in value, type or order of keys; None if nowhere."""
    if type(a) is not type(b):
        return f"{where}: {a!r} is not {b!r}"
    if isinstance(a, dict):
        if list(a) != list(b):
            return f"{where}: keys {list(a)} are not {list(b)}"
        return next(filter(None, (difference(a[k], b[k], f"{where}.{k}") for k in a)), None)
    if isinstance(a, list):
        if len(a) != len(b):
            return f"{where}: {len(a)} elements, not {len(b)}"
        return next(filter(None, (difference(x, y, f"{where}[{i}]")
                                  for i, (x, y) in enumerate(zip(a, b)))), None)
    return None if repr(a) == repr(b) else f"{where}: {a!r} is not {b!r}"


def check_same(name, path, cwd=FOLDER):
    try:
        with open(os.path.join(cwd, path), "rb") as f:
            want = json.loads(json.dumps(yaml.load(f, Loader)))
    except (yaml.YAMLError, TypeError, ValueError) as e:
        return ok(False, name, f"PyYAML: {e}")
    status, out, err, _ = dump(path, cwd)
    if status != 0:
        return ok(False, name, f"exit status {status}: {err}")
    try:
        got = json.loads(out, object_pairs_hook=no_duplicates)
    except ValueError as e:
        return ok(False, name, e)
    why = difference(got, want)
    ok(why is None, name, why)


def check_error(name, path, golden):
    status, out, err, took = dump(path)
    if os.environ.get("UPDATE_GOLDEN") and status == 2:
        with open(golden, "w", encoding="utf-8") as f:
            f.write(err)
    with open(golden, encoding="utf-8") as f:
        want = f.read()
    good = status == 2 and out == "" and err == want and took < QUICK
    ok(good, name, f"status {status} after {took:.2f} s, stdout {out!r}, stderr:\n{err}want:\n{want}")


def check_refused(name, path, words, cwd):
    """Refused within QUICK, in one line that has the words in it."""
    status, out, err, took = dump(path, cwd)
    good = status == 2 and out == "" and took < QUICK and words in err and err.count("\n") == 1
    ok(good, f"{name} ({took * 1000:.0f} ms)", f"status {status}, want {words!r}: {err[:500]!r}")


def corpus():
    specs = sorted(glob.glob(os.path.join(FOLDER, "*.yaml")))
    for path in specs:
        name = os.path.basename(path)
        golden = path[:-len("yaml")] + "error"
        if os.path.exists(golden):
            check_error(name, name, golden)
        else:
            check_same(name, name)
    ok(len(specs) >= 45, "at least 45 specs", f"only {len(specs)}")


def random_scalar(rng):
    pools = ["0123456789_.:+-eE", "01_b", "01234567_x", "0123456789abcdefABCDEF_x", "+-.infINF",
             ".nanNAN", "yesnoYESNO", "truefalsTRUEFALS", "onfONF", "~nulNUL", "0123456789-:TtZ. ",
             "<=~!.:-?%@`"]
    return "".join(rng.choice(rng.choice(pools[:1] + [rng.choice(pools)]))
                   for _ in range(rng.randint(1, 9)))


def usable(scalar):
    """The list entry, if PyYAML takes it and its value exists in JSON."""
    entry = f"- {scalar}\n"
    try:
        value = yaml.load(entry, Loader)
        json.dumps(value, allow_nan=False)
    except (yaml.YAMLError, ValueError, OverflowError, TypeError):
        return None
    return entry if isinstance(value, list) and not isinstance(value[0], (list, dict)) else None


def scalars(tmp):
    """Plain scalars at the borders of the types, from a fixed seed."""
    rng = random.Random(20240229)
    words = "yes no on off true false null ~ 0 00 0b 0x 1. .5 -.5 1e3 1.0e+3 1:30 08 0o7 .inf".split()
    words = [w.swapcase() if i % 2 else w.title() for i, w in enumerate(words)] + words
    entries = [e for e in map(usable, words + [random_scalar(rng) for _ in range(12000)]) if e]
    with open(os.path.join(tmp, "scalars.yaml"), "w") as f:
        f.write(HEAD + "ansible:\n" + "".join(entries))
    check_same(f"{len(entries)} scalars as PyYAML types them", "scalars.yaml", tmp)


def put(tmp, name, data):
    with open(os.path.join(tmp, name), "wb") as f:
        f.write(data)
    return name


def bomb(levels, width):
    lines = ["a0: &a0 lol"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * width)}]"
                               for i in range(1, levels)]
    return "\n".join(lines).encode() + b"\n"


def hostile(tmp):
    text = HEAD.encode()
    large = put(tmp, "large.yaml", text)
    os.truncate(os.path.join(tmp, large), 1 << 30)
    os.mkdir(os.path.join(tmp, "folder"))
    os.mkfifo(os.path.join(tmp, "fifo"))
    random.seed(7)
    anchors = b"".join(b"- &a%d x\n" % i for i in range(2000))
    cases = [
        (large, "is larger than the 262144 bytes"),
        ("folder", "folder: is a folder"),
        ("fifo", "fifo: is not a regular file"),
        ("missing.yaml", "missing.yaml: cannot open: No such file"),
        ("/dev/zero", "/dev/zero: is not a regular file"),
        (put(tmp, "empty", b""), "empty:1:1: is empty"),
        (put(tmp, "comment", b"# nothing\n"), "comment:1:1: is empty"),
        (put(tmp, "binary", random.randbytes(65536)), "is not UTF-8 text"),
        (put(tmp, "elf", b"\x7fELF\x02\x01\x01" + bytes(9)), "elf:1:1: is not UTF-8 text"),
        (put(tmp, "utf16", HEAD.encode("utf-16")), "utf16:1:1: is not UTF-8 text"),
        (put(tmp, "latin1", text + b"# \xe9\n"), "latin1:5:3: is not UTF-8 text"),
        (put(tmp, "nul", text + b"a\0b"), "nul:5:2: is not UTF-8 text"),
        (put(tmp, "brackets", b"[" * 200000), "more than 32 levels of nesting"),
        (put(tmp, "braces", b"{a: " * 60000), "more than 32 levels of nesting"),
        (put(tmp, "dashes", b"- " * 120000), "more than 32 levels of nesting"),
        (put(tmp, "questions", b"? " * 120000), "more than 32 levels of nesting"),
        (put(tmp, "steps", b"".join(b" " * i + b"a:\n" for i in range(600))),
         "more than 32 levels of nesting"),
        (put(tmp, "bomb", bomb(9, 9)), "aliases add more than 10000 nodes"),
        (put(tmp, "text-bomb", b"a: &a " + b"x" * 200000 + b"\nb: [" + b"*a, " * 10000 + b"]\n"),
         "aliases add more than 4194304 bytes"),
        (put(tmp, "merge-bomb", b"".join(
            b"a%d: &a%d {%s}\n" % (i, i, b", ".join(b"%dk%d: 1" % (i, j) for j in range(60))
                                   + (b", <<: *a%d" % (i - 1) if i else b"")) for i in range(90))),
         "aliases add more than 10000 nodes"),
        (put(tmp, "recursion", b"a: &a [*a]\n"), "inside its own anchor"),
        (put(tmp, "anchors", anchors), "more than 1000 anchors"),
        (put(tmp, "digits", text + b"env: {A: " + b"9" * 200000 + b"}\n"),
         "has more than 1024 characters"),
        (put(tmp, "keys", b"{" + b", ".join(b"k%x" % i for i in range(30000)) + b"}"),
         "unknown key"),
        (put(tmp, "same-keys", b"{" + b"a, " * 40000 + b"}"), 'the key "a" is there already'),
        (put(tmp, "long-key", text + b"? " + b"k" * 200000 + b"\n: 1\n"), "unknown key"),
        (put(tmp, "quote", text + b'build2: "' + b"\\n" * 100000), "found unexpected end of stream"),
        (put(tmp, "spaces", text + b" " * 200000 + b"x: 1\n"), "spaces:5:"),
        (put(tmp, "tags", text + b"a: " + b"!" * 100000), "tags:5:"),
        (put(tmp, "directives", b"%TAG !e! tag:example.org,2000:\n---\n" + text
             + b"env: !e!x {}\n"), "is not supported here"),
    ]
    for path, words in cases:
        check_refused(f"refused: {os.path.basename(path)}", path, words, tmp)


def accepted(tmp):
    """Large, but within every cap."""
    many = "".join(f"    V{i}: {i}\n" for i in range(12000))
    put(tmp, "many.yaml", (HEAD + "env:\n" + many).encode())
    check_same("12 000 variables", "many.yaml", tmp)
    deep = HEAD + "ansible: " + "[" * 31 + "]" * 31 + "\n"
    put(tmp, "deep.yaml", deep.encode())
    check_same("32 levels", "deep.yaml", tmp)
    put(tmp, "bom.yaml", b"\xef\xbb\xbf" + HEAD.encode())
    check_same("a byte order mark", "bom.yaml", tmp)
    put(tmp, "crlf.yaml", HEAD.replace("\n", "\r\n").encode())
    check_same("CRLF line ends", "crlf.yaml", tmp)
    aliases = HEAD + "ansible:\n- &a [1, 2, 3]\n" + "- *a\n" * 2499
    put(tmp, "aliases.yaml", aliases.encode())
    check_same("9996 nodes by alias", "aliases.yaml", tmp)


def manual(tmp):
    """The manual names every key that the parser knows, and its examples are specs."""
    top = os.path.join(FOLDER, "..", "..", "..")
    with open(os.path.join(top, "man", "contractor-spec.5.scd"), encoding="utf-8") as f:
        text = f.read()
    keys = set()
    for name in ("keys.c", "limits.c", "network.c"):
        with open(os.path.join(top, "src", "spec", name), encoding="utf-8") as f:
            keys |= set(re.findall(r'\{"([a-z-]+)", (?:read_|network_|offsetof)', f.read()))
    missing = sorted(k for k in keys if f"*{k}*" not in text)
    ok(len(keys) >= 28 and not missing, f"{len(keys)} keys are in the manual", missing)
    examples = re.findall(r"^```\n(.*?)^```$", text, re.M | re.S)
    for i, example in enumerate(examples):
        check_same(f"example {i + 1} of the manual",
                   put(tmp, f"manual{i}.yaml", example.encode()), tmp)
    ok(len(examples) >= 4, "the manual has examples", len(examples))


def usage():
    for args, status in (([], 2), (["a", "b"], 2), (["--nonsense"], 2), (["--help"], 0)):
        p = subprocess.run([DUMP] + args, capture_output=True, text=True)
        text = p.stdout if status == 0 else p.stderr
        ok(p.returncode == status and "contractor dump" in text, f"dump {args}", p)
    with open("/dev/full", "w") as full:
        p = subprocess.run([DUMP, "hello.yaml"], cwd=FOLDER, stdout=full, stderr=subprocess.PIPE)
    ok(p.returncode == 2 and b"No space left" in p.stderr, "a full stdout is told", p)


def main():
    with tempfile.TemporaryDirectory() as tmp:
        corpus()
        scalars(tmp)
        hostile(tmp)
        accepted(tmp)
        manual(tmp)
        usage()
    print(f"1..{len(results)}")
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
