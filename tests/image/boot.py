#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker image under bare QEMU: the ctl dialogue, what goes in and comes out, and builds that
break the machine around them.

Environment: CONTRACTOR_TEST_IMAGE names the image; CONTRACTOR_TEST_QEMU the QEMU.
"""

import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))

import case
from worker import CHANGES, MIB, Ended, Worker, archive

IMAGE = os.environ.get("CONTRACTOR_TEST_IMAGE")

GOOD = ["ready 1", "phase copy-in", "phase build", "exit 0", "phase copy-out", "done"]

HELLO = b'#include <stdio.h>\nint main(void) { puts("hello, world"); return 0; }\n'

TREE = [
    ("workspace", None, 0o755, 0),
    ("workspace/kept", b"from the last build\n", 0o640, 1000000000.125),
    ("workspace/src", None, 0o755, 0),
    ("workspace/src/hello.c", HELLO, 0o644, 1234567890),
    ("workspace/src/" + "long/" * 60 + "name", b"deep\n", 0o600, 1),
    ("workspace/src/ünïcode \n name", b"odd\n", 0o755, 2),
    ("workspace/src/link", b"", 0o777, 3, b"2", "hello.c"),
    ("workspace/src/hard", b"", 0o644, 1234567890, b"1", "workspace/src/hello.c"),
]


@unittest.skipUnless(IMAGE, "CONTRACTOR_TEST_IMAGE is not set (tests/run.sh makes an image)")
class Boot(unittest.TestCase):
    def worker(self, recipe, machine="microvm", **options):
        w = Worker(IMAGE, machine, recipe, **options)
        self.addCleanup(w.close)
        return w

    def run_good(self, recipe, lines=None, **options):
        w = self.worker(recipe, **options)
        self.assertEqual(w.dialogue(), lines or GOOD, w.tail())
        return w

    def check_whole_build(self, machine):
        w = self.run_good(
            "gcc hello.c -o hello\n./hello\necho \"$GREETING\" >&2\necho again >/dev/stderr\n"
            "pwd; id -un; hostname; cat ../kept\n"
            "stat -c '%a %y' ../kept 'ünïcode \n name' | tr '\\n' ' '; cat long/*/*/*/*/*/*/*/*/*/*/name "
            "2>/dev/null || find long -name name -exec cat {} +\n"
            "test hard -ef hello.c; touch -d '2001-02-03 04:05:06.123456789' dated; ls /proc/self/fd\n"
            "truncate -s 64M sparse; mkfifo fifo; mknod dev c 1 3; mkdir empty; chmod 4755 dated\n"
            "perl -MSocket -e 'socket(S, AF_UNIX, SOCK_STREAM, 0); bind(S, sockaddr_un(\"sock\"))'\n",
            machine=machine, tree=TREE, env="export GREETING='it'\\''s on'\n")
        log = w.log.decode()
        for text in ("hello, world\n", "it's on\n", "again\n", "/workspace/src\nroot\nworker\n",
                     "from the last build\n", "640 2001-09-09 01:46:40.125000000", "deep\n"):
            self.assertIn(text, log)
        self.assertTrue(log.endswith("\n0\n1\n2\n3\n"), log)  # 3 is ls' own
        out = w.output()
        self.assertFalse({n for n in out if n.split("/")[0] != "workspace"})
        self.assertEqual(out["workspace/kept"][1], b"from the last build\n")
        self.assertIn(HELLO, (out["workspace/src/hello.c"][1], out["workspace/src/hard"][1]))
        self.assertEqual(out["workspace/src/hello"][0].mode & 0o7777, 0o755)
        self.assertEqual(out["workspace/src/" + "long/" * 60 + "name"][1], b"deep\n")
        self.assertEqual(out["workspace/src/ünïcode \n name"][1], b"odd\n")
        self.assertEqual(out["workspace/src/link"][0].linkname, "hello.c")
        self.assertTrue(out["workspace/src/hard"][0].islnk() or out["workspace/src/hello.c"][0].islnk())
        self.assertEqual(out["workspace/src/dated"][0].pax_headers["mtime"], "981173106.123456789")
        self.assertEqual(out["workspace/src/sparse"][0].size, 64 << 20)
        self.assertTrue(out["workspace/src/empty"][0].isdir())
        for name in ("fifo", "dev", "sock"):
            self.assertNotIn("workspace/src/" + name, out)

    def test_whole_build_on_microvm(self):
        self.check_whole_build("microvm")

    def test_whole_build_on_q35(self):
        self.check_whole_build("q35")

    def test_failed_build_and_left_over_processes(self):
        w = self.run_good("(while :; do echo tick; sleep 0.1; done) &\nsetsid sleep 1000 &\n"
                          "sleep 0.5; echo last; exit 7", GOOD[:3] + ["exit 7"] + GOOD[4:])
        self.assertIn(b"last\n", w.log)

    def test_killed_build(self):
        self.run_good("kill -9 $$", GOOD[:3] + ["exit 137"] + GOOD[4:])

    def test_build_that_kills_everything(self):
        w = self.worker("touch made; kill -9 -1; sleep 1")
        lines = w.dialogue()
        self.assertEqual(lines, GOOD[:3] + ["exit 137"] + GOOD[4:])
        self.assertIn("workspace/src/made", w.output())

    def test_build_that_removes_the_system(self):
        w = self.worker("echo x >made; mkfifo fifo; rm -rf /usr /bin /lib* /sbin /etc 2>/dev/null; exit 3")
        self.assertEqual(w.dialogue(), GOOD[:3] + ["exit 3"] + GOOD[4:], w.tail())
        self.assertEqual(w.output()["workspace/src/made"][1], b"x\n")
        self.assertNotIn("workspace/src/fifo", w.output())

    def test_build_that_closes_and_chmods(self):
        w = self.run_good("exec >&- 2>&-; mkdir d; echo x >d/f; chmod 0 d/f d . .. /run/contractor; "
                          "mount -t tmpfs none d 2>/dev/null || busybox mount -t tmpfs none d; cd /; exit 0")
        self.assertIn("workspace/src/d", w.output())

    def test_full_scratch(self):
        w = self.worker("echo x >made; cat /dev/zero >big || rm big; cat /dev/zero >big2", scratch=64 * MIB,
                        output=128 * MIB)
        lines = w.dialogue()
        self.assertEqual(lines, GOOD[:3] + ["exit 1"] + GOOD[4:], w.tail())
        self.assertIn("workspace/src/made", w.output())

    def test_full_output(self):
        w = self.worker("head -c 6000000 /dev/urandom >big", output=4 * MIB)
        lines = w.dialogue()
        self.assertEqual(lines[:5], GOOD[:5], w.tail())
        self.assertTrue(lines[5].startswith("error output-full "), lines)
        self.assertEqual(lines[6:], ["done"])

    def test_input_too_large(self):
        """The driver's own word, with no host that sees the disk fill up before."""
        tree = [*TREE, ("workspace/src/big", os.urandom(40 * MIB), 0o644, 0)]
        lines = self.worker("true", tree=tree, scratch=24 * MIB).dialogue()
        self.assertTrue(lines[2].startswith("error disk-full "), lines)
        self.assertEqual(lines[:2] + lines[3:], [*GOOD[:2], "done"])

    def test_without_scratch(self):
        w = self.run_good("echo x >made; echo y >/usr/bin/y", scratch=0)
        self.assertIn("workspace/src/made", w.output())

    def test_broken_input(self):
        w = self.worker("true", tree=b"no tar at all".ljust(20480, b"x"))
        lines = w.dialogue()
        self.assertEqual(lines[:2], GOOD[:2], w.tail())
        self.assertTrue(lines[2].startswith("error copy-in "), lines)
        self.assertEqual(lines[3:], ["done"])

    def check_ends(self, text, **options):
        w = self.worker("true", **options).wait_end()
        self.assertIn(text, w.console)
        self.assertEqual(w.ctl, b"")

    def test_no_input_disk(self):
        self.check_ends(b'contractor: no disk with serial "input"', input_disk=False)

    def test_no_root_disk(self):
        self.check_ends(b'contractor: no disk with serial "root"', root_serial="other")

    def test_no_driver(self):
        self.check_ends(b"contractor: the driver ended", driver=b"exit 1\n")

    def test_power_off_and_reboot(self):
        for command in ("poweroff", "reboot"):
            w = self.worker(f"busybox {command} -f; sleep 60")
            with self.assertRaises(Ended):
                w.dialogue(60)
            self.assertEqual([t for t, _ in w.times], GOOD[:3])

    def erofs(self, entries):
        """Those of `archive`, as an image."""
        top = tempfile.mkdtemp(prefix="contractor-erofs-")
        self.addCleanup(shutil.rmtree, top)
        os.mkdir(top + "/tree")
        with tarfile.open(fileobj=io.BytesIO(archive(entries))) as tar:
            tar.extractall(top + "/tree")
        subprocess.run(["mkfs.erofs", "-Eforce-inode-extended", top + "/image", top + "/tree"], check=True,
                       stdout=subprocess.DEVNULL)
        with open(top + "/image", "rb") as f:
            data = f.read()
        return data + bytes(-len(data) % 4096)

    def layered(self, recipe, layers, lines=None, **options):
        if not CHANGES or not shutil.which("mkfs.erofs"):
            self.skipTest("mkfs.erofs is not installed, or the machine is of another architecture")
        w = self.worker(recipe, layers=[self.erofs(e) for e in layers], **options)
        if not w.manifest.get("layers"):
            self.skipTest("the image is older than layers")
        self.assertEqual(w.dialogue(), lines or GOOD, w.tail())
        return w

    def test_layers(self):
        w = self.layered(
            "cat hello.c ../kept; stat -c '%a %y' .. ../kept; gcc hello.c -o hello && ./hello\n"
            "echo more >>../kept; rm link; mv long ../moved; echo new >../moved/long/new\n"
            "rm -r dir; mkdir dir; echo x >dir/x; mkfifo fifo; mknod dev c 1 3; ln hard harder\n"
            "truncate -s 64M sparse; ls /workspace; rm -f /workspace/upper; find / -xdev -name hello.c\n",
            [[*TREE, ("workspace/src/dir", None, 0o755, 0), ("workspace/src/dir/old", b"old", 0o644, 0)],
             [("workspace", None, 0o711, 1000000000.5), ("workspace/src", None, 0o755, 0),
              ("workspace/src/hard", HELLO + b"\n", 0o644, 0)]])
        log = w.log.decode()
        for text in ("from the last build\n711 2001-09-09 01:46:40.500000000", "hello, world\n",
                     "640 2001-09-09 01:46:40.125000000", "kept\nmoved\nsrc\n"):
            self.assertIn(text, log)
        out = w.output()
        self.assertEqual(list(out)[0], "workspace")
        self.assertEqual(out["workspace"][0].mode, 0o711)
        self.assertEqual(out["workspace/kept"][1], b"from the last build\nmore\n")
        self.assertEqual(out["workspace/moved/" + "long/" * 59 + "name"][1], b"deep\n")
        self.assertEqual(out["workspace/moved/long/new"][1], b"new\n")
        self.assertEqual(out["workspace/src/sparse"][0].size, 64 << 20)
        # what is gone, and what there may be only in a worker
        for gone in ("link", "long", "fifo", "dev"):
            self.assertTrue(out["workspace/src/" + gone][0].ischr(), gone)
        self.assertIn("workspace/src/dir/x", list(out))
        self.assertTrue(out["workspace/src/hard"][0].islnk() or out["workspace/src/harder"][0].islnk())
        for name in ("hello.c", "dir/old"):
            self.assertNotIn("workspace/src/" + name, list(out))

    def test_layers_and_full_output(self):
        self.layered("head -c 6000000 /dev/urandom >big", [TREE], output=4 * MIB, lines=GOOD[:5] + [
            "error output-full the workspace does not fit on the output disk", "done"])

    def test_broken_layer(self):
        if not CHANGES:
            self.skipTest("the machine is of another architecture")
        lines = self.worker("true", layers=[b"no file system".ljust(8192)]).dialogue()
        self.assertEqual(lines[:2] + lines[3:], [*GOOD[:2], "done"])
        self.assertTrue(lines[2].startswith("error copy-in "), lines)


if __name__ == "__main__":
    sys.exit(case.main(__name__))
