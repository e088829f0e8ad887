#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stock cloud image becomes a worker: systemd, cloud-init and grub, booted by its firmware.

CONTRACTOR_TEST_STOCK names one that stock.py has made; without it one is made, in some minutes.
"""

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
_spec = importlib.util.spec_from_file_location("e2e_case", os.path.join(HERE, "../e2e/case.py"))
case = importlib.util.module_from_spec(_spec)
sys.modules["e2e_case"] = case
_spec.loader.exec_module(case)


def checksum(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


class Import(case.Case):
    def stock(self):
        made = os.environ.get("CONTRACTOR_TEST_STOCK")
        if not made:
            folder = tempfile.mkdtemp(dir="/var/tmp")
            self.addCleanup(shutil.rmtree, folder)
            os.chmod(folder, 0o755)
            made = os.path.join(folder, "stock.qcow2")
            subprocess.run([os.path.join(HERE, "stock.py"), made], check=True, stdout=sys.stderr)
        return made

    def test_a_stock_image_builds(self):
        stock = self.stock()
        before = checksum(stock)
        r = self.contractor("image", "import", stock, "-o", "worker.img")
        self.assertEqual(r.exit, 0, r)
        self.assertEqual(checksum(stock), before, "the image that was imported has changed")
        r = self.contractor("image", "inspect", "worker.img")
        self.assertIn("boot: by the machine's firmware", r.out)
        manifest = json.loads(self.read("worker.img.json"))
        self.assertEqual((manifest["boot"], manifest["root"]["fs"]), ("firmware", "disk"))

        self.write("code/hello.c", '#include <stdio.h>\nint main(void) { puts("hello"); return 0; }\n')
        self.spec("""
            test -d /run/systemd/system
            gcc -o ../hello hello.c
            ../hello
            echo "$FLAVOUR from $(id -un) in $PWD on $(hostname)"
            cat /proc/cmdline
            grep -c . /etc/machine-id
            ln -s hello ../link
            test ! -e ../kept || echo kept
            echo once >../kept
            systemctl is-system-running || true
            test $(df --output=size -k / | tail -1) -gt 3500000
            test -z "$(ls /sys/class/net | grep -v lo)"
            """, template=None, env={"FLAVOUR": "sweet"}, isolation="single", limits={"disk": "4GiB"})
        r = self.build()
        for text in ("hello\n", "sweet from root in /workspace/src on worker", "root=LABEL=root"):
            self.assertIn(text, r.out, r)
        self.assertNotIn("kept", r.out)
        report = self.report()
        self.assertEqual((report["verdict"], report["machine"]), ("built", "q35"))
        self.assertEqual(report["template"]["note"], "an imported image boots by itself")
        self.assertEqual(subprocess.run([self.path("ws/hello")], capture_output=True, check=True).stdout,
                         b"hello\n")
        self.assertEqual(os.readlink(self.path("ws/link")), "hello")

        # the second one finds the workspace, and nothing else of the first; its rules bind it
        self.spec("cat ../kept\nbash -c 'exec 3<>/dev/tcp/192.0.2.7/80' || echo refused\nexit 7",
                  isolation="single",
                  network={"allow": [{"host": "packages.example.org", "port": 443, "protocol": "tcp"}],
                           "on-denied": "report"})
        r = self.build(expect=1)
        self.assertIn("once\n", r.out, r)
        self.assertIn("refused\n", r.out, r)
        report = self.report()
        self.assertEqual(report["build-exit-code"], 7)
        self.assertEqual([(d["address"], d["port"]) for d in report["denied"]], [("192.0.2.7", 80)])

        # what cannot be is said before anything starts
        self.spec("true", limits={"disk": "1GiB"})
        self.assertIn("limits: disk is 1 GiB, and the disk of worker.img alone has 2 GiB",
                      self.build(expect=2).err)
        self.spec("true")
        self.assertIn("boots by firmware", self.build("--machine", "microvm", expect=2).err)

    def test_refused(self):
        def refuse(name, want, expect=2):
            r = self.contractor("image", "import", name)
            self.assertEqual(r.exit, expect, r)
            self.assertIn(want, r.err)
            self.assertLessEqual(len(r.err.splitlines()), 3, r)
            self.assertEqual([f for f in os.listdir(self.dir) if f.startswith("worker")], [])

        self.write("text", "no disk" * 1000)
        refuse("text", "neither a qcow2 file nor a raw disk with a boot sector")
        refuse("code", "is no regular file")
        refuse("absent", "No such file")
        with open(self.path("secret"), "wb") as f:
            f.truncate(1 << 20)
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", self.path("secret"),
                        self.path("over.qcow2")], check=True)
        refuse("over.qcow2", "is only the changes of another file")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-o",
                        "data_file=" + self.path("data"), self.path("with.qcow2"), "1M"], check=True)
        refuse("with.qcow2", "is only the changes of another file")
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", self.path("empty.qcow2"), "1M"],
                       check=True)
        refuse("empty.qcow2", "no boot sector")
        with open(self.path("empty.qcow2"), "r+b") as f:
            f.seek(8)
            f.write(b"\xff" * 200)
        refuse("empty.qcow2", "", 5)


if __name__ == "__main__":
    sys.exit(case.main(__name__))
