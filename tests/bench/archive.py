#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Source in and workspace out against tar, interleaved: medians, processor time and the ratios.

usage: archive.py TOOL [FILES [MEGABYTES [ROUNDS [FOLDER]]]]
"""
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time


def make_source(top, files, megabytes):
    rng = random.Random(1)
    mean = megabytes * 1000000 / files
    for i in range(files):
        folder = f"{top}/d{i // 1000}/s{i // 50}"
        os.makedirs(folder, exist_ok=True)
        with open(f"{folder}/file{i}.c", "wb") as f:
            f.write(rng.randbytes(int(rng.expovariate(1 / mean))))


def run(args):
    """Wall and processor seconds."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(args, check=True, stdout=subprocess.DEVNULL)
    wall = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


def main():
    tool = os.path.abspath(sys.argv[1])
    files, megabytes, rounds = (int(a) for a in (sys.argv[2:5] + ["20000", "377", "5"]
                                                  [len(sys.argv[2:5]):]))
    folder = sys.argv[5] if len(sys.argv) > 5 else None
    times = {}
    with tempfile.TemporaryDirectory(dir=folder) as top:
        source, out = f"{top}/workspace", f"{top}/out"
        os.mkdir(source)
        make_source(source, files, megabytes)
        for name in ("state", "empty"):
            os.mkdir(f"{top}/{name}")
        for _ in range(rounds):
            for name, args, makes in (
                    ("tar c", ["tar", "-C", top, "--format=pax", "-cf", f"{top}/t.tar",
                               "workspace"], None),
                    ("in", [tool, "input", f"{top}/disk", source, "-", f"{top}/state"], None),
                    ("tar x", ["tar", "-C", out, "-xf", f"{top}/t.tar"], out),
                    ("out", [tool, "output", f"{top}/t.tar", out, "ws", "10GiB", "10000000",
                             "600s", f"{top}/links"], out)):
                if makes:
                    shutil.rmtree(out, ignore_errors=True)
                    os.mkdir(out)
                times.setdefault(name, []).append(run(args))
            os.unlink(f"{top}/disk")
    for ours, theirs in (("in", "tar c"), ("out", "tar x")):
        wall, cpu = (tuple(statistics.median(t[i] for t in times[n]) for n in (ours, theirs))
                     for i in (0, 1))
        print(f"{ours:>4}: {wall[0]:.2f} s, {theirs} {wall[1]:.2f} s, ratio "
              f"{wall[0] / wall[1]:.2f}; processor {cpu[0]:.2f} s, {theirs} {cpu[1]:.2f} s, "
              f"ratio {cpu[0] / cpu[1]:.2f}")


if __name__ == "__main__":
    main()
