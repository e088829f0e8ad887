#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random trees through the input disk, GNU tar and back, compared byte by byte; and the merge rule.

usage: trees.py TOOL [ROUNDS [SEED]]
"""
import json
import os
import random
import shutil
import stat
import subprocess
import sys
import tempfile

NAMES = [b"a", b"b.c", b"-rf", b"--help", b"with space", b"tab\tin", b"new\nline", b"back\\slash",
         b"quote'\"", b"\xff\xfe", b"latin-\xe9", "caf\u00e9".encode(), "cafe\u0301".encode(),
         "\u65e5\u672c".encode(), b"\xed\xa0\x80", b"a-b", b"a.b", b"a~", b"\x01", b".git", b"src",
         b"%s%n", b"*", b"n" * 255, b"m" * 150, b"o" * 101, b".", b"GNUSparseFile.0"]
NAMES.remove(b".")
OUTSIDE = [b"/etc/passwd", b"../../../../../../../../x", b"/", b"/caf\xe9"]
ROOT = os.geteuid() == 0


def random_name(rng):
    if rng.random() < 0.5:
        return rng.choice(NAMES)
    return bytes(rng.choice(b"abcdefgh\xc3\xa9.-_ ") for _ in range(rng.randrange(1, 30)))


def write_file(path, rng):
    kind = rng.random()
    with open(path, "wb") as f:
        if kind < 0.15:
            size = rng.choice([1 << 16, 1 << 20, 3 << 30, 9 << 30])
            if path.decode(errors="replace").encode() != path:
                size = 1 << 20  # such a file may go in with zeros for holes
            for _ in range(rng.randrange(4)):
                f.seek(rng.randrange(size))
                f.write(rng.randbytes(rng.randrange(1, 9000)))
            f.truncate(max(size, f.tell()))
        else:
            f.write(rng.randbytes(rng.choice([0, 1, 511, 512, 513, 4096, 70000,
                                              rng.randrange(300000)])))


def touch(path, rng):
    ns = rng.choice([0, 1, 999999999, rng.randrange(10**9)])
    sec = rng.choice([0, 1, 1 << 31, 1 << 33, rng.randrange(1, 2 * 10**9)])
    os.utime(path, ns=(0, sec * 10**9 + ns), follow_symlinks=False)


def make_tree(top, rng, budget=40):
    """A random tree below `top` (which exists); folders get their modes and times last."""
    folders, files = [top], []
    for _ in range(rng.randrange(budget)):
        base = rng.choice(folders)
        path = os.path.join(base, random_name(rng))
        if os.path.lexists(path) or len(os.path.relpath(path, top)) > 900:
            continue
        kind = rng.random()
        if kind < 0.3:
            os.mkdir(path)
            folders.append(path)
        elif kind < 0.45:
            up = b"../" * os.path.relpath(path, top).count(b"/")
            target = rng.choice(OUTSIDE + [random_name(rng), up + random_name(rng), b"src/../a"])
            os.symlink(target, path)
            touch(path, rng)
        elif kind < 0.6 and files:
            os.link(rng.choice(files), path)
        else:
            write_file(path, rng)
            touch(path, rng)
            os.chmod(path, rng.randrange(0o1000) | (0 if ROOT else 0o400))
            files.append(path)
    for path in reversed(folders):
        os.chmod(path, rng.randrange(0o1000) | (0 if ROOT else 0o700))
        touch(path, rng)


def digest(path, st):
    """Content without reading holes."""
    parts, at = [], 0
    with open(path, "rb") as f:
        while at < st.st_size:
            try:
                at = os.lseek(f.fileno(), at, os.SEEK_DATA)
            except OSError:
                break
            end = os.lseek(f.fileno(), at, os.SEEK_HOLE)
            data = os.pread(f.fileno(), end - at, at)
            # zeros may be a hole here and data there
            for i in range(0, len(data), 512):
                block = data[i:i + 512].rstrip(b"\0")
                if block:
                    parts.append((at + i, block))
            at = end
    return hash(tuple(parts))


def describe(top):
    """Relative path to (type, mode, mtime, size, content or target, hard link group)."""
    seen, groups = {}, {}
    for base, dirs, files in os.walk(top):
        for path in [base] if base == top else []:
            st = os.lstat(path)
            seen[b"."] = ("d", stat.S_IMODE(st.st_mode), st.st_mtime_ns, 0, None, None)
        for name in sorted(dirs + files):
            path = os.path.join(base, name)
            rel = os.path.relpath(path, top)
            st = os.lstat(path)
            mode, mtime = stat.S_IMODE(st.st_mode), st.st_mtime_ns
            if stat.S_ISDIR(st.st_mode):
                seen[rel] = ("d", mode, mtime, 0, None, None)
            elif stat.S_ISLNK(st.st_mode):
                seen[rel] = ("l", 0, mtime, 0, os.readlink(path), None)
            else:
                group = groups.setdefault((st.st_dev, st.st_ino), [])
                group.append(rel)
                seen[rel] = ("f", mode, mtime, st.st_size, digest(path, st), group)
    return {k: v[:5] + (tuple(sorted(v[5])) if v[5] else None,) for k, v in seen.items()}


def differences(want, got):
    lines = [f"missing {p!r}" for p in want.keys() - got.keys()]
    lines += [f"unexpected {p!r}" for p in got.keys() - want.keys()]
    lines += [f"{p!r}: wanted {want[p]}, got {got[p]}" for p in want.keys() & got.keys()
              if want[p] != got[p]]
    return lines


def tool(args):
    out = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    got = json.loads(out.stdout)
    assert got["code"] == "OK", got
    return got


def tar(args, locale):
    subprocess.run(["tar"] + args, check=True, env={**os.environ, "LC_ALL": locale},
                   stderr=subprocess.DEVNULL)


def unpack_input(disk, where, locale):
    """As the guest does: the second archive, unpacked by GNU tar."""
    os.mkdir(where)
    # a reader of a disk sees no more than what is there: the offset by dd, as the driver does
    with subprocess.Popen(["dd", f"if={os.fsdecode(disk)}", "bs=1M", "skip=1", "status=none"],
                          stdout=subprocess.PIPE) as dd:
        subprocess.run(["tar", "-xpf", "-", "--no-same-owner", "-C", where], check=True,
                       stdin=dd.stdout, env={**os.environ, "LC_ALL": locale},
                       stderr=subprocess.DEVNULL)
    assert os.stat(disk).st_size % 512 == 0


def remove(path):
    if not ROOT:
        subprocess.run(["chmod", "-R", "u+rwx", path], check=False)
    shutil.rmtree(path)


def returned(tree):
    """What a tree is after it came back: modes usable, links that lead out gone."""
    want, outside = {}, set()
    for path, (kind, mode, mtime, size, what, group) in tree.items():
        if kind == "d":
            mode |= 0o700
        elif kind == "f":
            mode |= 0o600
        want[path] = (kind, mode, mtime, size, what, group)
        if kind == "l" and leads_out(path, what, tree):
            outside.add((path, what))
            del want[path]
    return want, outside


def leads_out(path, target, tree):
    """The rule of HACKING.md, said in another way than the program says it."""
    if target.startswith(b"/"):
        return True
    at = path.split(b"/")[:-1]
    names = False
    late = False
    for part in target.split(b"/"):
        if part in (b"", b"."):
            continue
        if part == b"..":
            if not at:
                return True
            at.pop()
            late = late or names
        else:
            at.append(part)
            names = True
    return late and not resolves(path, target, tree)


def resolves(path, target, tree):
    """Does the link lead to something in the tree, step by step, never above its top?"""
    at, todo, steps = path.split(b"/")[:-1], target.split(b"/"), 0
    while todo:
        part = todo.pop(0)
        steps += 1
        if steps > 200:
            return False
        if part in (b"", b"."):
            continue
        if part == b"..":
            if not at:
                return False
            at.pop()
            continue
        entry = tree.get(b"/".join(at + [part]))
        if entry is None:
            return False
        if entry[0] == "l":
            if entry[4].startswith(b"/") or b"src/../a" == entry[4]:
                return False
            todo = entry[4].split(b"/") + todo
        elif entry[0] == "f" and todo:
            return False
        else:
            at.append(part)
    return True


def round_trip(exe, top, rng):
    """Source in, GNU tar out, GNU tar in, workspace out."""
    source, state = os.path.join(top, b"source"), os.path.join(top, b"state")
    disk, guest = os.path.join(top, b"disk"), os.path.join(top, b"guest")
    out, links = os.path.join(top, b"out.tar"), os.path.join(top, b"links")
    os.mkdir(source)
    os.mkdir(state)
    make_tree(source, rng)
    tool([exe, "input", disk, source, "-", state])
    locale = rng.choice(["C", "C.UTF-8"])
    unpack_input(disk, guest, locale)
    inside = describe(os.path.join(guest, b"workspace/src"))
    bad = differences(describe(source), inside)
    form, sparse = rng.choice(["pax", "gnu", "posix"]), rng.choice([["-S"], []])
    if any(e[3] > 1 << 30 for e in inside.values()):
        sparse = ["-S"]
    tar(["-cf", out, f"--format={form}", *sparse, "-C", guest, "workspace"], locale)
    tool([exe, "output", out, top, "fresh", "64GiB", "1000", "60s", links])
    tree = describe(os.path.join(guest, b"workspace"))
    want, outside = returned(tree)
    got = describe(os.path.join(top, b"fresh"))
    if form == "gnu":
        want = {k: v[:2] + (v[2] // 10**9,) + v[3:] for k, v in want.items()}
        got = {k: v[:2] + (v[2] // 10**9,) + v[3:] for k, v in got.items()}
    # a link that was settled at the end has the time of that end
    for d in (want, got):
        for k, v in d.items():
            if v[0] == "l" and b".." in (v[4] or b""):
                d[k] = v[:2] + (0,) + v[3:]
    bad += differences(want, got)
    with open(links, "rb") as f:
        texts = f.read().split(b"\0")[:-1]
    if set(zip(texts[::2], texts[1::2])) != outside:
        bad.append(f"outside links {texts}, wanted {outside}")
    return bad


def model_merge(source, workspace, old):
    """The merge rule over flat sets: what is in workspace/src when a build starts."""
    kept = {}

    def below_source_file(path):
        parts = path.split(b"/")
        return any(source.get(b"/".join(parts[:i]), ("d",))[0] != "d"
                   for i in range(1, len(parts)))

    for path, entry in workspace.items():
        if path not in source and path not in old and not below_source_file(path):
            kept[path] = entry
    for path, entry in workspace.items():
        if (path not in source and path in old and entry[0] == "d" and
                any(k.startswith(path + b"/") for k in kept)):
            kept[path] = entry
    return {**kept, **source}


def plain(tree):
    """Type, mode, time, size and content; link groups apart, as they may span both trees."""
    return {k: v[:5] for k, v in tree.items() if k != b"."}


def merge(exe, top, rng):
    """A random workspace, a random list of old sources and a random source."""
    source, ws = os.path.join(top, b"source"), os.path.join(top, b"ws")
    state, guest = os.path.join(top, b"state"), os.path.join(top, b"guest")
    disk = os.path.join(top, b"disk")
    for path in (source, ws, state):
        os.mkdir(path)
    make_tree(source, rng)
    make_tree(ws, rng, 15)
    had_src = os.path.join(ws, b"src")
    if rng.random() < 0.8 and not os.path.lexists(had_src):
        os.chmod(ws, 0o755)
        os.mkdir(had_src)
        make_tree(had_src, rng)
    in_src = {}
    if os.path.isdir(had_src) and not os.path.islink(had_src):
        in_src = plain(describe(had_src))
    else:
        in_src = {}
    old = {p for p in list(in_src) + [b"gone", b"gone/x"] if rng.random() < 0.5}
    with open(os.path.join(state, b"sources"), "wb") as f:
        paths = sorted(old, key=lambda p: p.split(b"/"))
        # a build that was killed while it saved leaves two lists in one
        for p in paths + (paths[::2] if rng.random() < 0.3 else []):
            f.write(p + b"\0")
    tool([exe, "input", disk, source, ws, state])
    unpack_input(disk, guest, rng.choice(["C", "C.UTF-8"]))
    want = model_merge(plain(describe(source)), in_src, old)
    bad = differences(want, plain(describe(os.path.join(guest, b"workspace/src"))))
    outer = {k: v for k, v in plain(describe(ws)).items()
             if k != b"src" and not k.startswith(b"src/")}
    got = {k: v for k, v in plain(describe(os.path.join(guest, b"workspace"))).items()
           if k != b"src" and not k.startswith(b"src/")}
    bad += differences(outer, got)
    with open(os.path.join(state, b"sources"), "rb") as f:
        listed = f.read().split(b"\0")[:-1]
    if listed != sorted(plain(describe(source)), key=lambda p: p.split(b"/")):
        bad.append("the list of sources is not the source, in order")
    return bad


def links_back(exe, top, _):
    """Links that led outside go back in, unless their place, folder or source has gone."""
    source, ws, state = (os.path.join(top, n) for n in (b"source", b"ws", b"state"))
    disk, guest = os.path.join(top, b"disk"), os.path.join(top, b"guest")
    for path in (source, ws, state, ws + b"/d", ws + b"/src", ws + b"/src/built", source + b"/s"):
        os.mkdir(path)
    with open(ws + b"/taken", "wb"), open(source + b"/s/taken", "wb"), open(ws + b"/file", "wb"):
        pass
    os.symlink(b"built", ws + b"/src/link")
    back = {b"top": b"/etc/passwd", b"d/l": b"../../up", b"src/built/l": b"/\xff", b"src/s/l": b"/x"}
    gone = [b"taken", b"none/l", b"file/l", b"src/s/taken", b"src/old", b"src/link/l", b"src/old2/l",
            b"../evil", b"/evil", b"src/../../evil", b"d", b"src"]
    with open(state + b"/links", "wb") as f:
        for p in list(back) + gone:
            f.write(p + b"\0" + back.get(p, b"/gone") + b"\0")
        f.write(b"cut")
    with open(state + b"/sources", "wb") as f:
        f.write(b"old\0old2\0old2/l\0")
    tool([exe, "input", disk, source, ws, state])
    unpack_input(disk, guest, "C")
    got = describe(guest + b"/workspace")
    links = {p: e[4] for p, e in got.items() if e[0] == "l"}
    return [] if links == {**back, b"src/link": b"built"} else [f"links {links}"]


def skipped(exe, top, _):
    """Workspace and image lie in the source and do not go in as source; sockets never do."""
    source, state = os.path.join(top, b"source"), os.path.join(top, b"state")
    disk, guest = os.path.join(top, b"disk"), os.path.join(top, b"guest")
    ws = source + b"/sub/ws"
    for path in (source, source + b"/sub", ws, ws + b"/kept", ws + b"/src", ws + b"/src/sub",
                 ws + b"/src/sub/ws", state):
        os.mkdir(path)
    os.mkfifo(source + b"/fifo")
    for path in (source + b"/a", source + b"/worker.img", ws + b"/kept/x", ws + b"/src/sub/ws/y"):
        with open(path, "wb") as f:
            f.write(b"x")
    os.chmod(source + b"/worker.img", 0)
    got = tool([exe, "input", disk, source, ws, state, ws, source + b"/worker.img"])
    unpack_input(disk, guest, "C")
    want = {b".", b"kept", b"kept/x", b"src", b"src/a", b"src/sub", b"src/sub/ws", b"src/sub/ws/y"}
    have = set(describe(guest + b"/workspace"))
    return [] if want == have and got["skipped"] == 1 else [f"{have} {got}"]


def main():
    exe = os.path.abspath(sys.argv[1])
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 15
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    os.umask(0)
    failed = 0
    plan = [(links_back, 0), (skipped, 0)]
    plan += [(fn, i) for i in range(rounds) for fn in (round_trip, merge)]
    print(f"1..{len(plan)}")
    for n, (fn, i) in enumerate(plan, 1):
        top = tempfile.mkdtemp().encode()
        try:
            bad = fn(exe, top, random.Random(seed * 100000 + i))
        except (AssertionError, OSError, subprocess.CalledProcessError) as error:
            bad = [f"{type(error).__name__}: {error}"]
        remove(top)
        failed += bool(bad)
        print(f"{'not ok' if bad else 'ok'} {n} - {fn.__name__} {seed} round {i}")
        for line in bad[:10]:
            print(f"# {line:.400}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
