#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What firmware/worker/changes packs of an overlay: changes.py PROGRAM.

Real overlays in a user namespace, their attributes in user.overlay.* there; the archive, laid over
what was below, must give what the overlay shows. overlayfs moves no folders in such a mount
(redirect_dir), so that is only seen where the real root runs this with CHANGES_TEST_REAL_ROOT=1.
"""

import os
import shutil
import socket
import stat
import subprocess
import sys
import tarfile
import tempfile
import unittest

PROGRAM = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else "changes"
REAL_ROOT = os.environ.get("CHANGES_TEST_REAL_ROOT") == "1"
PREFIX = "trusted.overlay." if REAL_ROOT else "user.overlay."
OPTIONS = "redirect_dir=on,index=off,metacopy=off,xino=off,volatile" if REAL_ROOT else "userxattr"


def snapshot(top):
    """{path below top: (kind, mode, time, content or target)}, as bytes."""
    found = {}

    def look(path, name):
        st = os.lstat(path)
        content = None
        if stat.S_ISREG(st.st_mode):
            with open(path, "rb") as f:
                content = f.read()
        elif stat.S_ISLNK(st.st_mode):
            content = os.readlink(path)
        elif not stat.S_ISDIR(st.st_mode):
            return
        found[name] = (stat.S_IFMT(st.st_mode), stat.S_IMODE(st.st_mode), st.st_mtime_ns, content)
        if stat.S_ISDIR(st.st_mode):
            for n in os.listdir(path):
                look(path + b"/" + n, name + b"/" + n)

    look(os.fsencode(top), b"workspace")
    return found


def time_of(member):
    seconds, _, rest = member.pax_headers.get("mtime", str(int(member.mtime))).partition(".")
    ns = int(rest.ljust(9, "0")) if rest else 0
    return int(seconds) * 10**9 + (-ns if seconds.startswith("-") else ns)


def lay_over(tree, archive):
    """Applies the archive to a snapshot; gives the names of its members in order."""
    names = []

    def remove(name):
        for n in [n for n in tree if n == name or n.startswith(name + b"/")]:
            del tree[n]

    with tarfile.open(archive, errors="surrogateescape") as tar:
        for m in tar:
            name = os.fsencode(m.name)
            names.append(m)
            assert m.uid == m.gid == 0 and not m.uname and not m.gname, name
            assert name == b"workspace" or os.path.dirname(name) in tree, name
            if m.type == tarfile.CHRTYPE:
                assert m.devmajor == m.devminor == 0, name
                assert not any(os.fsencode(n.name) == name for n in names[:-1]), name
                remove(name)
            elif m.isdir():
                if name in tree and tree[name][0] != stat.S_IFDIR:
                    remove(name)
                tree[name] = (stat.S_IFDIR, m.mode, time_of(m), None)
            elif m.issym():
                remove(name)
                tree[name] = (stat.S_IFLNK, m.mode, time_of(m), os.fsencode(m.linkname))
            elif m.islnk():
                remove(name)
                first = tree[os.fsencode(m.linkname)]
                tree[name] = first
            else:
                assert m.isreg(), name
                remove(name)
                tree[name] = (stat.S_IFREG, m.mode, time_of(m), tar.extractfile(m).read())
    return names


class Changes(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="contractor-changes-")
        self.mounted = False
        self.addCleanup(self.clean)
        for d in ["lower", "upper", "work", "merged"]:
            os.mkdir(self.path(d))
        self.below("kept", "kept\n")
        self.below("src/main.c", "int main;\n")
        self.below("src/old.c", "old\n")
        self.below("src/deep/er/file", "deep\n")
        self.below("lib/a", "a\n")
        self.below("lib/b", "b\n")

    def clean(self):
        if self.mounted:
            subprocess.run(["umount", self.path("merged")], check=True)
        subprocess.run(["rm", "-rf", self.dir], check=True)

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def at(self, name):
        return self.path("merged", name)

    def below(self, name, content):
        path = self.path("lower", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(content)

    def write(self, name, content):
        if isinstance(content, str):
            content = content.encode()
        with open(self.at(name), "wb") as f:
            f.write(content)

    def mount(self):
        options = f"lowerdir={self.path('lower')},upperdir={self.path('upper')}," \
                  f"workdir={self.path('work')},{OPTIONS}"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, self.path("merged")],
                       check=True)
        self.mounted = True

    def pack(self, upper=None, merged=None):
        with open(self.path("tar"), "wb") as out:
            p = subprocess.run([PROGRAM, "pack", upper or self.path("upper"),
                                merged or self.path("merged"), PREFIX],
                               stdout=out, stderr=subprocess.PIPE, timeout=120)
        return p.returncode, p.stderr.decode()

    def check(self):
        """Packs, compares, and gives the members."""
        below = snapshot(self.path("lower"))
        want = snapshot(self.path("merged"))
        self.assertEqual(self.pack(), (0, ""))
        members = lay_over(below, self.path("tar"))
        self.assertEqual(members[0].name, "workspace")
        self.assertEqual(sorted(below), sorted(want))
        for name, entry in want.items():
            self.assertEqual(below[name], entry, name)
        return members

    def test_nothing(self):
        self.mount()
        self.assertEqual(len(self.check()), 1)
        self.assertEqual(os.stat(self.path("tar")).st_size, 4096)

    def test_ordinary(self):
        self.mount()
        self.write("src/new.o", os.urandom(3000))
        self.write("src/main.c", "int main = 1;\n")
        os.remove(self.at("src/old.c"))
        os.chmod(self.at("lib/a"), 0o4751)
        self.write("empty", "")
        os.symlink("src/main.c", self.at("link"))
        os.symlink("x" * 4095, self.at("long link"))
        os.utime(self.at("lib/b"), ns=(0, 1234567890123456789))
        os.utime(self.at("kept"), ns=(0, 1234567890 * 10**9))
        os.utime(self.at("empty"), ns=(0, -1250000000))
        names = [m.name for m in self.check()]
        self.assertIn("workspace/src/old.c", names)
        self.assertNotIn("workspace/src/deep", names)

    def test_folders(self):
        self.mount()
        shutil.rmtree(self.at("src/deep"))
        self.write("src/deep", "a file now\n")
        os.remove(self.at("kept"))
        os.makedirs(self.at("kept/a/b"))
        self.write("kept/a/b/c", "c\n")
        shutil.rmtree(self.at("lib"))
        os.mkdir(self.at("lib"))
        self.write("lib/b", "another b\n")
        os.makedirs(self.at("build/obj"), 0o700)
        self.check()

    def test_folder_and_back(self):
        self.mount()
        shutil.rmtree(self.at("lib"))
        self.write("lib", "")
        os.remove(self.at("lib"))
        os.mkdir(self.at("lib"))
        self.check()

    def test_moved(self):
        self.mount()
        shutil.move(self.at("src"), self.at("source"))
        self.write("source/new", "new\n")
        os.remove(self.at("source/old.c"))
        os.mkdir(self.at("src"))
        shutil.move(self.at("lib"), self.at("src/lib"))
        os.remove(self.at("src/lib/a"))
        os.makedirs(self.at("x/y"))
        shutil.move(self.at("source/deep"), self.at("x/y/deep"))
        self.write("x/y/deep/er/more", "more\n")
        members = self.check()
        moved = os.listxattr(self.path("upper/source"))
        if REAL_ROOT:
            self.assertIn("trusted.overlay.redirect", moved)
        self.assertIn("workspace/source/main.c", [m.name for m in members])

    def test_links(self):
        self.mount()
        self.write("one", "one\n")
        os.mkdir(self.at("d"))
        os.link(self.at("one"), self.at("two"))
        os.link(self.at("one"), self.at("d/three"))
        os.link(self.at("kept"), self.at("kept2"))
        kinds = [m.type for m in self.check()]
        self.assertEqual(kinds.count(tarfile.LNKTYPE), 3)

    def test_sparse(self):
        self.mount()
        cases = {"hole at the end": [(0, 10)], "hole first": [(1 << 20, 5000)], "all hole": [],
                 "more": [(i << 17, 4096) for i in range(100)],
                 "long" + "g" * 200: [(4096, 4096), (70000, 3)]}
        for name, data in cases.items():
            with open(self.at(name), "wb") as f:
                f.truncate(15 << 20)
                for offset, size in data:
                    f.seek(offset)
                    f.write(os.urandom(size))
        self.check()
        self.assertLess(os.stat(self.path("tar")).st_size, 2 << 20)

    def test_large_and_sparse(self):
        self.mount()
        with open(self.at("huge"), "wb") as f:
            f.truncate(20 << 30)
            f.seek(10 << 30)
            f.write(b"in the midst")
        self.assertEqual(self.pack(), (0, ""))
        with tarfile.open(self.path("tar")) as tar:
            m = tar.getmember("workspace/huge")
            self.assertEqual(m.size, 20 << 30)
            f = tar.extractfile(m)
            f.seek(10 << 30)
            self.assertEqual(f.read(12), b"in the midst")

    def test_sizes(self):
        """Around blocks and the buffer."""
        self.mount()
        for n in [1, 511, 512, 513, 4096, (1 << 20) - 1024, 1 << 20, (3 << 20) + 7]:
            self.write(f"f{n}", os.urandom(n))
        self.check()

    def test_names(self):
        self.mount()
        os.mkdir(self.at("names"))
        names = [b"n" * n for n in (80, 83, 84, 85, 99, 100, 101, 155, 255)]
        names += [b"\xff\xfe", "größe".encode(), b"new\nline", b"-rf", b" ", b"\x01\x7f", b"...",
                  b"a=b", b"back\\slash"]
        top = os.fsencode(self.at("names"))
        for n in names:
            with open(top + b"/" + n, "wb") as f:
                f.write(n)
            os.symlink(n, top + b"/l" + n[:254])
        os.link(top + b"/" + names[8], top + b"/again")
        self.check()

    def test_deep(self):
        self.mount()
        here = os.getcwd()
        os.chdir(self.at("."))
        for _ in range(70):
            os.mkdir("d" * 200)
            os.chdir("d" * 200)
        with open("file", "w", encoding="utf-8") as f:
            f.write("deep\n")
        os.chdir(here)
        self.assertEqual(self.pack(), (0, ""))
        with tarfile.open(self.path("tar")) as tar:
            names = tar.getnames()
        self.assertEqual(names[-1], "workspace/" + 70 * ("d" * 200 + "/") + "file")

    def test_too_deep(self):
        """Deeper than the host takes: it is told of that, and not of all."""
        self.mount()
        here = os.getcwd()
        os.chdir(self.at("."))
        for _ in range(300):
            os.mkdir("d")
            os.chdir("d")
        os.chdir(here)
        self.assertEqual(self.pack(), (0, ""))
        with tarfile.open(self.path("tar")) as tar:
            self.assertEqual(len(set(tar.getnames())), 128)

    def test_many(self):
        self.mount()
        os.mkdir(self.at("many"))
        for i in range(5000):
            self.write(f"many/file{i}", f"{i}\n" * (i % 200))
        for i in range(50):
            os.mkdir(self.at(f"many/d{i}"))
            self.write(f"many/d{i}/f", "f")
        self.check()

    def test_others(self):
        """FIFOs, sockets: left out, with what was in their place, and nobody waits."""
        self.mount()
        os.mkfifo(self.at("fifo"))
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(self.at("s"))
        os.remove(self.at("src/old.c"))
        os.mkfifo(self.at("src/old.c"))
        self.assertEqual(sorted(m.name for m in self.check() if m.ischr()),
                         ["workspace/fifo", "workspace/s", "workspace/src/old.c"])

    def test_full(self):
        self.mount()
        self.write("big", os.urandom(3 << 20))
        with open("/dev/full", "wb") as out:
            p = subprocess.run([PROGRAM, "pack", self.path("upper"), self.path("merged"), PREFIX],
                               stdout=out, stderr=subprocess.PIPE)
        self.assertEqual(p.returncode, 1)
        self.assertIn(b"No space left on device\n", p.stderr)

    def test_faults(self):
        self.assertEqual(self.pack(upper=self.path("none"))[0], 1)
        self.assertEqual(self.pack(merged=self.path("none"))[0], 1)
        for args in [[], ["pack", "x"], ["mount", "/dev/null"], ["mount", "/dev/null", ""],
                     ["mount", "/dev/null", "4096"], ["mount", "/dev/null", "4096+1"],
                     ["mount", "/dev/null", "4096+4096,"], ["mount", "/none", "4096+4096"],
                     ["mount", "/dev/null", ",".join(["4096+4096"] * 13)]]:
            p = subprocess.run([PROGRAM] + args, stderr=subprocess.PIPE, timeout=10)
            self.assertEqual((p.returncode, p.stderr.count(b"\n")), (1, 1), args)

    def test_shorter(self):
        """What is not as long as it said is told by name; the archive stays whole."""
        self.mount()
        self.write("a\nb", "a\n")
        self.write("z", "z\n")
        subprocess.run(["mount", "--bind", "/sys/kernel/uevent_seqnum", self.path("upper", "a\nb")],
                       check=True)
        r = self.pack()
        subprocess.run(["umount", self.path("upper", "a\nb")], check=True)
        self.assertEqual(r, (1, "workspace/a?b: became shorter\n"))
        with tarfile.open(self.path("tar")) as tar:
            self.assertEqual(sorted(tar.getnames()), ["workspace", "workspace/a\nb", "workspace/z"])


def main():
    os.umask(0o022)
    top = tempfile.mkdtemp(prefix="contractor-changes-")
    for d in ["l", "u", "w", "m"]:
        os.mkdir(os.path.join(top, d))
    p = subprocess.run(["mount", "-t", "overlay", "overlay", "-o",
                        f"lowerdir={top}/l,upperdir={top}/u,workdir={top}/w,{OPTIONS}", f"{top}/m"],
                       stderr=subprocess.PIPE)
    if p.returncode == 0:
        subprocess.run(["umount", f"{top}/m"], check=True)
    subprocess.run(["rm", "-rf", top], check=True)
    if p.returncode != 0:
        print("no overlay in a user namespace here: " + p.stderr.decode().strip())
        return 77
    tests = unittest.defaultTestLoader.loadTestsFromTestCase(Changes)
    result = unittest.TextTestRunner(stream=sys.stderr, verbosity=2).run(tests)
    return 0 if result.wasSuccessful() else 1


if os.environ.get("CHANGES_TEST_INSIDE") == "1":
    sys.exit(main())
os.environ["CHANGES_TEST_INSIDE"] = "1"
os.execvp("unshare", ["unshare", "-m" if REAL_ROOT else "-rm", sys.executable] + sys.argv)
