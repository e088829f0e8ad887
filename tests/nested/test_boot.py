#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manager VM by itself, under a bare QEMU: from spawn to ready, its end, and its complaints."""

import json
import os
import socket
import struct
import subprocess
import sys
import time

import manager

READY_MAX = 5  # seconds, of two processors that nobody else uses
SIZES = {"image": 1, "input": 2, "output": 3, "scratch": 4}


class Machine:
    """A running manager VM: the port's and the console's socket, and what the console said."""

    def __init__(self, test, image, disks=SIZES, port="contractor.manager"):
        with open(image + ".json", encoding="utf-8") as f:
            manifest = json.load(f)
        with open(image, "rb") as f:
            content = f.read()
        args = ["qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-m", "3G", "-smp", "2",
                "-cpu", "max", "-nodefaults", "-no-user-config", "-display", "none",
                "-no-reboot",  # how two processors boot: src/vm/kernel.h
                "-append", manifest["cmdline"] + " mitigations=off maxcpus=1 noreplace-smp"]
        for option, part in (("-kernel", "kernel"), ("-initrd", "initrd")):
            at = manifest[part]
            with open(test.path(part), "wb") as f:
                f.write(content[at["offset"]:at["offset"] + at["size"]])
            args += [option, test.path(part)]
        for name, size in disks.items():
            with open(test.path(name), "wb") as f:
                f.truncate(size << 20)
            args += ["-drive", f"if=none,id={name},format=raw,file={test.path(name)}",
                     "-device", f"virtio-blk-pci,drive={name},serial={name}"]
        self.port, port_qemu = socket.socketpair()
        self.dial, dial_qemu = socket.socketpair()
        self.console, console_qemu = socket.socketpair()
        args += ["-chardev", f"socket,id=c,fd={console_qemu.fileno()}", "-serial", "chardev:c",
                 "-device", "virtio-serial-pci",
                 "-chardev", f"socket,id=p,fd={port_qemu.fileno()}",
                 "-device", f"virtserialport,chardev=p,name={port}",
                 "-chardev", f"socket,id=d,fd={dial_qemu.fileno()}",
                 "-device", "virtserialport,chardev=d,name=contractor.dial"]
        self.start = time.monotonic()
        self.qemu = subprocess.Popen(args, pass_fds=[port_qemu.fileno(), dial_qemu.fileno(),
                                                     console_qemu.fileno()])
        port_qemu.close()
        dial_qemu.close()
        console_qemu.close()
        test.addCleanup(self.stop)

    def stop(self):
        self.qemu.kill()
        self.qemu.wait()
        self.port.close()
        self.dial.close()
        self.console.close()

    def cpu(self):
        with open(f"/proc/{self.qemu.pid}/stat", encoding="utf-8") as f:
            fields = f.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def receive(self, n):
        self.port.settimeout(120)
        data = b""
        while len(data) < n:
            got = self.port.recv(n - len(data))
            if not got:
                raise EOFError("the port was closed")
            data += got
        return data

    def message(self):
        size, _ = struct.unpack(">II", self.receive(8))
        return json.loads(self.receive(size))

    def send(self, message):
        text = json.dumps(message).encode()
        self.port.sendall(struct.pack(">IBxxx", len(text), 1) + text)

    def end(self, timeout=60):
        """What the console had said when the machine was off."""
        self.qemu.wait(timeout)
        said = b""
        while got := self.console.recv(65536):
            said += got
        return said.decode(errors="replace")


class Boot(manager.Manager):
    def boot(self, **how):
        self.make()
        image = [f for f in self.listing() if f.endswith(".img")][0]
        return Machine(self, os.path.join(self.folder, image), **how)

    def test_ready(self):
        m = self.boot()
        hello = m.message()
        wall, cpu = time.monotonic() - m.start, m.cpu()
        self.assertEqual(hello["type"], "hello")
        print(f"# spawn to hello: {wall:.2f} s, {cpu:.2f} s of processor time")
        # processor time does not grow with what else this machine has to do; two have worked
        self.assertLess(cpu / 2, READY_MAX)
        m.port.close()
        start = time.monotonic()
        said = m.end()
        print(f"# port closed to machine off: {time.monotonic() - start:.2f} s")
        self.assertNotIn("contractor:", said)

    def test_manager_ends(self):
        m = self.boot()
        m.message()
        m.send({"type": "cancel"})
        self.assertNotIn("contractor:", m.end())

    def test_manager_fails(self):
        m = self.boot()
        m.message()
        m.send({"type": "build"})
        end = m.message()
        self.assertEqual((end["type"], end["outcome"]), ("end", "broken"))
        m.end()

    def test_garbage(self):
        m = self.boot()
        m.message()
        m.port.sendall(b"\xff" * 100000)
        m.end()

    def test_no_disk(self):
        m = self.boot(disks={k: v for k, v in SIZES.items() if k != "output"})
        said = m.end()
        self.assertIn('contractor: no disk with the serial "output" within 10 s', said)
        self.assertIn("contractor: powering off", said)

    def test_no_port(self):
        m = self.boot(port="something.else")
        self.assertIn('no port with the name "contractor.manager"', m.end())


if __name__ == "__main__":
    sys.exit(manager.main(__name__))
