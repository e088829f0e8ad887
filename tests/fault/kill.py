#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9 of the CLI, the manager and QEMU while the worker boots, builds and copies out, and of the
CLI while it unpacks what came out.

After each kill nothing may be left: no process, mount, namespace, socket or temporary file, and the
old workspace is whole. CONTRACTOR_KILLS says how often for each pair (1; tests/fault/run.sh: 20).
TAP on stdout; arguments are parts of the names of tests.
"""

import hashlib
import os
import random
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))
import case  # noqa: E402

KILLS = int(os.environ.get("CONTRACTOR_KILLS", "1"))
# How long the kernel and the CLI's guard may take to clear up.
GONE_SECONDS = 10
LINE_SECONDS = 300
NAMESPACES = ("mnt", "pid", "net", "ipc", "uts", "user")


def stat(pid):
    """State, parent and start time of a process, None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            fields = f.read().rsplit(b")", 1)[1].split()
    except OSError:
        return None
    return fields[0], int(fields[1]), fields[19]


def children(pid):
    """Descendants of a process, itself included, as (pid, start time)."""
    parents, starts = {}, {}
    for p in map(int, filter(str.isdigit, os.listdir("/proc"))):
        if (found := stat(p)) is not None:
            _, parents[p], starts[p] = found
    family, todo = [], [pid]
    while todo:
        p = todo.pop()
        if p in starts:
            family.append((p, starts[p]))
        todo += [c for c, parent in parents.items() if parent == p]
    return family


