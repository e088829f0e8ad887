#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives of changes to a layer, as a hostile or broken worker may return them.

usage: whiteouts.py TOOL [NAME...]

A case has a base (what the worker had below its workspace), an archive, and what must come of it:
a code and words of the sentence, or OK and the tree. EITHER may be refused or not, for what no
overlay gives; the tree is looked at all the same. Nothing but the new tree may change around it.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hostile import KIB, snapshot, write_archive  # noqa: E402
from tarlib import *  # noqa: E402,F403

CASES = {}
EITHER = ("OK", "EBADMSG")
# Contents by path; None is a folder, text a link.
BASE = {"src/a": b"base a\n", "src/b": b"base b\n", "src/d/x": b"base x\n", "src/d/sub/y": b"base y\n",
        "src/empty": None, "src/l": "a", "src/dl": "d", "src/out": "/etc/passwd", "src/up": "../../outside",
        "saved/f": b"saved\n", "saved/checked": "../src/d/../a", "src/z/z/z/z": b"last of all\n"}


def case(code="OK", *words, limit="", base=None, **options):
    """Registers a builder of (archive, changes), or of an archive alone where no tree may come.

    `changes` are what differs from the base: contents as in BASE, Ellipsis for what has gone.
    """
    def add(fn):
        CASES[fn.__name__.replace("_", "-")] = (fn, (code,) if isinstance(code, str) else code, words,
                                                limit, BASE if base is None else base, options)
        return fn
    return add


def refused(*words):
    return case("EBADMSG", *words)


def white(name, major=0, minor=0, **more):
    return header(name, kind=more.pop("kind", b"3"), devices=octal(major, 8) + octal(minor, 8), **more)


# What an overlay gives

@case()
def nothing_changed():
    return SRC + END, {}


@case()
def removed():
    return SRC + white(b"workspace/src/a") + white(b"workspace/saved") + END, {
        "src/a": ..., "saved": ...}


@case()
def removed_folder():
    return SRC + white(b"workspace/src/d") + END, {"src/d": ...}


@case()
def removed_links():
    return (SRC + white(b"workspace/src/l") + white(b"workspace/src/dl") + white(b"workspace/src/out") +
            END, {"src/l": ..., "src/dl": ..., "src/out": ...})


@case()
def removed_last_of_a_folder():
    return SRC + folder(b"workspace/src/d") + white(b"workspace/src/d/x") + END, {"src/d/x": ...}


@case()
def whole_source_gone():
    return TOP + white(b"workspace/src") + SRC + file(b"workspace/src/new", b"new") + END, {
        "src": ..., "src/new": b"new"}


@case()
def file_over_file():
    return SRC + file(b"workspace/src/a", b"new a") + END, {"src/a": b"new a"}


@case()
def whiteout_then_file():
    return SRC + white(b"workspace/src/a") + file(b"workspace/src/a", b"new a") + END, {"src/a": b"new a"}


@case()
def file_over_folder():
    return SRC + file(b"workspace/src/d", b"a file now") + END, {"src/d": ..., "src/d ": b"a file now"}


@case()
def file_over_links():
    return (SRC + file(b"workspace/src/l", b"1") + file(b"workspace/src/out", b"2") +
            file(b"workspace/src/dl", b"3") + END, {"src/l": b"1", "src/out": b"2", "src/dl": b"3"})


@case()
def symlink_over_all_kinds():
    return (SRC + symlink(b"workspace/src/a", b"b") + symlink(b"workspace/src/d", b"empty") +
            symlink(b"workspace/src/l", b"b") + END,
            {"src/a": "b", "src/d": ..., "src/d ": "empty", "src/l": "b"})


@case()
def outside_link_over_all_kinds():
    return (SRC + symlink(b"workspace/src/a", b"/1") + symlink(b"workspace/src/d", b"/2") +
            symlink(b"workspace/src/out", b"/3") + END,
            {"src/a": "/1", "src/d": ..., "src/d ": "/2", "src/out": "/3"})


@case()
def folder_over_folder():
    return (SRC + folder(b"workspace/src/d", 0o700) + file(b"workspace/src/d/new", b"new") + END,
            {"src/d/new": b"new"})


