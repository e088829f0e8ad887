#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds in a row, whose workspace's disk is kept: whatever is done to source, workspace, cache and
builds in between, each is what it would be if nothing had been kept."""

import glob
import hashlib
import mmap
import os
import random
import shutil
import signal
import stat
import sys
import tempfile
import time

import case
import layers_tree
import test_layers

# What the guest sees of files, as seen() has it, and what it does.
LOOK = "cd /workspace; find . -type f -exec sha256sum {} + | sort; "
ROUNDS = 12
LAYERS = 10  # more than these are not kept
PHASES = ("start", "restore", "copy-in", "build", "copy-out", "save")
SHORT = 2  # that are killed in each run


def change_files(rng, top, trees):
    """The same in each of the trees: what people, editors and git do to files."""
    name = "/".join(rng.choice("abcd") for _ in range(rng.randint(1, 3)))
    other = "/".join(rng.choice("abcd") for _ in range(rng.randint(1, 3)))
    what, data = rng.randrange(12), rng.randbytes(rng.choice((0, 20, 3000, 9000)))
    for tree in trees:
        path, to = os.path.join(top, tree, name), os.path.join(top, tree, other)
        try:
            if what < 4:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "wb") as f:
                    f.write(data)
                os.utime(path, (7e8, 7e8))
            elif what == 4:
                layers_tree.sneak(path)
            elif what == 5:
                os.chmod(path, 0o755)
            elif what == 6:
                os.utime(path, (8e8, 8e8))
            elif what == 7:
                os.rename(path, to)
            elif what == 8 and os.path.isdir(path):
                shutil.rmtree(path)
            elif what == 8:
                os.unlink(path)
            elif what == 9:
                shutil.rmtree(path)
                os.mkdir(path)
            elif what == 10:
                os.unlink(path)
                os.mkdir(path)
            else:
                os.symlink("a", path)
        except OSError:
            pass


class Kept(test_layers.Ways):
    def setUp(self):
        super().setUp()
        self.sources, self.made = set(), {}
        self.rng = random.Random(1)

    def entry(self, end, name="ws-layers"):
        """A file of the cache's entry for that workspace."""
        key = hashlib.sha256(b"workspace\0" + os.fsencode(os.path.realpath(self.path(name)))).hexdigest()
        return os.path.join(test_layers.CACHE.name, "contractor/layers", key + end)

    def layers(self):
        """How many layers the kept disk has; 0: none is kept."""
        if not os.path.exists(self.entry(".json")):
            return 0
        with open(self.entry(".list"), "rb") as f:
            f.readline()  # of the machine's start
            return len(f.readline().split(b","))

    def seen(self, tree, prefix="./"):
        found = {}
        for where, _, names in os.walk(self.path(tree)):
            for n in names:
                path = os.path.join(where, n)
                if stat.S_ISREG(os.lstat(path).st_mode):
                    with open(path, "rb") as f:
                        found[prefix + os.path.relpath(path, self.path(tree))] = \
                            hashlib.sha256(f.read()).hexdigest()
        return found

    def expected(self, code="code"):
        """What a build of the present source and workspace has to see."""
        source = self.seen(code, "./src/")
        found = {k: v for k, v in self.seen("ws-layers").items() if k not in self.sources}
        found.update(source)
        self.sources = set(source)
        return found

    def right(self, *options, code="code", spec="layers.yaml", expect=0, kept=True):
        """A build that sees what it has to, and that leaves it behind with what it makes."""
        for name in glob.glob(self.path("ws-layers/.made*")):
            os.unlink(name)
        expected = self.expected(code)
        r = self.build(*options, spec=spec, expect=expect)
        lines = [line.split("  ", 1) for line in self.log().splitlines() if "  ./" in line]
        self.assertEqual({name: digest for digest, name in lines}, expected, r)
        now = self.seen("ws-layers")
        now.pop("./.made", None)
        self.assertEqual(now, expected, r)
        self.clean()
        self.assertEqual(self.layers() > 0, kept, r)
        return r

    def clean(self):
        """Nothing that is not an entry in the cache, nor beside the workspace."""
        for name in os.listdir(os.path.dirname(self.entry(""))):
            self.assertIn(name[64:], (".img", ".json", ".list", ".lock"), name)
            if name[64:] in (".img", ".list"):
                self.assertTrue(os.path.exists(self.entry("")[:-64] + name[:64] + ".json"), name)
        self.assertFalse([n for n in os.listdir(self.dir) if n.startswith(".contractor")])

    def simple(self, more="date > .made", **spec):
        self.specs(LOOK + more, **spec)

    def some_source(self):
        for name in ("a", "b", "d/x", "d/y", "d/e/z"):
            self.write("code/" + name, name * 300)

    def test_rounds(self):
        """Against tar, until the disk has been made anew."""
        self.specs(layers_tree.WORDS + layers_tree.SHOW + layers_tree.PERL +
                   " -e 'add(\"/workspace/log\", \"x\"); put(\"../still\", 1) if !-e \"../still\"; put(\"a/made\", 1) if -d \"a\"; "
                   "unlink(\"b\"); system(\"rm -rf c/d\")'\n")
        most = 0
        for n in range(ROUNDS):
            for _ in range(40 if n == 0 else 6):
                change_files(self.rng, self.dir, ["code"])
            if n > 0:
                for _ in range(6):
                    change_files(self.rng, self.dir, [f"ws-{way}/src" for way in test_layers.WAYS])
                change_files(self.rng, self.dir, ["ws-" + way for way in test_layers.WAYS])
                for way in test_layers.WAYS:
                    for name in ("log", "still"):
                        os.chmod(self.path(f"ws-{way}/{name}"), (0o644, 0o444, 0o4755, 0o400)[n % 4])
            self.ways(together=n > 0)
            self.clean()
            most = max(most, self.layers())
        self.assertEqual(most, LAYERS)
        self.assertLess(self.layers(), LAYERS)

    def test_cache_in_source(self):
        """Its files are no source, as little as the workspace."""
        self.write("code/a", "a\n")
        self.env["XDG_CACHE_HOME"] = self.path("code/cache")
        self.env["CONTRACTOR_CACHE_DIR"] = self.path("code/cache")
        self.spec("find . | sort", image=False, worker_image="layers.img", template=None)
        for _ in range(2):
            self.build("-q")
            self.assertEqual(self.log(), ".\n./a\n")
        self.assertFalse(os.path.exists(self.path("ws/src/cache")))

    def test_same(self):
        """Nothing is written for what has not changed; what no time tells is found if asked for."""
        self.some_source()
        self.simple(":")
        self.right()
        size = os.stat(self.entry(".img")).st_blocks
        for options in ((), ("--verify-workspace",)):
            r = self.right(*options)
            self.assertEqual(self.layers(), 1, r)
            self.assertEqual(os.stat(self.entry(".img")).st_blocks, size)
            self.assertNotIn("remembered", r.err)

    def mapped(self, *names):
        """Files, mapped for writing; the first page of each is written to, as it will be again."""
        maps = []
        for name in names:
            self.write(name, "A" * 5000)
            with open(self.path(name), "r+b") as f:
                maps.append(mmap.mmap(f.fileno(), 0))
            maps[-1][:5] = b"first"
        time.sleep(0.1)
        return maps

    def test_mapped(self):
        """Somebody writes to a mapping, of which no time tells: before the build, and after it."""
        with tempfile.TemporaryDirectory(dir="/dev/shm") as shm:
            for code in ("code", shm):
                self.some_source()
                self.write(code + "/plain", "A" * 5000)
                maps = self.mapped(code + "/open", code + "/open2")
                self.simple(":", source=code)
                self.right(code=code)
                maps[0][:5] = maps[1][:5] = b"again"
                maps.pop().close()
                self.right(code=code)
                maps[0][:5] = b"third"
                maps.pop().close()
                with open(self.path(code + "/plain"), "r+b") as f, mmap.mmap(f.fileno(), 0) as m:
                    m[:5] = b"anew "
                self.right(code=code)
                self.right(code=code)
                self.assertEqual(self.layers(), 3 if code == "code" else 6)

    def test_damage(self):
        """Of each file of the entry: the next build is told, and sends all."""
        self.some_source()
        self.simple()
        self.right()
        for end, at in ((".img", (1 << 20) + 5000), (".list", 3), (".list", -1), (".json", 20)):
            with open(self.entry(end), "r+b") as f:
                f.seek(at, 2 if at < 0 else 0)
                old = f.read(1)
                f.seek(-1, 1)
                f.write(bytes([old[0] ^ 1]))
            self.write("code/a", end)
            r = self.right()
            self.assertIn("not used", r.err, end)
            self.assertEqual(self.layers(), 1)
        os.unlink(self.entry(".list"))
        self.assertIn("1 damaged", self.contractor("cache", "verify").out)
        self.assertNotIn("not used", self.right().err)
        os.unlink(self.entry(".img"))
        self.assertIn("not used", self.right().err)

    def test_folders(self):
        """The workspace goes, goes away and comes back, and becomes its own copy."""
        self.some_source()
        self.simple("echo x >> ../kept; date > .made")
        self.build(spec="layers.yaml")
        self.simple()
        self.sources = set(self.seen("code", "./src/"))
        ws = self.path("ws-layers")
        os.rename(ws, ws + "-away")
        os.rename(ws + "-away", ws)
        self.right()
        self.assertEqual(self.layers(), 2)
        shutil.move(ws, ws + "-away")
        shutil.copytree(ws + "-away", ws, symlinks=True)
        self.write("code/b", "other\n")
        self.right()
        self.assertEqual(self.layers(), 3)
        shutil.rmtree(ws)
        self.right()
        self.assertFalse(os.path.exists(ws + "/kept"))

    def test_ends(self):
        """A build that fails, is over a limit, or is denied; another source; and no cache."""
        self.some_source()
        self.simple()
        self.right()
        self.simple("date > .made; exit 7")
        self.write("code/a", "before it fails\n")
        self.right(expect=1)
        self.assertEqual(self.layers(), 2)
        self.simple("date > .made; bash -c 'exec 3<>/dev/tcp/192.0.2.7/80' || :", template=False,
                    network={"allow": [{"host": "packages.example.org", "port": 443, "protocol": "tcp"}],
                             "on-denied": "fail"})
        self.write("code/a", "before it is denied\n")
        self.right(expect=4)
        self.assertEqual(self.layers(), 3)
        self.simple("seq 100000 > big", limits={"output": "128KiB"})
        self.write("code/a", "before the limit\n")
        self.build(spec="layers.yaml", expect=3)
        self.clean()
        self.assertEqual(self.layers(), 0)
        self.simple()
        self.right()
        shutil.copytree(self.path("code"), self.path("code2"))
        self.write("code2/a", "another source\n")
        self.write("code2/new", "another source\n")
        os.unlink(self.path("code2/d/x"))
        self.simple(source="code2")
        self.right(code="code2")
        self.simple()
        self.right()
        self.contractor("cache", "clear")
        self.assertEqual(self.layers(), 0)
        self.write("code/d/x", "after the cache\n")
        self.right()

    def test_meanwhile(self):
        """Files are changed while a build runs, and another one waits for the workspace."""
        self.some_source()
        self.simple("date > .made; echo begun; sleep 2")
        self.right()
        first = self.start("build", "layers.yaml", stdout=open(self.path("out"), "w"))
        self.wait_for("the recipe", lambda: "begun" in self.read("out"))
        self.simple()
        self.write("code/a", "changed meanwhile\n")
        self.write("ws-layers/by-hand", "changed meanwhile\n")
        os.unlink(self.path("code/b"))
        second = self.start("build", "layers.yaml")
        self.assertEqual(self.finish(first).exit, 0)
        told = self.finish(second)
        self.assertEqual(told.exit, 0, told)
        self.assertIn("waiting", told.err)
        self.assertEqual(self.read("ws-layers/src/a"), "changed meanwhile\n")
        self.assertFalse(os.path.exists(self.path("ws-layers/src/b")))
        self.sources = set(self.seen("code", "./src/"))
        self.right()

    def test_moved_away(self):
        """While a build runs: what is kept elsewhere has no file in common with the new workspace."""
        self.some_source()
        self.simple("mkdir -p made; test -e made/x || echo x > made/x; echo begun; sleep 2")
        self.build(spec="layers.yaml")
        self.sources = set(self.seen("code", "./src/"))
        self.right()
        p = self.start("build", "layers.yaml", stdout=open(self.path("out"), "w"))
        self.wait_for("the recipe", lambda: "begun" in self.read("out"))
        os.rename(self.path("ws-layers"), self.path("away"))
        self.assertEqual(self.finish(p).exit, 0)
        self.assertEqual(self.seen("ws-layers"), self.seen("away"))
        for where, _, names in os.walk(self.path("away")):
            for n in names:
                self.assertEqual(os.lstat(os.path.join(where, n)).st_nlink, 1, n)
        self.right()

    def test_killed(self):
        """In some phases each time; tests/fault/cached.py has them all."""
        self.some_source()
        self.simple("echo begun; sleep 1; for i in $(seq 300); do echo $i > f$i; done; rm f*")
        self.right()
        for phase in random.sample(PHASES, SHORT):
            self.write("code/a", phase)
            out = self.path("events")
            p = self.start("build", "--json", "layers.yaml", stdout=open(out, "w"))
            self.wait_for(phase, lambda: f'"{phase}"' in self.read("events") or p.poll() is not None)
            time.sleep(self.rng.uniform(0, 0.02))
            p.send_signal(signal.SIGKILL)
            self.finish(p)
            time.sleep(0.3)
            self.right()


if __name__ == "__main__":
    sys.exit(case.main(__name__))
