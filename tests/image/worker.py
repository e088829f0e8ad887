# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker booted by bare QEMU with hand-made disks, for the tests of images and of the guest side."""

import ctypes
import io
import json
import mmap
import os
import platform
import select
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time

MIB = 1 << 20
FIRMWARE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../firmware/worker")
CHANGES = os.environ.get("CONTRACTOR_TEST_CHANGES", "")
QEMU = os.environ.get("CONTRACTOR_TEST_QEMU", "qemu-system-x86_64")


def tsc_khz():
    """The rate of the time stamp counter; 0 where there is none."""
    if platform.machine() != "x86_64":
        return 0
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(bytes.fromhex("0f3148c1e2204809d0c3"))  # rdtsc; shl rdx, 32; or rax, rdx; ret
    rdtsc = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(ctypes.c_char.from_buffer(page)))

    def look():
        """Both clocks at once: the closest of several tries, since others may run in between."""
        tries = []
        for _ in range(20):
            before, ns, after = rdtsc(), time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW), rdtsc()
            tries.append((after - before, (before + after) // 2, ns))
        return min(tries)[1:]

    c0, t0 = look()
    time.sleep(0.05)
    c1, t1 = look()
    return (c1 - c0) * 1000000 // (t1 - t0)


def archive(entries):
    """A pax tar of (name, content, mode, mtime[, type, linkname]) tuples; content None: a folder."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content, mode, mtime, *rest in entries:
            info = tarfile.TarInfo(name)
            info.mode, info.mtime = mode, mtime
            if rest:
                info.type, info.linkname = rest
            elif content is None:
                info.type = tarfile.DIRTYPE
            else:
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content) if content and not rest else None)
    return out.getvalue()


class Ended(Exception):
    """The worker ended, or said nothing in time."""


class Worker:
    """One machine; all its files are in a folder of its own that close() removes."""

    def __init__(self, image, machine, recipe, tree=(), layers=(), env="", output=64 * MIB, scratch=512 * MIB,
                 memory=512, cpus=2, cmdline="", driver=None, ports=("ctl", "log"), input_disk=True, root_serial="root",
                 extra=()):
        self.start = time.monotonic()
        self.console = self.log = self.ctl = b""
        self.times = []
        self.dir = tempfile.mkdtemp(prefix="contractor-worker-test-", dir=os.environ.get("TMPDIR", "/var/tmp"))
        with open(image + ".json", encoding="utf-8") as f:
            self.manifest = json.load(f)
        self._parts(image)
        if driver is None:
            with open(os.path.join(FIRMWARE, "driver"), "rb") as f:
                driver = f.read()
        self._disks(driver, recipe, tree, layers, env, output, scratch)
        self._spawn(image, machine, memory, cpus, cmdline, ports, scratch, input_disk, root_serial, extra)

    def path(self, name):
        return os.path.join(self.dir, name)

    def _parts(self, image):
        with open(image, "rb") as f:
            for part in ("kernel", "initrd"):
                f.seek(self.manifest[part]["offset"])
                with open(self.path(part), "wb") as out:
                    out.write(f.read(self.manifest[part]["size"]))

    def _disks(self, driver, recipe, tree, layers, env, output, scratch):
        """`layers`: EROFS images, lowest first, in the place of the tree."""
        files = {"driver": (driver, 0o755), "recipe": (recipe.encode(), 0o644), "env": (env.encode(), 0o644)}
        if layers:
            with open(CHANGES, "rb") as f:
                files["changes"] = (f.read(), 0o755)
        head = archive([("contractor", None, 0o755, 0)] +
                       [("contractor/" + name, content, mode, 0) for name, (content, mode) in files.items()])
        assert len(head) <= MIB
        if not isinstance(tree, bytes):
            tree = archive(tree or [("workspace", None, 0o755, 0)])
        self.end = MIB + len(tree)
        if layers:
            tree, places = b"", []
            for data in layers:
                places.append(f"{MIB + len(tree)}+{len(data)}")
                tree += data
            self.end = ",".join(places)
        with open(self.path("input"), "wb") as f:
            f.write(head)
            f.seek(MIB)
            f.write(tree)
            f.truncate(1 << 40)  # as the real one, whose size is not known when the machine starts
        with open(self.path("output"), "wb") as f:
            f.truncate(output)
        if scratch:
            subprocess.run(["mke2fs", "-qF", "-t", "ext4", "-O", "^has_journal,^resize_inode",
                            "-m", "0", "-E", "lazy_itable_init=1,nodiscard",
                            self.path("scratch"), f"{scratch // 1024}k"], check=True,
                           stdout=subprocess.DEVNULL)

    def _spawn(self, image, machine, memory, cpus, cmdline, ports, scratch, input_disk, root_serial, extra):
        kind = "device" if machine == "microvm" else "pci"
        khz = tsc_khz()  # what all this is for: src/vm/kernel.h
        cmdline += f" tsc_early_khz={khz} tsc=reliable lpj={khz * 1000 // 250}"
        if cpus > 1:
            cmdline += " maxcpus=1 noreplace-smp"
        argv = [QEMU, "-M", machine + ",accel=tcg" if not extra else machine, "-cpu", os.environ.get("CONTRACTOR_TEST_CPU", "max"), "-m", str(memory), "-smp", str(cpus),
                "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                "-kernel", self.path("kernel"), "-initrd", self.path("initrd"),
                "-append", f"{self.manifest['cmdline']} {cmdline}".strip()]
        root = self.manifest["root"]
        disks = [(root_serial, image, True, root)]
        if input_disk:
            disks.append(("input", self.path("input"), True, None))
        disks.append(("output", self.path("output"), False, None))
        if scratch:
            disks.append(("scratch", self.path("scratch"), False, None))
        for serial, path, read_only, part in disks:
            node = {"driver": "raw", "node-name": serial, "read-only": read_only,
                    "file": {"driver": "file", "filename": path, "locking": "off", "discard": "unmap"}}
            if part:
                node.update(offset=part["offset"], size=part["size"])
            argv += ["-blockdev", json.dumps(node),
                     "-device", f"virtio-blk-{kind},drive={serial},serial={serial}"]
        argv += ["-object", "rng-random,id=rng,filename=/dev/urandom", "-device", f"virtio-rng-{kind},rng=rng",
                 "-device", f"virtio-serial-{kind}"]
        pairs = {name: socket.socketpair() for name in (*ports, "console")}
        for name in ports:
            argv += ["-chardev", f"socket,id={name},fd={pairs[name][1].fileno()}",
                     "-device", f"virtserialport,chardev={name},name=contractor.{name}"]
        argv += ["-chardev", f"socket,id=console,fd={pairs['console'][1].fileno()}", "-serial", "chardev:console", *extra]
        self.socks = {name: pair[0] for name, pair in pairs.items()}
        self.argv = argv
        self.start = time.monotonic()
        self.qemu = subprocess.Popen(argv, pass_fds=[p[1].fileno() for p in pairs.values()],
                                     stdin=subprocess.DEVNULL)
        for pair in pairs.values():
            pair[1].close()

    def _step(self, until):
        left = until - time.monotonic()
        if left <= 0:
            raise Ended("deadline: " + self.tail())
        ready, _, _ = select.select(list(self.socks.values()), [], [], left)
        for name, sock in list(self.socks.items()):
            if sock not in ready:
                continue
            data = sock.recv(1 << 16)
            if not data:
                del self.socks[name]
                sock.close()
                if not self.socks:
                    raise Ended("the machine ended: " + self.tail())
            setattr(self, name, getattr(self, name) + data)

    def tail(self):
        return (f"ctl {self.ctl[-300:]!r} log {self.log[-300:]!r} "
                f"console {self.console[-600:].decode(errors='replace')}")

    def line(self, timeout=60):
        """The next ctl line; its time since the start goes to self.times."""
        until = time.monotonic() + timeout
        while b"\n" not in self.ctl:
            self._step(until)
        text, self.ctl = self.ctl.split(b"\n", 1)
        text = text.decode("ascii")
        self.times.append((text, time.monotonic() - self.start))
        return text

    def go(self):
        self.socks["ctl"].sendall(f"go {time.time():.0f} {self.end}\n".encode())

    def dialogue(self, timeout=120):
        """Runs the build to `done`; all the ctl lines."""
        lines = [self.line(timeout)]
        self.go()
        while lines[-1] != "done":
            lines.append(self.line(timeout))
        # what was written to the log before `done` has left the machine by then
        while select.select([self.socks["log"]], [], [], 0.1)[0]:
            self._step(time.monotonic() + 1)
        return lines

    def wait_end(self, timeout=60):
        """Waits for the machine's own end."""
        until = time.monotonic() + timeout
        try:
            while True:
                self._step(until)
        except Ended:
            if self.qemu.poll() is None:
                self.qemu.wait(max(0.1, until - time.monotonic()))
        return self

    def output(self):
        """{name: (TarInfo, content or None)} of the output disk."""
        found = {}
        with tarfile.open(self.path("output"), mode="r:") as tar:
            for info in tar:
                found[info.name] = (info, tar.extractfile(info).read() if info.isreg() else None)
        return found

    def close(self):
        if self.qemu.poll() is None:
            self.qemu.kill()
        self.qemu.wait()
        for sock in self.socks.values():
            sock.close()
        shutil.rmtree(self.dir)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
