#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""contractor manager build: what is in the image, when it is made anew, and what goes wrong."""

import filecmp
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import manager

MAX_SIZE = 40_000_000


class Image(manager.Manager):
    def inputs(self, image):
        with open(image + ".json", encoding="utf-8") as f:
            return [line.split(" ")[1] for line in json.load(f)["inputs"]]

    def image(self):
        found = [f for f in self.listing() if f.endswith(".img")]
        self.assertEqual(len(found), 1, found)
        return os.path.join(self.folder, found[0])

    def unpack_kernel(self):
        subprocess.run(["dpkg-deb", "-x", self.package(), self.path("kernel")], check=True)
        version = os.listdir(self.path("kernel/lib/modules"))[0]
        return (self.path(f"kernel/boot/vmlinuz-{version}"),
                self.path(f"kernel/lib/modules/{version}"))

    def own_qemu(self):
        """A QEMU that a test may change, with the system's firmware."""
        os.mkdir(self.path("bin"))
        os.symlink("/usr/share", self.path("share"))
        shutil.copy("/usr/bin/qemu-system-x86_64", self.path("bin"))
        self.env["CONTRACTOR_QEMU"] = self.path("bin/qemu-system-x86_64")

    def test_content(self):
        self.make()
        image = self.image()
        self.assertLess(os.stat(image).st_size, MAX_SIZE)
        names = self.inputs(image)
        for name in ("init", "usr/libexec/contractor/contractor-manager",
                     "usr/bin/qemu-system-x86_64", "usr/share/qemu/pvh.bin"):
            self.assertIn(name, names)
        shells = [n for n in names if os.path.basename(n) in ("sh", "bash", "dash", "busybox")]
        self.assertEqual(shells, [])

    def test_debug_has_a_shell(self):
        self.package()
        self.make("--debug", "-o", self.path("d.img"))
        self.assertIn("usr/bin/busybox", self.inputs(self.path("d.img")))

    def test_same_inputs_same_bytes(self):
        self.package()
        self.make("-o", self.path("a.img"))
        self.env["TZ"] = "Pacific/Auckland"
        self.env["LC_ALL"] = "C"
        self.make("-o", self.path("b.img"), wrap=("sh", "-c", 'umask 077; exec "$@"', "sh"))
        self.assertTrue(filecmp.cmp(self.path("a.img"), self.path("b.img"), shallow=False))
        self.assertTrue(filecmp.cmp(self.path("a.img.json"), self.path("b.img.json"),
                                    shallow=False))

    def test_made_again_when_an_input_changes(self):
        self.package()
        self.own_qemu()
        self.assertIn("made in", self.make().out)
        before = self.image()
        start = time.monotonic()
        self.assertIn("up to date", self.make().out)
        self.assertLess(time.monotonic() - start, 5)
        os.utime(self.env["CONTRACTOR_QEMU"])
        self.assertIn("up to date", self.make().out)
        with open(self.env["CONTRACTOR_QEMU"], "ab") as f:
            f.write(b"\0")
        self.assertIn("made in", self.make().out)
        self.assertNotEqual(self.image(), before)

    def test_damaged_image_is_made_again(self):
        self.make()
        os.truncate(self.image(), 1000)
        self.assertIn("made in", self.make().out)
        self.write(self.image() + ".json", "{}")
        self.assertIn("made in", self.make().out)

    def test_given_kernel(self):
        kernel, modules = self.unpack_kernel()
        self.make("--kernel", kernel, "--modules", modules, "-o", self.path("k.img"))
        self.make("-o", self.path("d.img"))
        with open(kernel, "rb") as k, open(self.path("k.img"), "rb") as i:
            content = k.read()
            self.assertEqual(i.read(len(content)), content)
        # the same files, wherever they come from
        self.assertTrue(filecmp.cmp(self.path("k.img"), self.path("d.img"), shallow=False))

    def test_wrong_kernel(self):
        kernel, modules = self.unpack_kernel()
        r = self.make("--kernel", kernel, "--modules", self.path("code"), expect=5)
        self.assertIn("modules.builtin", r.err)
        r = self.make("--kernel", self.path("none"), "--modules", modules, expect=5)
        self.assertIn(self.path("none"), r.err)
        shutil.rmtree(os.path.join(modules, "kernel/drivers/block"))
        r = self.make("--kernel", kernel, "--modules", modules, expect=5)
        self.assertIn("virtio_blk", r.err)

    def test_no_apt(self):
        self.env["XDG_CACHE_HOME"] = self.path("cache")
        self.env["PATH"] = self.path("bin")
        os.mkdir(self.path("bin"))
        for p in ("env", "qemu-system-x86_64"):
            os.symlink("/usr/bin/" + p, self.path("bin", p))
        r = self.make(expect=5)
        self.assertIn("--kernel", r.err)
        self.assertEqual([f for f in os.listdir(self.path("cache/contractor/manager"))
                          if f.startswith("tmp-")], [])

    def test_usage(self):
        for options in (["--kernel", "x"], ["--modules", "x"], ["argument"], ["--nonsense"],
                        ["--kernel", "x", "--modules", "x", "--fetch"]):
            self.make(*options, expect=2)
        self.assertEqual(self.contractor("manager").exit, 2)
        self.assertEqual(self.contractor("manager", "--help").exit, 0)

    def test_two_at_once(self):
        self.package()
        os.remove(self.image())
        first, second = (self.start("manager", "build") for _ in range(2))
        said = [self.finish(p).out for p in (first, second)]
        self.assertEqual((first.returncode, second.returncode), (0, 0))
        self.assertEqual(["made in" in s for s in said].count(True), 1, said)

    def test_killed(self):
        self.package()
        for delay in (0.2, 1, 2, 3):
            p = self.start("manager", "build", "-o", self.path("x.img"))
            time.sleep(delay)
            p.send_signal(signal.SIGKILL)
            p.wait()
        self.make("-o", self.path("x.img"))
        self.assertEqual([f for f in self.listing() if f.startswith("tmp-")], [])
        self.make("-o", self.path("y.img"))
        self.assertTrue(filecmp.cmp(self.path("x.img"), self.path("y.img"), shallow=False))
        self.assertEqual([f for f in os.listdir(self.dir) if f.endswith(".new")], [])


if __name__ == "__main__":
    sys.exit(manager.main(__name__))
