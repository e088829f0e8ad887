#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives that a hostile or broken worker may return: each must be refused by name, or do no harm.

usage: hostile.py TOOL [NAME...]

Every case says what must come of it: the error code and words of the sentence, or OK and a check of
the tree. After each case nothing but the allowed tree may have changed around it.
"""
import gzip
import hashlib
import io
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
import zipfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tarlib import *  # noqa: E402,F403

CASES = {}
OUTSIDE = b""  # a folder beside the one that is unpacked, as an absolute path
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


def case(code, words=(), check=None, limit="", **options):
    """Registers a builder. `words` must all be in the error; `options` go to the tool."""
    def add(fn):
        CASES[fn.__name__.replace("_", "-")] = (fn, code, (words,) if isinstance(words, str)
                                                else words, check, limit, options)
        return fn
    return add


def refused(*words):
    return case("EBADMSG", words)


# Paths that lead out

@refused("workspace/../evil", "'..'")
def dotdot():
    return SRC + file(b"workspace/../evil") + END


@refused("workspace/src/../../../evil", "'..'")
def dotdot_deep():
    return SRC + file(b"workspace/src/../../../evil") + END


@refused("'..'")
def dotdot_alone():
    return SRC + folder(b"..") + END


@refused("workspace/src/..", "'..'")
def dotdot_last():
    return SRC + file(b"workspace/src/..") + END


@refused("/tmp/evil", "absolute")
def absolute():
    return SRC + file(b"/tmp/evil") + END


@refused("//workspace/evil", "absolute")
def absolute_twice():
    return SRC + file(b"//workspace/evil") + END


@refused("'..'")
def absolute_by_prefix():
    return SRC + file(b"evil", prefix=b"workspace/..") + END


@refused("'evil'", "outside")
def outside_top():
    return SRC + file(b"evil") + END


@refused("'workspaces/evil'", "outside")
def top_prefix():
    return SRC + file(b"workspaces/evil") + END


@refused("'.'")
def dot_slash():
    return SRC + file(b"./workspace/evil") + END


@refused("'.'")
def dot_inside():
    return SRC + file(b"workspace/./evil") + END


@refused("empty name")
def empty_component():
    return SRC + file(b"workspace//evil") + END


@refused("no name")
def no_name():
    return SRC + file(b"") + END


# Links

@refused("workspace/l/pwn", "no folder")
def through_symlink_inside():
    return SRC + symlink(b"workspace/l", b"src") + file(b"workspace/l/pwn") + END


@refused("workspace/l/pwn", "no folder")
def through_symlink_outside():
    return SRC + symlink(b"workspace/l", OUTSIDE) + file(b"workspace/l/pwn") + END


@refused("workspace/l/pwn", "no folder")
def through_symlink_checked():
    return (SRC + symlink(b"workspace/l", b"src/../../outside") + file(b"workspace/l/pwn") + END)


@refused("workspace/l", "twice")
def file_over_symlink():
    return SRC + symlink(b"workspace/l", OUTSIDE + b"/canary") + file(b"workspace/l") + END


@refused("workspace/l", "no folder")
def folder_over_symlink():
    return SRC + symlink(b"workspace/l", b"src") + folder(b"workspace/l") + END


@refused("workspace/l", "twice")
def symlink_over_symlink():
    return SRC + symlink(b"workspace/l", b"src") + symlink(b"workspace/l", b"/etc") + END


@refused("workspace/src", "twice")
def symlink_over_folder():
    return SRC + symlink(b"workspace/src", b"/etc") + END


@refused("workspace", "link where")
def symlink_as_top():
    return symlink(b"workspace", b"/etc") + file(b"workspace/passwd") + END


@refused("workspace/l", "without a target")
def symlink_without_target():
    return SRC + symlink(b"workspace/l", b"") + END


@refused("workspace/h", "outside the workspace")
def hardlink_absolute():
    return SRC + hardlink(b"workspace/h", OUTSIDE + b"/canary") + END


@refused("workspace/h", "outside the workspace")
def hardlink_dotdot():
    return SRC + hardlink(b"workspace/h", b"workspace/../outside/canary") + END


@refused("workspace/h", "outside the workspace")
def hardlink_to_top():
    return SRC + hardlink(b"workspace/h", b"workspace") + END


@refused("workspace/h", "no folder")
def hardlink_through_symlink():
    return (SRC + symlink(b"workspace/l", OUTSIDE) +
            hardlink(b"workspace/h", b"workspace/l/canary") + END)


@refused("workspace/h", "no regular file")
def hardlink_to_symlink():
    return (SRC + symlink(b"workspace/l", OUTSIDE + b"/canary") +
            hardlink(b"workspace/h", b"workspace/l") + file(b"workspace/h") + END)


@refused("workspace/h", "no regular file")
def hardlink_to_folder():
    return SRC + hardlink(b"workspace/h", b"workspace/src") + END


@refused("workspace/h", "not in the archive")
def hardlink_to_nothing():
    return SRC + hardlink(b"workspace/h", b"workspace/none") + END


@refused("workspace/h", "not in the archive")
def hardlink_to_itself():
    return SRC + hardlink(b"workspace/h", b"workspace/h") + END


@refused("workspace/h", "content of its own")
def hardlink_with_content():
    return (SRC + file(b"workspace/a") + pax([(b"size", b"5")]) +
            hardlink(b"workspace/h", b"workspace/a", b"EVIL\n") + END)


@refused("workspace/h", "twice")
def hardlink_over_file():
    return SRC + file(b"workspace/a") + file(b"workspace/h") + hardlink(
        b"workspace/h", b"workspace/a") + END


# Types

@refused("workspace/dev", "neither")
def device_char():
    return SRC + header(b"workspace/dev", kind=b"3", devices=octal(1, 8) + octal(3, 8)) + END


@refused("workspace/dev", "neither")
def device_block():
    return SRC + header(b"workspace/dev", kind=b"4", devices=octal(254, 8) + octal(0, 8)) + END


@refused("workspace/fifo", "neither")
def fifo():
    return SRC + header(b"workspace/fifo", kind=b"6") + END


@refused("workspace", "file where")
def top_is_file():
    return file(b"workspace") + END


@refused("workspace/a/")
def file_named_as_folder():
    return SRC + pax([(b"path", b"workspace/a/")]) + file(b"x") + END


def no_special_bits(tree):
    st = os.lstat(os.path.join(tree, "su"))
    assert stat.S_IMODE(st.st_mode) == 0o755, oct(st.st_mode)
    st = os.lstat(os.path.join(tree, "sticky"))
    assert stat.S_IMODE(st.st_mode) == 0o777, oct(st.st_mode)
    assert os.lstat(tree).st_mode & 0o7000 == 0


@case("OK", check=no_special_bits)
def suid():
    return (folder(b"workspace", 0o7755) + file(b"workspace/su", mode=0o6755) +
            folder(b"workspace/sticky", mode=0o3777) + END)


def is_usable(tree):
    for name in ("f", "d"):
        assert os.lstat(os.path.join(tree, name)).st_mode & 0o600 == 0o600
    assert os.lstat(os.path.join(tree, "d")).st_mode & 0o700 == 0o700
    assert os.path.exists(os.path.join(tree, "d/x"))


@case("OK", check=is_usable)
def mode_zero():
    return (folder(b"workspace", 0) + file(b"workspace/f", mode=0) +
            folder(b"workspace/d", mode=0) + file(b"workspace/d/x", mode=0) + END)


def volume_check(tree):
    assert os.listdir(tree) == ["a"], os.listdir(tree)


@case("OK", check=volume_check)
def volume_label():
    return header(b"/VOLUME", kind=b"V", magic=b"ustar  \0") + TOP + file(b"workspace/a") + END


@refused("/tmp/part")
def multi_volume():
    return SRC + header(b"/tmp/part", 5, kind=b"M", magic=b"ustar  \0") + pad(b"data\n") + END


@refused("../dump")
def dump_folder():
    return SRC + header(b"../dump", 5, kind=b"D", magic=b"ustar  \0") + pad(b"Yevil") + END


@refused("../odd")
def unknown_type():
    return SRC + header(b"../odd", 5, kind=b"q") + pad(b"data\n") + END


# The same name more than once

@refused("workspace/a", "twice")
def duplicate_file():
    return SRC + file(b"workspace/a") + file(b"workspace/a", b"other") + END


@refused("workspace/a", "no folder")
def folder_over_file():
    return SRC + file(b"workspace/a") + folder(b"workspace/a") + END


@refused("workspace/a/b", "no folder")
def file_below_file():
    return SRC + file(b"workspace/a") + file(b"workspace/a/b") + END


@refused("workspace/src", "twice")
def file_over_folder():
    return SRC + file(b"workspace/src") + END


def both_cases(tree):
    assert sorted(os.listdir(tree)) == ["A", "a"], os.listdir(tree)


@case("OK", check=both_cases)
def case_differs():
    return TOP + file(b"workspace/A", b"1") + file(b"workspace/a", b"2") + END


@case("OK")
def duplicate_folder():
    return SRC + file(b"workspace/src/a") + SRC + file(b"workspace/src/b") + END


# Too much

@case("E2BIG", "1000 files", limit="files", entries=1000)
def million_entries():
    model = header(b"workspace/f0000000")
    base = sum(model[:148]) + sum(model[156:]) + 8 * 32
    zero = sum(b"0000000")
    yield SRC
    for i in range(1000):
        block = bytearray(model * 1000)
        for j in range(1000):
            digits = b"%07d" % (i * 1000 + j)
            block[j * BLOCK + 11:j * BLOCK + 18] = digits
            block[j * BLOCK + 148:j * BLOCK + 156] = b"%06o\0 " % (base - zero + sum(digits))
        yield bytes(block)
    yield END


@case("E2BIG", "1000 files", limit="files", entries=1000)
def million_folders_implied():
    yield TOP
    for i in range(500):
        yield header(b"workspace/%d/a/b/c/f" % i)
    yield END


@case("E2BIG", "workspace/big", limit="output", bytes="1MiB")
def big_file():
    return SRC + file(b"workspace/big", bytes(MIB + 1)) + END


@case("E2BIG", "workspace/f1", limit="output", bytes="1MiB")
def many_files_too_big():
    return SRC + b"".join(file(b"workspace/f%d" % i, bytes(100 * KIB)) for i in range(20)) + END


@case("E2BIG", "workspace/big", limit="output", bytes="64MiB")
def size_of_8_gib():
    return SRC + header(b"workspace/big", size_field=b"77777777777\0") + END


@case("E2BIG", "workspace/big", limit="output")
def size_base256_huge():
    return SRC + header(b"workspace/big", size_field=base256(2**62, 12)) + END


@case("E2BIG", "workspace/big", limit="output")
def size_pax_huge():
    return SRC + pax([(b"size", b"4611686018427387904")]) + header(b"workspace/big") + END


@refused()
def size_pax_overflow():
    return SRC + pax([(b"size", b"99999999999999999999999999")]) + header(b"workspace/big") + END


@refused()
def size_pax_negative():
    return SRC + pax([(b"size", b"-5")]) + header(b"workspace/big") + END


@refused()
def size_base256_negative():
    return SRC + header(b"workspace/neg", size_field=base256(-512, 12)) + END


@refused()
def size_lies_long():
    return SRC + header(b"workspace/lie", 10 * MIB) + pad(b"short\n") + END


@refused()
def size_lies_short():
    return SRC + header(b"workspace/lie", 5) + b"x" * 2048 + END


def sparse_1_0(name, real, stretches, data, **more):
    body = b"%d\n" % len(stretches) + b"".join(b"%d\n%d\n" % s for s in stretches)
    body = pad(body) + data
    return (pax([(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"),
                 (b"GNU.sparse.name", name), (b"GNU.sparse.realsize", b"%d" % real)]) +
            header(b"GNUSparseFile.0/x", len(body), **more) + pad(body))


@case("E2BIG", "workspace/bomb", limit="output", bytes="1MiB")
def sparse_bomb():
    return SRC + sparse_1_0(b"workspace/bomb", 1 << 50, [(1 << 49, 5)], b"data\n") + END


@case("E2BIG", limit="output", bytes="1MiB")
def sparse_bombs_many():
    return SRC + b"".join(sparse_1_0(b"workspace/b%d" % i, 4 * MIB, [(MIB, 5)], b"data\n")
                          for i in range(10)) + END


@refused()
def sparse_beyond_size():
    return SRC + sparse_1_0(b"workspace/s", 10, [(1 << 30, 5)], b"data\n") + END


@refused()
def sparse_backwards():
    return SRC + sparse_1_0(b"workspace/s", 4096, [(2048, 5), (0, 5)], b"dataadatab") + END


@refused()
def sparse_negative():
    return SRC + sparse_1_0(b"workspace/s", 4096, [(-5, 5)], b"data\n") + END


@refused()
def sparse_map_cut():
    return SRC + (pax([(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"),
                       (b"GNU.sparse.name", b"workspace/s"), (b"GNU.sparse.realsize", b"9")]) +
                  header(b"x", 512) + pad(b"1000000\n0\n")) + END


@refused("/tmp/evil")
def sparse_name_absolute():
    return SRC + sparse_1_0(b"/tmp/evil", 5, [(0, 5)], b"data\n") + END


# Names

def path_of(length):
    name = b"workspace/"
    while len(name) < length:
        name += b"n" * min(200, length - len(name)) + b"/"
    return name[:length - 1] + b"x" if len(name) > length else name.rstrip(b"/") + b"x"


@refused("1024")
def path_of_4_kib():
    return SRC + long_file(path_of(4096)) + END


@refused("255")
def name_of_4_kib():
    return SRC + long_file(b"workspace/" + b"n" * 4096) + END


@refused("255")
def name_of_256():
    return SRC + long_file(b"workspace/" + b"n" * 256) + END


@refused("1024")
def path_of_4_kib_gnu():
    return SRC + gnu_long(path_of(4096)) + file(b"short") + END


def has_long_path(tree):
    found = [os.path.join(d, f) for d, _, fs in os.walk(tree) for f in fs]
    assert len(found) == 1 and len(os.path.relpath(found[0], tree)) == 990, found


@case("OK", check=has_long_path)
def path_of_1000():
    return SRC + long_file(path_of(1000)) + END


@refused("1024")
def path_of_1035():
    return SRC + long_file(path_of(1036)) + END


@refused("64 folders")
def too_deep():
    return SRC + long_file(b"workspace/" + b"d/" * 64 + b"f") + END


@refused("4095")
def symlink_target_long():
    return SRC + pax([(b"linkpath", b"t" * 5000)]) + symlink(b"workspace/l", b"x") + END


@refused("\\n", "twice")
def newline_in_name():
    """The name is shown, and its newline and escape are not obeyed."""
    return SRC + file(b"workspace/a\nb\x1b[2J") + file(b"workspace/a\nb\x1b[2J") + END


@refused("'..'")
def nul_in_name():
    """What stands before the NUL is the name, and it is judged as such."""
    return SRC + pax([(b"path", b"workspace/../x\0y")]) + file(b"short") + END


def nul_harmless(tree):
    assert sorted(os.listdir(tree)) == ["ok", "src"], os.listdir(tree)


@case("OK", check=nul_harmless)
def nul_hides_dotdot():
    return SRC + pax([(b"path", b"workspace/ok\0/../../evil")]) + file(b"short") + END


@refused("absolute")
def pax_overrides_name():
    return SRC + pax([(b"path", b"/tmp/evil")]) + file(b"workspace/good") + END


@refused("outside the workspace")
def pax_overrides_link():
    return (SRC + file(b"workspace/a") + pax([(b"linkpath", OUTSIDE + b"/canary")]) +
            hardlink(b"workspace/h", b"workspace/a") + END)


@refused("/tmp/evil")
def pax_global_path():
    return pax([(b"path", b"/tmp/evil")], b"g") + SRC + file(b"/tmp/evil") + END


@refused()
def pax_bomb():
    """An extended header of 64 MiB."""
    yield SRC
    yield header(b"PaxHeaders/x", 64 * MIB, b"x")
    for _ in range(64):
        yield b"9" * MIB
    yield END


@refused()
def pax_many_records():
    return SRC + pax([(b"comment%d" % i, b"v" * 20) for i in range(40000)]) + END


@refused()
def pax_length_lies():
    return SRC + pax([], raw=b"999999 path=workspace/x\n") + file(b"workspace/a") + END


@refused()
def pax_length_zero():
    return SRC + pax([], raw=b"0 path=workspace/x\n") + file(b"workspace/a") + END


@refused()
def pax_chain():
    """Extended headers of extended headers, a million of them."""
    one = pax([(b"comment", b"x")])
    yield SRC
    for _ in range(1000):
        yield one * 100
    yield file(b"workspace/a") + END


@refused()
def pax_at_end():
    return SRC + pax([(b"path", b"workspace/x")])


@refused()
def gnu_long_without_end():
    return SRC + gnu_long(b"workspace/" + b"n" * 502, end=b"")


@refused()
def gnu_long_size_lies():
    return SRC + header(b"././@LongLink", 1 << 20, b"L", magic=b"ustar  \0") + pad(b"workspace/x")


@refused()
def gnu_long_link_cut():
    return SRC + header(b"././@LongLink", 1000, b"K", magic=b"ustar  \0") + b"workspace/x"


# Broken

@case("ENODATA")
def nothing():
    return b""


@case("ENODATA")
def zeros():
    return bytes(1 << 20)


@case("ENODATA")
def end_marker_alone():
    return END


@refused()
def one_byte():
    return b"w"


@refused()
def noise():
    return hashlib.shake_128(b"noise").digest(1 << 16)


@refused()
def bad_checksum_first():
    return header(b"workspace/a", checksum=1) + END


@refused("workspace/src")
def bad_checksum_later():
    return SRC + header(b"workspace/a", checksum=1) + END


@refused()
def truncated_in_header():
    return (SRC + file(b"workspace/a", b"x" * 2000))[:BLOCK * 2 + 100]


@refused()
def truncated_in_content():
    return (SRC + file(b"workspace/a", b"x" * 2000))[:BLOCK * 4]


@refused()
def truncated_in_padding():
    return (SRC + file(b"workspace/a", b"x" * 700))[:BLOCK * 4 + 200]


@refused("workspace/a", "end-of-archive")
def truncated_between_entries():
    return SRC + file(b"workspace/a", b"x" * 512)


@case("OK", check=volume_check)
def garbage_after_end():
    return TOP + file(b"workspace/a") + END + b"\xff" * 100000 + file(b"/etc/passwd")


@case("OK", check=volume_check)
def archive_after_end():
    return TOP + file(b"workspace/a") + END + file(b"workspace/../evil") + END


@refused()
def garbage_between():
    return SRC + b"\xff" * 512 + file(b"workspace/a") + END


# Other formats: the parser must not even know them

@refused()
def format_zip():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        z.writestr("workspace/a", "data")
    return out.getvalue()


@refused()
def format_gzip():
    return gzip.compress(SRC + file(b"workspace/a") + END)


@refused()
def format_cpio():
    def one(name, data, mode):
        head = b"070701" + b"%08X" * 13 % (1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0,
                                           len(name) + 1, 0)
        head += name + b"\0"
        return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)
    return one(b"workspace/a", b"data", 0o100644) + one(b"TRAILER!!!", b"", 0)


@refused()
def format_ar():
    return b"!<arch>\n" + b"%-16s%-12d%-6d%-6d%-8o%-10d`\n" % (b"a/", 0, 0, 0, 0o644, 4) + b"data"


@refused()
def format_mtree():
    return b"#mtree\n/set type=file\nworkspace/a type=link link=/etc/passwd\n"


@case("ENODATA")
def format_iso():
    return bytes(32768) + b"\x01CD001\x01" + bytes(4096)


@refused()
def format_shar():
    return b"#!/bin/sh\n# This is a shell archive\necho pwned >/tmp/evil\n"


# Links that lead out are kept aside, never made

def links_aside(tree):
    assert not os.path.lexists(os.path.join(tree, "abs"))
    assert not os.path.lexists(os.path.join(tree, "src/up"))
    assert not os.path.lexists(os.path.join(tree, "d/e/tricky"))
    assert os.readlink(os.path.join(tree, "d/e/up")) == "../.."
    assert os.readlink(os.path.join(tree, "fine")) == "src/../src/a"


@case("OK", check=links_aside, links=[
    ("abs", "/etc/passwd"), ("src/up", "../../x"), ("dangling", "none/../src"),
    ("d/e/tricky", "up/../x")])
def links_that_lead_out():
    """d/e/up is the top itself, so d/e/up/.. is outside, though by its text it is d/e."""
    return (SRC + file(b"workspace/src/a") + symlink(b"workspace/abs", b"/etc/passwd") +
            symlink(b"workspace/src/up", b"../../x") + symlink(b"workspace/fine", b"src/../src/a") +
            symlink(b"workspace/dangling", b"none/../src") +
            folder(b"workspace/d") + folder(b"workspace/d/e") + symlink(b"workspace/d/e/up",
                                                                        b"../..") +
            symlink(b"workspace/d/e/tricky", b"up/../x") + END)


@refused("too many links")
def links_memory():
    yield SRC
    long = b"/" + b"t" * 3000
    for i in range(2000):
        yield pax([(b"linkpath", long)]) + symlink(b"workspace/l%d" % i, b"x")
    yield END


@case("ETIMEDOUT", "0.30 s", deadline="300ms", entries=1 << 40)
def endless():
    """More entries than the deadline lets through."""
    yield SRC
    for i in range(100):
        yield b"".join(folder(b"workspace/e%d-%d" % (i, j)) for j in range(1000))
    yield END


def write_archive(path, data):
    with open(path, "wb") as out:
        for part in ([data] if isinstance(data, bytes) else data):
            out.write(part)


def snapshot(top):
    """All that is around the case: names, types, content."""
    seen = []
    for base, dirs, files in os.walk(top):
        for name in sorted(dirs + files):
            path = os.path.join(base, name)
            st = os.lstat(path)
            text = ""
            if stat.S_ISREG(st.st_mode) and st.st_size < MIB:
                with open(path, "rb") as f:
                    text = hashlib.sha256(f.read()).hexdigest()
            seen.append((path, st.st_mode, st.st_nlink if stat.S_ISREG(st.st_mode) else 0,
                         st.st_mtime_ns if stat.S_ISREG(st.st_mode) else 0, text))
    return sorted(seen)


def run(tool, top, name):
    fn, code, words, check, limit, options = CASES[name]
    parent = os.path.join(top, "parent")
    archive = os.path.join(top, "archive.tar")
    links = os.path.join(top, "links")
    globals()["OUTSIDE"] = os.path.join(parent, "outside").encode()
    write_archive(archive, fn())
    before = snapshot(parent)
    out = subprocess.run([tool, "output", archive, parent, "fresh", options.get("bytes", "1GiB"),
                          str(options.get("entries", 100000)), options.get("deadline", "60s"),
                          links], stdout=subprocess.PIPE, timeout=120, check=False)
    got = json.loads(out.stdout)
    assert got["code"] == code, got
    assert got["limit"] == limit, got
    for w in words:
        assert w in got["error"], (w, got["error"])
    assert "\n" not in got["error"] and "\x1b" not in got["error"]
    fresh = os.path.join(parent, "fresh")
    if code == "OK":
        if check:
            check(fresh)
        with open(links, "rb") as f:
            texts = f.read().decode().split("\0")[:-1]
        assert list(zip(texts[::2], texts[1::2])) == options.get("links", []), texts
        shutil.rmtree(fresh)
    assert snapshot(parent) == before, "something is left or changed"


def main():
    tool = os.path.abspath(sys.argv[1])
    names = sys.argv[2:] or list(CASES)
    failed = 0
    print(f"1..{len(names)}")
    for i, name in enumerate(names, 1):
        with tempfile.TemporaryDirectory() as top:
            os.makedirs(os.path.join(top, "parent", "outside"))
            for f in ("parent/outside/canary", "parent/canary"):
                with open(os.path.join(top, f), "w", encoding="ascii") as out:
                    out.write("untouched\n")
            start = time.monotonic()
            try:
                run(tool, top, name)
                print(f"ok {i} - {name} # {time.monotonic() - start:.2f} s")
            except Exception as error:  # pylint: disable=broad-except
                failed += 1
                print(f"not ok {i} - {name}\n# {type(error).__name__}: {error!s:.600}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