@case()
def whiteout_then_folder():
    return (SRC + white(b"workspace/src/d") + folder(b"workspace/src/d") +
            file(b"workspace/src/d/new", b"new") + END, {"src/d": ..., "src/d/new": b"new"})


@case()
def folder_over_file():
    return (SRC + white(b"workspace/src/a") + folder(b"workspace/src/a") +
            file(b"workspace/src/a/x", b"x") + END, {"src/a": ..., "src/a/x": b"x"})


@case()
def hardlink_to_base():
    return SRC + hardlink(b"workspace/src/h", b"workspace/src/a") + END, {"src/h": b"base a\n"}


@case()
def hardlink_over_base():
    return (SRC + file(b"workspace/src/n", b"n") + hardlink(b"workspace/src/a", b"workspace/src/n") +
            hardlink(b"workspace/src/d", b"workspace/src/n") + END,
            {"src/n": b"n", "src/a": b"n", "src/d": ..., "src/d ": b"n"})


@case()
def wh_files_are_files():
    return (SRC + file(b"workspace/src/.wh.a", b"1") + file(b"workspace/src/.wh..wh..opq", b"2") + END,
            {"src/.wh.a": b"1", "src/.wh..wh..opq": b"2"})


@case(base={f"src/n{i}": b"" for i in range(3000)})
def thousands_removed():
    return (SRC + b"".join(white(b"workspace/src/n%d" % i) for i in range(1, 3000)) + END,
            {f"src/n{i}": ... for i in range(1, 3000)})


# What no overlay gives, but does no harm

@case(EITHER)
def nothing_there():
    return SRC + white(b"workspace/src/none") + white(b"workspace/none/none/none") + END, {}


@case(EITHER)
def twice():
    return SRC + white(b"workspace/src/a") + white(b"workspace/src/a") + END, {"src/a": ...}


@case(EITHER)
def whiteout_after_its_file():
    return SRC + file(b"workspace/src/n") + white(b"workspace/src/n") + END, {}


@case(EITHER)
def whiteout_of_the_folder_one_is_in():
    return (SRC + folder(b"workspace/src/d") + file(b"workspace/src/d/1", b"1") + white(b"workspace/src/d") +
            file(b"workspace/src/d/2", b"2") + END, {"src/d": ..., "src/d/2": b"2"})


@case(EITHER)
def whiteout_named_as_folder():
    return SRC + white(b"workspace/src/d/") + END, {"src/d": ...}


@case(EITHER)
def same_file_twice():
    return (SRC + file(b"workspace/src/a", b"1") + file(b"workspace/src/a", b"2") + END, {"src/a": b"2"})


@case(EITHER)
def below_a_base_file():
    return SRC + white(b"workspace/src/a/x") + END, {}


@case(EITHER)
def below_a_base_symlink():
    return SRC + white(b"workspace/src/dl/x") + white(b"workspace/src/up/canary") + END, {}


@case(EITHER)
def below_a_new_symlink():
    return SRC + symlink(b"workspace/src/n", b"d") + white(b"workspace/src/n/x") + END, {"src/n": "d"}


@case(EITHER)
def folder_over_base_symlink():
    return (SRC + folder(b"workspace/src/dl") + file(b"workspace/src/dl/x", b"new") + END,
            {"src/dl": ..., "src/dl/x": b"new"})


@case(EITHER)
def folder_over_base_outside_link():
    return (SRC + folder(b"workspace/src/up") + file(b"workspace/src/up/canary", b"new") + END,
            {"src/up": ..., "src/up/canary": b"new"})


@case(EITHER)
def folder_over_base_file_alone():
    return SRC + folder(b"workspace/src/a") + END, {"src/a": ..., "src/a ": None}


# Ways out

@refused("'..'")
def dotdot():
    return SRC + white(b"workspace/../outside/canary") + END


@refused("'..'")
def dotdot_last():
    return SRC + white(b"workspace/src/..") + END


@refused("'..'")
def dotdot_alone():
    return SRC + white(b"..") + END


@refused("absolute")
def absolute():
    return SRC + white(b"/etc/passwd") + END


@refused("outside")
def outside_top():
    return SRC + white(b"canary") + END


