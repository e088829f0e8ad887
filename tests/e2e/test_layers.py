#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A workspace in layers is what it is by tar: each build is run in both ways and nothing may differ.

`layers` is the image as it is, `tar` the same with a manifest that knows no layers.
"""

import json
import os
import shutil
import sys
import tempfile

import case
import layers_tree

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../hostile"))
import tarlib  # noqa: E402  pylint: disable=wrong-import-position
import trees  # noqa: E402  pylint: disable=wrong-import-position

WAYS = ("layers", "tar")
MOUNTED = {"layers": "overlay", "tar": "ext4"}
# All tests' builds start from one template, but those with another disk.
CACHE = tempfile.TemporaryDirectory(prefix="contractor-e2e-cache-")
MIB = 1 << 20
WHITEOUT = tarlib.octal(0, 8) * 2

# What only a build that has become the guest's root can do, and how it may end.
DISK = layers_tree.WORDS + r"""
disk() { for n in /sys/block/*; do [ "$(cat $n/serial 2>/dev/null)" != "$1" ] || echo /dev/${n##*/}; done; }
u=/run/contractor/ws/upper
"""
ATTACKS = {
    "unmounts it": ("cd /; umount -l /workspace; mkdir -p /workspace/src; echo lie > /workspace/src/lie",
                    (0, 1, 5)),
    "moves it away": ("cd /; mkdir /else; mount --move /workspace /else; rm -r /else/src/keep",
                      (0, 1, 5)),
    "writes behind its back": (
        "cd $u; mkdir -p src/other src/again/again; touch src/again/again/x; mknod src/keep c 0 0\n"
        "mknod src/none c 0 0; mknod src/disk b 254 0; mknod src/null c 1 3; mknod white c 0 0\n"
        "ln -s /etc src/away; ln -s ../.. src/up; rm -f src/readme; mkfifo src/readme; " +
        layers_tree.PERL + " -e 'sub set { xattr($_[0], \"trusted.overlay.$_[1]\", $_[2]) } "
        "set(\"src/other\", \"redirect\", \"/../../../etc\"); set(\"src/again\", \"redirect\", \"/src\"); "
        "set(\"src/again/again\", \"redirect\", \"../again\"); set(\"src/other\", \"opaque\", \"z\")'\n"
        "rm -rf ../work; echo 3 > /proc/sys/vm/drop_caches", (0, 1, 3, 5)),
    "overwrites the scratch disk": ("dd if=/dev/zero of=$(disk scratch) bs=1M count=200 conv=fsync 2>&1",
                                    (0, 1, 3, 5)),
    "removes the packer": ("rm -f /run/contractor/changes", (5,)),
    "puts a packer that ends at once": (
        "printf '#!/bin/sh\nkill -9 $$\n' > /tmp/x; chmod 755 /tmp/x; mv /tmp/x /run/contractor/changes",
        (5,)),
    "puts a packer that lies": (
        "printf '#!/bin/sh\ncat /workspace/src/lie\n' > /tmp/x; chmod 755 /tmp/x; "
        "mv /tmp/x /run/contractor/changes", (5,)),
}


def tree(folder):
    """What trees.describe says, with `now` for times of this test, and none for links with '..'."""
    found = {}
    for path, (kind, mode, mtime, size, what, group) in trees.describe(os.fsencode(folder)).items():
        if mtime >= layers_tree.OLD * 10**9 or (kind == "l" and b".." in what):
            mtime = "now"
        found[path] = (kind, mode, mtime, size, what, group)
    return found


class Ways(case.Case):
    """Specs, builds and results in both ways."""

    def setUp(self):
        super().setUp()
        self.env["XDG_CACHE_HOME"] = CACHE.name
        self.image("layers.img")
        self.image("tar.img", layers=False)
        shutil.rmtree(self.path("code"))
        os.mkdir(self.path("code"))

    def specs(self, recipe, **more):
        for way in WAYS:
            self.spec(recipe, name=way + ".yaml", image=False, worker_image=way + ".img",
                      workspace="ws-" + way, **{"template": True, **more})

    def ended(self, way, p, expect):
        """One build's report and log."""
        r = self.finish(p)
        for folder in reversed(self.builds()):
            with open(os.path.join(folder, "report.json"), encoding="utf-8") as f:
                report = json.load(f)
            if report["paths"]["spec"] == way + ".yaml":
                with open(os.path.join(folder, "log"), encoding="utf-8", errors="replace") as f:
                    log = f.read()
                self.assertEqual(r.exit, expect, f"{way}: {r}\n{log[-2000:]}")
                return report, log
        return self.fail(f"{way}: no report: {r}")

    def ways(self, expect=0, together=True):
        """Both builds, whose recipes begin with WORDS; their reports, which must be the same."""
        reports, logs, started = {}, {}, {}
        for way in WAYS:
            started[way] = self.start("build", "-q", way + ".yaml")
            if not together:
                reports[way], logs[way] = self.ended(way, started[way], expect)
        for way in WAYS:
            if together:
                reports[way], logs[way] = self.ended(way, started[way], expect)
            how, logs[way] = logs[way].split("\n", 1)
            self.assertEqual(how, MOUNTED[way])
        lines = [set(logs[way].split("\n")) for way in WAYS]
        self.assertEqual(sorted(lines[0] - lines[1])[:40], sorted(lines[1] - lines[0])[:40],
                         "what the builds saw")
        self.same(reports)
        return reports

    @staticmethod
    def gist(report):
        return {"verdict": report["verdict"], "exit": report.get("build-exit-code"),
                "limit": report.get("limit"),
                "files": None if report.get("limit") else report["limits"]["files"]["peak"],
                "outside": sorted((l["path"], l["target"]) for l in report["outside-links"])}

    def same(self, reports):
        """The two workspaces, and what the reports say."""
        if all(os.path.isdir(self.path("ws-" + way)) for way in WAYS):
            bad = trees.differences(*(tree(self.path("ws-" + way)) for way in reversed(WAYS)))
            self.assertFalse(bad, "\n".join(["layers are not what tar is:", *sorted(bad)[:60]]))
        self.assertEqual(*(self.gist(reports[way]) for way in WAYS))

    def files(self, folder):
        """Files and links of a tree, to the nanosecond; no links that are made at the end."""
        return {k: (v[0], v[1] | 0o600, *v[2:5])
                for k, v in trees.describe(os.fsencode(self.path(folder))).items()
                if v[0] == "f" or (v[0] == "l" and b".." not in v[4] and v[4][:1] != b"/")}


