#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random trees as EROFS images, checked and unpacked by fsck.erofs, compared byte by byte.

usage: layers.py TOOL [ROUNDS [SEED]]
"""
import os
import random
import shutil
import subprocess
import sys
import tempfile

import trees

SIZES = [0, 1, 255, 256, 257, 1023, 1024, 1025, 4032, 4095, 4096, 4097, 4352, 4353, 70000, 300000]


def write_file(path, rng):
    """As in trees.py, but no larger than what fsck.erofs may write as zeros."""
    with open(path, "wb") as f:
        if rng.random() < 0.15:
            for _ in range(rng.randrange(4)):
                f.seek(rng.randrange(1 << 20))
                f.write(rng.randbytes(rng.randrange(1, 9000)))
            f.truncate(max(rng.randrange(1 << 20), f.tell()))
        else:
            f.write(rng.randbytes(rng.choice(SIZES + [rng.randrange(300000)])))


def write_small(path, rng):
    with open(path, "wb") as f:
        f.write(rng.randbytes(rng.randrange(600)))


def large_folder(top, rng):
    """Entries that fill several blocks, links of every length among them."""
    where = os.path.join(top, b"large")
    if os.path.lexists(where):
        return
    os.mkdir(where)
    for i in range(rng.randrange(1500)):
        path = os.path.join(where, b"%d" % i + b"x" * rng.randrange(200))
        if rng.random() < 0.3:
            os.symlink(b"t" * rng.choice([1, 100, 4031, 4032, 4033, 4095]), path)
        else:
            write_small(path, rng)
        trees.touch(path, rng)
    trees.touch(where, rng)


def fsck(image, out):
    subprocess.run(["fsck.erofs", f"--extract={os.fsdecode(out)}", "--preserve-perms", image],
                   check=True, stdout=subprocess.DEVNULL)


def extract(exe, top, rng):
    source, out = os.path.join(top, b"source"), os.path.join(top, b"out")
    image = os.path.join(top, b"image")
    os.mkdir(source)
    trees.make_tree(source, rng)
    if rng.random() < 0.3:
        os.chmod(source, 0o700)
        large_folder(source, rng)
    subprocess.run([exe, source, image], check=True)
    fsck(image, out)
    want, got = trees.plain(trees.describe(source)), trees.plain(trees.describe(out))
    return trees.differences(want, got)


def main():
    exe = os.path.abspath(sys.argv[1])
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 12
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    os.umask(0)
    if not shutil.which("fsck.erofs"):
        print("1..0 # SKIP fsck.erofs is not installed")
        return 0
    trees.write_file = write_file
    failed = 0
    print(f"1..{rounds}")
    for i in range(rounds):
        top = os.fsencode(tempfile.mkdtemp(prefix="contractor-layers-"))
        try:
            bad = extract(exe, top, random.Random(seed + i))
        except subprocess.CalledProcessError as e:
            bad = [str(e)]
        finally:
            trees.remove(top)
        failed += bool(bad)
        print(f"{'not ok' if bad else 'ok'} {i + 1} - seed {seed + i}", flush=True)
        for line in bad[:20]:
            print("#", line)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