@refused("absolute")
def absolute_by_pax():
    return SRC + pax([(b"path", b"/etc/passwd")]) + white(b"workspace/src/a") + END


@refused("'.'")
def dot():
    return SRC + white(b"workspace/.") + END


@refused("'workspace'")
def top():
    return white(b"workspace") + SRC + END


@refused("'workspace")
def top_slash():
    return SRC + white(b"workspace/") + END


@refused("64 folders")
def too_deep():
    return SRC + white(b"workspace/" + b"d/" * 40 + b"x") + white(b"workspace/" + b"d/" * 20 + b"x",
                                                                   prefix=b"workspace/" + b"d/" * 60) + END


@refused("workspace/src/d/x", "no folder")
def file_through_new_symlink():
    """A link takes the place of a folder of the base; what is below it is not reached any more."""
    return SRC + symlink(b"workspace/src/d", b"empty") + file(b"workspace/src/d/x") + END


@refused("workspace/src/d/canary", "no folder")
def file_through_new_outside_link():
    return (SRC + white(b"workspace/src/d") + symlink(b"workspace/src/d", b"../../outside") +
            file(b"workspace/src/d/canary") + END)


@refused("workspace/src/dl/x", "no folder")
def file_through_base_symlink():
    return SRC + file(b"workspace/src/dl/x") + END


@refused("workspace/src/up/canary", "no folder")
def file_through_base_outside_link():
    return SRC + file(b"workspace/src/up/canary") + END


@refused("workspace/src/up/d", "no folder")
def folder_through_base_outside_link():
    return SRC + folder(b"workspace/src/up/d") + END


@refused("workspace/src/a/x", "no folder")
def file_below_base_file():
    return SRC + file(b"workspace/src/a/x") + END


@refused("workspace/src/h", "not in the archive")
def hardlink_to_removed():
    return SRC + white(b"workspace/src/a") + hardlink(b"workspace/src/h", b"workspace/src/a") + END


@refused("workspace/src/h")
def hardlink_through_base_outside_link():
    return SRC + hardlink(b"workspace/src/h", b"workspace/src/up/canary") + END


@refused("workspace/src/h", "no regular file")
def hardlink_to_base_symlink():
    return SRC + hardlink(b"workspace/src/h", b"workspace/src/l") + END


@refused("workspace/src/h", "no regular file")
def hardlink_to_base_outside_link():
    return SRC + hardlink(b"workspace/src/h", b"workspace/src/out") + END


@refused("workspace/src/h", "no regular file")
def hardlink_to_base_folder():
    return SRC + hardlink(b"workspace/src/h", b"workspace/src/d") + END


@refused("workspace/src/a")
def hardlink_over_its_target():
    return SRC + hardlink(b"workspace/src/a", b"workspace/src/a") + END


@refused("workspace/src/d")
def hardlink_over_its_target_folder():
    return SRC + hardlink(b"workspace/src/d", b"workspace/src/d/x") + END


# Other devices

@refused("workspace/src/a", "neither")
def null():
    return SRC + white(b"workspace/src/a", 1, 3) + END


@refused("workspace/src/a", "neither")
def minor():
    return SRC + white(b"workspace/src/a", 0, 1) + END


@refused("workspace/src/a", "neither")
def major():
    return SRC + white(b"workspace/src/a", 1, 0) + END


@refused("workspace/src/a", "neither")
def block():
    return SRC + white(b"workspace/src/a", kind=b"4") + END


@refused("workspace/src/a", "neither")
def fifo():
    return SRC + white(b"workspace/src/a", kind=b"6") + END


@refused("workspace/src/a", "neither")
def number_by_pax():
    return SRC + pax([(b"SCHILY.devmajor", b"1"), (b"SCHILY.devminor", b"3")]) + white(
        b"workspace/src/a") + END


@case(EITHER)
def number_of_33_bits():
    """Cut off it would be 0:0."""
    return SRC + header(b"workspace/src/a", kind=b"3",
                        devices=base256(1 << 32, 8) + base256(1 << 32, 8)) + END, {"src/a": ...}


@case(EITHER)
def with_content():
    return (SRC + white(b"workspace/src/a", size=5) + pad(b"DATA\n") + END, {"src/a": ...})