class Layers(Ways):
    def test_three_builds(self):
        """From nothing; with another source and edits by hand; with nothing changed."""
        layers_tree.make(self.path("code"))
        self.specs(layers_tree.FIRST)
        self.ways(together=False)
        found = tree(self.path("ws-layers"))
        self.assertIn(b"src/ren2/sub/c", found)
        self.assertNotIn(b"src/gone", found)
        for name in ("fifo", "socket", "f2s", "d2p", "keep/fifo", "null", "block", "keep/device",
                     "made/white"):
            self.assertNotIn(b"src/" + name.encode(), found)
        for way in WAYS:
            for name in ("sparse", "keep/sparse", "edit/extend"):
                st = os.stat(self.path(f"ws-{way}/src/{name}"))
                self.assertLess(st.st_blocks * 512, 10 << 20, (way, name))
        layers_tree.change(self.path("code"))
        for way in WAYS:
            layers_tree.by_hand(self.path("ws-" + way))
            layers_tree.part(self.path("ws-" + way))
        self.specs(layers_tree.SECOND)
        self.ways()
        for way in WAYS:
            layers_tree.part(self.path("ws-" + way))
        before = {way: self.files(f"ws-{way}") for way in WAYS}
        source = {b"src/" + k: v for k, v in self.files("code").items()}
        self.specs(layers_tree.WORDS + layers_tree.SHOW)
        self.ways()
        for way in WAYS:
            bad = trees.differences({**before[way], **source}, self.files(f"ws-{way}"))
            self.assertFalse(bad, f"{way}: the build did nothing\n" + "\n".join(sorted(bad)[:60]))

    def test_by_tar(self):
        """What overlayfs would make another thing of: two names of a file, and large holes."""
        self.write("code/one", "one\n")
        os.link(self.path("code/one"), self.path("code/two"))
        self.spec(layers_tree.WORDS + "echo more >>one; cat two; cp -l two three\n",
                  worker_image="layers.img", image=False, template=True)
        self.build("-q")
        self.assertEqual(self.log(), "ext4\none\nmore\n")
        os.unlink(self.path("code/two"))
        with open(self.path("code/hole"), "wb") as f:
            f.truncate(1 << 30)
        shutil.rmtree(self.path("ws"))
        self.spec(layers_tree.WORDS + "echo x >>hole; du -k hole | cut -f1\n",
                  worker_image="layers.img", image=False, template=True)
        self.build("-q")
        self.assertRegex(self.log(), "^ext4\n[0-9]{1,3}\n$")

    def limited(self, recipe, limit=None, expect=3, **limits):
        self.specs(layers_tree.WORDS + recipe, limits=limits)
        for report in self.ways(expect, together=self.booted).values():
            self.assertEqual(report.get("limit"), limit, report)
        self.booted = True

    def test_limits(self):
        """They are the whole workspace's; and a build that fails gives it back."""
        self.booted = bool(os.listdir(CACHE.name))
        for name in ("a", "b", "c"):
            with open(self.path("code", name), "wb") as f:
                f.write(os.urandom(MIB))
        for i in range(50):
            self.write(f"code/many/{i}", "x")
        self.limited("dd if=/dev/urandom of=d bs=1M count=2 2>/dev/null", "output", output="4MiB")
        self.limited("for i in 1 2 3 4 5 6 7 8; do echo > $i; done", "files", files=60)
        self.limited(":", "output", output="2MiB")
        for way in WAYS:
            self.assertFalse(os.path.exists(self.path("ws-" + way)))
        self.limited("rm a b", expect=0, output="2MiB", files=60)
        self.assertEqual(sorted(os.listdir(self.path("ws-layers/src"))), ["c", "many"])
        self.limited("echo kept > ../kept; cd /; mv /workspace/src /workspace/src2; mkdir /workspace/src\n"
                     "echo new > /workspace/src/new; rm /workspace/src2/many/7; exit 7", expect=1)
        for way in WAYS:
            self.assertTrue(os.path.exists(self.path(f"ws-{way}/src2/many/8")))

    def attacked(self, name, exits):
        """The build as specified: it ends as it may, and nothing is harmed."""
        with open(self.path("canary"), "rb") as f:
            self.assertEqual(f.read(), b"untouched")
        before = self.files("ws-layers")
        around = sorted(os.listdir(self.dir))
        r = self.contractor("build", "layers.yaml")
        self.assertIn(r.exit, exits, f"{name}: {r}")
        self.assertEqual(sorted(os.listdir(self.dir)), around, name)
        with open(self.path("canary"), "rb") as f:
            self.assertEqual(f.read(), b"untouched")
        if r.exit in (3, 5):
            self.assertEqual(self.files("ws-layers"), before, name)
        for where, dirs, files in os.walk(self.path("ws-layers")):
            for n in dirs + files:
                path = os.path.join(where, n)
                self.assertIn(os.lstat(path).st_mode >> 12, (4, 8, 10), path)
                self.assertTrue(os.path.realpath(path).startswith(self.path("ws-layers") + "/"), path)
        return r

    def lie(self):
        """An archive that puts a link in a folder's place and then writes below it."""
        return (tarlib.SRC + tarlib.header(b"workspace/src/keep", kind=b"3", devices=WHITEOUT) +
                tarlib.symlink(b"workspace/src/keep", os.fsencode(self.dir)) +
                tarlib.file(b"workspace/src/keep/canary", b"overwritten") + tarlib.END)

    def test_attacks(self):
        """From within the guest, against overlay, scratch disk and packer."""
        self.write("canary", "untouched")
        for name in ("keep/a", "keep/sub/b", "away/c", "readme"):
            self.write("code/" + name, name)
        with open(self.path("code/lie"), "wb") as f:
            f.write(self.lie())
        self.specs(layers_tree.WORDS + "echo made > made")
        self.build(spec="layers.yaml")
        for name, (recipe, exits) in ATTACKS.items():
            self.specs(DISK + "echo the attack\n" + recipe)
            r = self.attacked(name, exits)
            self.assertIn("overlay\nthe attack\n", r.out, name)
        self.assertIn("canary", r.err)
        self.specs(layers_tree.WORDS + "cat keep/a made")
        self.assertEqual(self.build(spec="layers.yaml").out.splitlines()[-1], "keep/amade")

    def test_full_disk(self):
        """A file of the source that is written to is copied to a disk which has no room for it."""
        with open(self.path("code/big"), "wb") as f:
            f.write(os.urandom(30 * MIB))
        self.specs("echo more >> big || :\nrm big", template=False, limits={"disk": "24MiB"})
        r = self.build(spec="layers.yaml", expect=3)
        self.assertEqual(self.report()["limit"], "disk", r)
        self.assertFalse(os.path.exists(self.path("ws-layers")))


if __name__ == "__main__":
    sys.exit(case.main(__name__))
