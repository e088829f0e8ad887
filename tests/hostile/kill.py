#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kills the process that saves a workspace at every step and at many moments: nothing may be left.

usage: kill.py TOOL [COUNT]
"""
import fcntl
import io
import os
import random
import signal
import subprocess
import sys
import tarfile
import tempfile
import time


def make_archive(path, text, files=1000):
    """A workspace in which every file says which build it is of."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as t:
        top = tarfile.TarInfo("workspace")
        top.type, top.mode = tarfile.DIRTYPE, 0o755
        t.addfile(top)
        for i in range(files):
            info = tarfile.TarInfo(f"workspace/d{i % 7}/f{i}")
            info.size = len(text)
            t.addfile(info, io.BytesIO(text))
    return files


def wait_for_lock(path, seconds):
    """The lock is free once process and guard are gone."""
    end = time.monotonic() + seconds
    with open(path, "r+b") as f:
        while True:
            try:
                fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                assert time.monotonic() < end, "the lock is still held"
                time.sleep(0.005)


def texts_of(tree):
    found, n = set(), 0
    for base, _, files in os.walk(tree):
        for name in files:
            n += 1
            with open(os.path.join(base, name), "rb") as f:
                found.add(f.read())
    return found, n


def start(exe, top, step):
    return subprocess.Popen([exe, "save", f"{top}/out.tar", f"{top}/parent", "ws", step,
                             f"{top}/lock"], stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL, start_new_session=True)


def check(top, allowed, files):
    wait_for_lock(f"{top}/lock", 30)
    assert os.listdir(f"{top}/parent") == ["ws"], os.listdir(f"{top}/parent")
    found, n = texts_of(f"{top}/parent/ws")
    assert len(found) == 1 and found <= allowed and n == files, (found, n)
    return found.pop()


def attempt(exe, top, old, step, delay, how):
    """One save that ends by a signal; the workspace is then whole, the old one or the new one."""
    new = b"new %d" % random.getrandbits(40)
    files = make_archive(f"{top}/out.tar", new)
    with start(exe, top, step) as p:
        if delay is not None:
            time.sleep(delay)
            if p.poll() is None:
                os.killpg(p.pid, how)  # what a terminal does; the guard has a session of its own
        p.wait()
    return check(top, {old, new}, files)


def main():
    exe = os.path.abspath(sys.argv[1])
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    random.seed(1)
    plan = [("guarded", None, None), ("extracted", None, None), ("swapped", None, None)]
    plan += [("none", i * 0.2 / count, random.choice([signal.SIGKILL, signal.SIGKILL,
                                                      signal.SIGINT, signal.SIGHUP]))
             for i in range(count)]
    print(f"1..{len(plan)}")
    failed = 0
    with tempfile.TemporaryDirectory() as top:
        os.mkdir(f"{top}/parent")
        make_archive(f"{top}/out.tar", b"first")
        with start(exe, top, "none") as p:
            p.wait()
        text = check(top, {b"first"}, 1000)
        for i, (step, delay, how) in enumerate(plan, 1):
            name = step if delay is None else f"{how.name} after {delay * 1000:.0f} ms"
            try:
                text = attempt(exe, top, text, step, delay, how)
                print(f"ok {i} - {name}")
            except AssertionError as error:
                failed += 1
                print(f"not ok {i} - {name}\n# {error}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