@case(EITHER)
def with_a_target():
    return SRC + white(b"workspace/src/a", link=b"/etc/passwd") + END, {"src/a": ...}


@case("EBADMSG", "workspace/src/a", "neither", base=())
def without_a_base():
    """By tar there is nothing to be removed."""
    return SRC + white(b"workspace/src/a") + END


# Limits are those of the whole tree

TEN = {f"src/n{i}": b"n" * 100 * KIB for i in range(10)}


@case("E2BIG", limit="files", base=TEN, entries=20)
def files_of_both():
    return SRC + b"".join(file(b"workspace/src/m%d" % i) for i in range(12)) + END


@case("E2BIG", limit="files", base=TEN, entries=8)
def files_of_the_base():
    return SRC + END


@case(base=TEN, entries=13)
def files_replaced():
    """Top, src and ten; one removed, two new, one replaced, some twice."""
    return (SRC + SRC + SRC + white(b"workspace/src/n0") + file(b"workspace/src/n1", b"1") +
            file(b"workspace/src/m0", b"0") + file(b"workspace/src/m1", b"1") + END,
            {"src/n0": ..., "src/n1": b"1", "src/m0": b"0", "src/m1": b"1"})


@case("E2BIG", limit="output", base=TEN, bytes="1100KiB")
def bytes_of_both():
    return SRC + file(b"workspace/src/m", bytes(200 * KIB)) + END


@case("E2BIG", limit="output", base=TEN, bytes="500KiB")
def bytes_of_the_base():
    return SRC + END


@case(base=TEN, bytes="500KiB")
def bytes_removed():
    """A base over the limit of which enough goes."""
    return (SRC + b"".join(white(b"workspace/src/n%d" % i) for i in range(6)) + END,
            {f"src/n{i}": ... for i in range(6)})


@case(base=TEN, bytes="1050KiB")
def bytes_replaced():
    new = b"m" * 100 * KIB
    return (SRC + b"".join(file(b"workspace/src/n%d" % i, new) for i in range(10)) + END,
            {f"src/n{i}": new for i in range(10)})