def command(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().split(b"\0")[0].decode()
    except OSError:
        return ""


def namespaces(pids):
    """The namespaces of the processes that are not this process's own."""
    found = set()
    for pid in pids:
        for ns in NAMESPACES:
            try:
                found.add(os.readlink(f"/proc/{pid}/ns/{ns}"))
            except OSError:
                pass
    return found - {os.readlink(f"/proc/self/ns/{ns}") for ns in NAMESPACES}


def hold_namespaces(pids):
    """Descriptors of them: while one is open, no other namespace gets the same number."""
    fds = []
    for pid in pids:
        for ns in NAMESPACES:
            try:
                fds.append(os.open(f"/proc/{pid}/ns/{ns}", os.O_RDONLY | os.O_CLOEXEC))
            except OSError:
                pass
    return fds


def tree(folder):
    """A digest of names, modes, times and contents."""
    h = hashlib.sha256()
    for where, dirs, files in os.walk(folder):
        dirs.sort()
        for name in sorted(dirs + files):
            path = os.path.join(where, name)
            st = os.lstat(path)
            h.update(f"{path} {st.st_mode:o} {st.st_mtime_ns} {st.st_size}\n".encode())
            if os.path.isfile(path):
                with open(path, "rb") as f:
                    h.update(f.read())
    return h.hexdigest()


class Kill(case.Case):
    """One build is killed; `setUp` has made a workspace that must come through."""

    def setUp(self):
        super().setUp()
        self.env["TMPDIR"] = self.path("tmp")
        os.mkdir(self.path("tmp"))
        # Enough to copy out that a kill meets it; more than half a second under emulation.
        self.spec("echo begun\ntest -e ../quick || sleep 5\n"
                  "if test ! -e ../quick; then dd if=/dev/zero of=../big bs=1M count=400; "
                  "for i in $(seq 2000); do echo $i > ../f$i; done; fi\necho ended")
        self.write("ws/precious/file", "from before\n")
        self.write("ws/precious/more", "x" * 100000)

    def process(self, pid, who):
        """The pid of the CLI, its manager or its QEMU, None while there is none."""
        if who == "cli":
            return pid
        word = {"manager": "contractor-manager", "qemu": "qemu-system"}[who]
        found = [p for p, _ in children(pid) if word in command(p)]
        return found[0] if found else None

    def wait_for_line(self, line, p):
        """Waits for a line of the build's output, as long as the build's own limit lets it run."""
        end = time.monotonic() + LINE_SECONDS
        while line not in self.read("out") and p.poll() is None:
            self.assertLess(time.monotonic(), end, f"no {line!r} from the build: "
                            f"{self.read('out')[-500:]} {self.read('err')}")
            time.sleep(0.05)

    def come_to(self, phase, p):
        """Waits until the build is in that phase, somewhere in it."""
        if phase == "boot":
            self.wait_for("QEMU", lambda: self.process(p.pid, "qemu"))
            time.sleep(random.uniform(0, 1.5))
        elif phase == "build":
            self.wait_for_line("begun", p)
            time.sleep(random.uniform(0, 2))
        elif phase == "copy-out":
            self.wait_for_line("ended", p)
            time.sleep(random.uniform(0, 0.2))
        else:
            end = time.monotonic() + 300
            while not any(n.startswith(".contractor-") for n in os.listdir(self.dir)):
                self.assertLess(time.monotonic(), end, "no new workspace is unpacked")
                time.sleep(0.001)
            time.sleep(random.uniform(0, 0.1))

    def left_in_proc(self, before, spaces):
        """What still runs of the build, or in its namespaces, or has its files open."""
        left = []
        for pid, start in before:
            found = stat(pid)
            if found is not None and found[2] == start and found[0] != b"Z":
                left.append(f"process {pid} {command(pid)}")
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if namespaces([pid]) & spaces:
                    left.append(f"process {pid} {command(pid)} in the build's namespaces")
                if int(pid) != os.getpid() and any(
                        os.readlink(f"/proc/{pid}/fd/{fd}").startswith(self.dir)
                        for fd in os.listdir(f"/proc/{pid}/fd")):
                    left.append(f"process {pid} {command(pid)} has files of the build open")
            except OSError:
                continue
        return left

    def left_in_files(self):
        left = [n for n in os.listdir(self.dir)
                if n not in ("home", "code", "tmp", "ws", "spec.yaml", "worker.img",
                             "worker.img.json", "out", "err")]
        left += os.listdir(self.path("tmp"))
        for where, _, files in os.walk(self.path("home/.cache")):
            left += [os.path.join(where, f) for f in files]
        with open("/proc/self/mountinfo", encoding="utf-8") as f:
            left += [line for line in f if self.dir in line]
        with open("/proc/net/unix", encoding="utf-8") as f:
            left += [line for line in f if self.dir in line]
        return left

    def kill(self, who, phase):
        old = tree(self.path("ws"))
        with open(self.path("out"), "w") as out, open(self.path("err"), "w") as err:
            p = self.start("build", "--limit", "time=5min", "spec.yaml", stdout=out, stderr=err)
            self.come_to(phase, p)
            victim = self.process(p.pid, who)
            before = children(p.pid)
            held = hold_namespaces([pid for pid, _ in before])
            spaces = namespaces([pid for pid, _ in before])
            # The build may have been quicker; then the kill meets nothing and proves nothing.
            self.assertIsNotNone(victim, f"no {who} any more: {self.read('err')}")
            self.assertIsNone(p.poll(), f"ended before the kill: {self.read('err')}")
            os.kill(victim, signal.SIGKILL)
            try:
                p.wait(timeout=60)
            except Exception:
                self.fail(f"the CLI hangs after the kill of {who}: {self.read('err')}")
        expected = -signal.SIGKILL if who == "cli" else 5
        self.assertEqual(p.returncode, expected, self.read("err"))
        end = time.monotonic() + GONE_SECONDS
        while (left := self.left_in_proc(before, spaces) + self.left_in_files()) and \
                time.monotonic() < end:
            time.sleep(0.1)
        for fd in held:
            os.close(fd)
        self.assertEqual(left, [])
        self.assertEqual(tree(self.path("ws")), old, "the workspace was changed")

    def often(self, who, phase):
        for _ in range(KILLS):
            self.kill(who, phase)
        # and the next build is none the worse
        self.write("ws/quick", "")
        self.build("--lock-wait", "10s")
        self.assertEqual(self.read("ws/precious/file"), "from before\n")


def add(who, phase):
    def test(self):
        self.often(who, phase)

    setattr(Kill, f"test_{who}_during_{phase.replace('-', '_')}_{KILLS}_times", test)


for w in ("cli", "manager", "qemu"):
    for ph in ("boot", "build", "copy-out"):
        add(w, ph)
add("cli", "save")

if __name__ == "__main__":
    sys.exit(case.main(__name__))
