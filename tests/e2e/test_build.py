#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ordinary builds: what goes in, what comes back, what is kept, what is reported."""

import os
import shutil
import stat
import sys

import case

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PHASES = ["start", "boot", "copy-in", "build", "copy-out", "save"]


class Build(case.Case):
    def test_hello_example(self):
        for name in ("hello.c", "hello.yaml"):
            shutil.copy(os.path.join(TOP, "examples/hello", name), self.dir)
        self.image()
        r = self.build(spec="hello.yaml")
        self.assertIn("hello, world\n", self.log())
        self.assertIn("hello, world\n", r.out)
        self.assertTrue(os.access(self.path("ws/src/hello"), os.X_OK))
        self.assertFalse(os.path.exists(self.path("ws/src/worker.img")), "the image went in too")
        report = self.report()
        self.assertEqual(report["verdict"], "built")
        self.assertEqual(report["build-exit-code"], 0)
        names = [p["name"] for p in report["phases"]]
        self.assertEqual([n for n in PHASES if n in names], PHASES)
        for name in ("log", "report"):
            self.assertIn(name + ": ", r.err)
        for name in PHASES:
            self.assertIn(name, r.err)

    def test_second_build_keeps_the_workspace(self):
        self.write("code/sub/gone.txt", "1")
        self.write("code/stays.txt", "1")
        self.spec("echo $((1 + $(cat ../count || echo 0))) > ../count.new\n"
                  "mv ../count.new ../count\necho built > made.o\nls -R . > ../seen")
        self.build()
        self.assertEqual(self.read("ws/count"), "1\n")
        self.assertIn("gone.txt", self.read("ws/seen"))
        os.remove(self.path("code/sub/gone.txt"))
        os.rmdir(self.path("code/sub"))
        self.write("code/stays.txt", "2")
        self.build()
        self.assertEqual(self.read("ws/count"), "2\n")
        self.assertNotIn("gone.txt", self.read("ws/seen"))
        self.assertIn("made.o", self.read("ws/seen"), "what the first build left in src is kept")
        self.assertEqual(self.read("ws/src/stays.txt"), "2")
        self.assertFalse(os.path.exists(self.path("ws/src/sub/gone.txt")))

    def test_source_is_not_written_to(self):
        self.write("code/a", "before")
        self.spec("echo after > a\nrm readme\nmkdir new\ngrep bogomips /proc/cpuinfo", limits={"cpus": 2})
        self.build()
        # no processor had to measure its delay loop, which goes wrong on a busy host
        self.assertEqual((len(self.log().splitlines()), len(set(self.log().splitlines()))), (2, 1), self.log())
        self.assertEqual(self.read("code/a"), "before")
        self.assertEqual(sorted(os.listdir(self.path("code"))), ["a", "readme"])
        self.assertEqual(self.read("ws/src/a"), "after\n")
        self.assertFalse(os.path.exists(self.path("ws/src/readme")))

    def test_files_of_many_kinds_there_and_back(self):
        code = self.path("code")
        self.write("code/tool", "#!/bin/sh\necho tool\n", 0o755)
        self.write("code/secret", "x", 0o600)
        os.symlink("tool", os.path.join(code, "link"))
        os.link(os.path.join(code, "tool"), os.path.join(code, "hard"))
        os.makedirs(os.path.join(code, "empty"))
        os.makedirs(os.path.join(code, ".git/objects"))
        long = "/".join(["d" * 100] * 5)
        self.write(f"code/{long}/f", "deep")
        with open(os.path.join(os.fsencode(code), b"latin-\xe9"), "wb") as f:
            f.write(bytes(range(256)))
        with open(os.path.join(code, "sparse"), "wb") as f:
            f.truncate(1 << 30)
            f.seek(512 << 20)
            f.write(b"middle")
        os.utime(os.path.join(code, "secret"), ns=(1, 1234567890_123456789))
        self.spec("./tool > out\ntest \"$(readlink link)\" = tool\n"
                  "test \"$(stat -c %h hard)\" = 2\nstat -c '%y' secret > mtime\n"
                  "test \"$(stat -c %a secret)\" = 600\ntest -d .git/objects\n"
                  "test \"$(du -k sparse | cut -f1)\" -lt 10000")
        self.build()
        ws = self.path("ws/src")
        self.assertEqual(self.read("ws/src/out"), "tool\n")
        self.assertIn(".123456789 ", self.read("ws/src/mtime"))
        self.assertEqual(os.readlink(os.path.join(ws, "link")), "tool")
        self.assertEqual(stat.S_IMODE(os.stat(os.path.join(ws, "tool")).st_mode), 0o755)
        self.assertEqual(os.stat(os.path.join(ws, "hard")).st_ino,
                         os.stat(os.path.join(ws, "tool")).st_ino)
        self.assertTrue(os.path.isdir(os.path.join(ws, "empty")))
        self.assertEqual(self.read(f"ws/src/{long}/f"), "deep")
        with open(os.path.join(os.fsencode(ws), b"latin-\xe9"), "rb") as f:
            self.assertEqual(f.read(), bytes(range(256)))
        st = os.stat(os.path.join(ws, "sparse"))
        self.assertEqual(st.st_size, 1 << 30)
        self.assertLess(st.st_blocks * 512, 10 << 20)
        self.assertEqual(os.stat(os.path.join(ws, "secret")).st_mtime_ns, 1234567890_123456789)

    def test_links_out_are_kept_for_the_next_worker_only(self):
        self.spec("test \"$(readlink out || echo none)\" = \"$(cat ../expect || echo none)\"\n"
                  "ln -sf /etc/passwd out\necho /etc/passwd > ../expect")
        self.build()
        self.assertFalse(os.path.lexists(self.path("ws/src/out")))
        links = self.report()["outside-links"]
        self.assertEqual([(l["path"], l["target"]) for l in links], [("src/out", "/etc/passwd")])
        self.build()

    def test_environment_of_a_build(self):
        self.env["SECRET_OF_THE_HOST"] = "s3cret"
        self.spec("env > ../env\nid -u > ../uid\npwd > ../pwd\ncat > ../stdin\n"
                  "umask > ../umask\necho to stdout\necho to stderr >&2", env={"CFLAGS": "-O2 'quoted' $HOME"})
        r = self.build()
        self.assertIn("CFLAGS=-O2 'quoted' $HOME\n", self.read("ws/env"))
        self.assertNotIn("s3cret", self.read("ws/env"))
        self.assertEqual(self.read("ws/pwd"), "/workspace/src\n")
        self.assertEqual(self.read("ws/stdin"), "")
        self.assertEqual(self.read("ws/umask"), "0022\n")
        self.assertIn("to stdout\n", self.log())
        self.assertIn("to stderr\n", self.log())
        self.assertNotIn("s3cret", r.out + r.err)

    def test_control_sequences_do_not_reach_the_terminal(self):
        self.spec("printf '\\033]0;owned\\007\\033[2J red\\n'")
        r = self.build()
        self.assertNotIn("\033", r.out + r.err)
        self.assertIn("\\x1b[2J red", r.out)
        self.assertIn("\033[2J red", self.log(), "the log has what the build wrote")

    def test_exit_7(self):
        self.write("ws/kept", "from before")
        self.spec("echo left > made\nexit 7")
        r = self.build(expect=1)
        self.assertIn("exit status 7", r.err)
        report = self.report()
        self.assertEqual(report["verdict"], "failed")
        self.assertEqual(report["build-exit-code"], 7)
        self.assertEqual(self.read("ws/kept"), "from before")

    def test_a_failing_command_stops_the_build(self):
        self.spec("echo one\nfalse\necho two")
        self.build(expect=1)
        self.assertIn("one", self.log())
        self.assertNotIn("two", self.log())


if __name__ == "__main__":
    sys.exit(case.main(__name__))