def tiny_in_a_hole(name):
    """One byte, of a file of 64 KiB."""
    body = pad(b"2\n0\n1\n65536\n0\n") + b"x"
    return (pax([(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.name", name),
                 (b"GNU.sparse.realsize", b"65536")]) + header(b"x", len(body)) + pad(body))


@case("E2BIG", limit="output", base=TEN, bytes="1200KiB")
def count_by_what_is_removed():
    """Files that are made and removed do not pay for others."""
    return (SRC + (tiny_in_a_hole(b"workspace/src/t") + white(b"workspace/src/t")) * 400 +
            file(b"workspace/src/m", b"m" * 300 * KIB) + END)


@case("E2BIG", limit="output", base=TEN, bytes="1200KiB")
def count_by_names_removed():
    """A file of two names is there until both are gone."""
    return (SRC + b"".join(hardlink(b"workspace/src/h%d" % i, b"workspace/src/n%d" % i) +
                           white(b"workspace/src/h%d" % i) for i in range(10)) +
            file(b"workspace/src/m", b"m" * 300 * KIB) + END)


@case(("OK", "EBADMSG", "E2BIG"), base={"src/a": b"a"}, entries=1000)
def whiteouts_without_end():
    """Two hundred thousand of what is not there."""
    return (SRC + b"".join(white(b"workspace/src/d%d/e/f" % i) for i in range(200000)) + END, {})


@case("ETIMEDOUT", "0.30 s", base={"src/a": b"a"}, deadline="300ms", entries=1000)
def made_and_removed_without_end():
    return SRC + (file(b"workspace/src/t") + white(b"workspace/src/t")) * 100000 + END


def make_base(top, base):
    """The folders of source and saved workspace."""
    for path, what in base.items():
        path = os.path.join(top, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if what is None:
            os.makedirs(path)
        elif isinstance(what, str):
            os.symlink(what, path)
        else:
            with open(path, "wb") as f:
                f.write(what)


def wanted(base, changes):
    """The tree that should come, and the links that lead out; folders by what is in them."""
    tree = dict(base)
    for path, what in changes.items():
        if what is ...:
            gone = [p for p in tree if p == path or p.startswith(path + "/")]
            tree = {p: v for p, v in tree.items() if p not in gone}
            if "/" in path:
                tree[os.path.dirname(path)] = None
    tree.update({p.rstrip(): v for p, v in changes.items() if v is not ...})
    for path in list(tree):
        while "/" in path:
            path = os.path.dirname(path)
            tree[path] = None
    out = {p: v for p, v in tree.items() if isinstance(v, str) and
           (v.startswith("/") or v.startswith("../../"))}
    # the way through d and back is only inside while there is a d, and something at its end
    checked = "saved/checked"
    if checked in tree and ("src/a" not in tree or isinstance(tree.get("src/d", b""), bytes) or
                            "src/a" in out or "src/d" in out):
        out[checked] = tree[checked]
    return {p: v for p, v in tree.items() if p not in out}, out


def found(top):
    tree = {}
    for where, dirs, files in os.walk(top):
        for name in dirs + files:
            path = os.path.join(where, name)
            rel = os.path.relpath(path, top)
            if os.path.islink(path):
                tree[rel] = os.readlink(path)
            elif os.path.isdir(path):
                tree[rel] = None
            else:
                with open(path, "rb") as f:
                    tree[rel] = f.read()
    return tree


def look(top, fresh, links, base, changes):
    tree, out = wanted(base, changes)
    tree.setdefault("src", None)
    got = found(fresh)
    assert got == tree, sorted(set(k for k in {**got, **tree} if got.get(k, 0) != tree.get(k, 0)))[:9]
    with open(links, "rb") as f:
        texts = f.read().decode().split("\0")[:-1]
    assert dict(zip(texts[::2], texts[1::2])) == out, (texts, out)
    assert os.listdir(os.path.join(top, "parent/outside")) == ["canary"]
    return len(tree) + len(out) + 1


def run(tool, top, name, linked):
    """`linked`: all of the base is in the saved workspace, whose files may become the result's."""
    fn, codes, words, limit, base, options = CASES[name]
    parent, archive, links = (os.path.join(top, n) for n in ("parent", "archive.tar", "links"))
    fresh = os.path.join(parent, "fresh")
    made = fn()
    data, changes = made if isinstance(made, tuple) else (made, None)
    write_archive(archive, data)
    args = [tool, "output", archive, parent, "fresh", options.get("bytes", "1GiB"),
            str(options.get("entries", 100000)), options.get("deadline", "60s"), links]
    if base != ():
        make_base(os.path.join(parent, "base"), base)
        args += [os.path.join(parent, "empty" if linked else "base/src"), os.path.join(parent, "base")]
        args += args[-1:] if linked else []
        time.sleep(0.02)  # what is as young as the layer is not taken for known
    before = snapshot(parent)
    out = subprocess.run(args, stdout=subprocess.PIPE, timeout=120, check=False)
    got = json.loads(out.stdout)
    assert got["code"] in codes, got
    assert got["limit"] == limit, got
    for w in words:
        assert w in got["error"], (w, got["error"])
    if got["code"] == "OK":
        assert changes is not None
        entries = look(top, fresh, links, base, changes)
        assert got["entries"] == entries, (got, entries)
        shutil.rmtree(fresh)
    assert snapshot(parent) == before, "something is left or changed"


def main():
    tool = os.path.abspath(sys.argv[1])
    names = sys.argv[2:] or list(CASES)
    plan = [(name, linked) for name in names for linked in (False, True)]
    failed = 0
    print(f"1..{len(plan)}")
    for i, (name, linked) in enumerate(plan, 1):
        with tempfile.TemporaryDirectory() as top:
            for d in ("outside", "base/src", "empty"):
                os.makedirs(os.path.join(top, "parent", d))
            for f in ("parent/outside/canary", "parent/canary"):
                with open(os.path.join(top, f), "w", encoding="ascii") as out:
                    out.write("untouched\n")
            start = time.monotonic()
            text = name + (" over a workspace" if linked else "")
            try:
                run(tool, top, name, linked)
                print(f"ok {i} - {text} # {time.monotonic() - start:.2f} s")
            except Exception as error:  # pylint: disable=broad-except
                failed += 1
                print(f"not ok {i} - {text}\n# {type(error).__name__}: {error!s:.600}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
