#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Surroundings that build servers have: no environment, no home, odd umasks, names and disks.

Nothing here boots: the image is none, and a build of it comes as far as its machine (exit status 5,
with a record). test_headless_builds.py has the whole way.
"""

import glob
import json
import os
import pwd
import shutil
import stat
import subprocess
import sys
import tempfile

import case

# In a user and mount namespace of its own; $1 is the folder of the test.
READ_ONLY_HOME = 'mount --bind "$HOME" "$HOME" && mount -o remount,bind,ro "$HOME" && exec "$@"'
# The program may be below /tmp itself: it is seen once more beside the test.
FULL_TMP = ("mkdir b && mount --bind \"$CONTRACTOR_BUILD\" b && mount -t tmpfs -o size=16k none /tmp && { head -c 1M /dev/zero >/tmp/full; "
            "! echo x >/tmp/more; } 2>/dev/null && exec \"$@\"")


class Headless(case.Case):
    def setUp(self):
        super().setUp()
        case.fake_image(self.dir)
        self.spec("true", image=False)

    def build(self, *options, wrap=(), cwd=None, env=None,
              program=os.path.abspath(case.PROGRAM), **popen):
        p = subprocess.run([*wrap, program, "build", "--boot-deadline", "1s",
                            "--isolation", "single", *options, "spec.yaml"],
                           cwd=cwd or self.dir, env=self.env if env is None else env,
                           stdin=subprocess.DEVNULL, capture_output=True, timeout=300, **popen)
        p.stdout, p.stderr = (t.decode("utf-8", "replace") for t in (p.stdout, p.stderr))
        self.assertEqual(p.returncode, 5, p)
        self.assertIn("contractor: infrastructure: ", p.stderr)
        self.assertIn("contractor: report: ", p.stderr)
        return p

    def test_no_environment(self):
        """env -i: the home is the password database's."""
        home = pwd.getpwuid(os.getuid()).pw_dir
        p = self.build(env={})
        report = p.stderr.rsplit("contractor: report: ", 1)[1].strip()
        self.assertTrue(report.startswith(home + "/"), p)
        shutil.rmtree(os.path.dirname(report))

    def test_no_home(self):
        env = {k: v for k, v in self.env.items() if k != "HOME"}
        env["XDG_STATE_HOME"], env["XDG_CACHE_HOME"] = self.path("state"), self.path("cache")
        self.build(env=env)
        self.assertEqual(len(glob.glob(self.path("state/contractor/builds/*/report.json"))), 1)

    def test_read_only_home(self):
        p = self.build("--cache-dir", self.path("cache"),
                       wrap=("unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
                             READ_ONLY_HOME, "sh"))
        self.assertEqual(os.listdir(self.home), [], p)
        self.assertEqual(len(glob.glob(self.path("cache/state/builds/*/report.json"))), 1)
        self.env["CONTRACTOR_CACHE_DIR"] = self.path("cache")
        r = self.contractor("status", wrap=("unshare", "--user", "--map-root-user", "--mount", "sh",
                                            "-c", READ_ONLY_HOME, "sh"))
        self.assertIn("infrastructure", r.out, r)

    def test_read_only_home_without_a_word(self):
        p = subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
                            READ_ONLY_HOME, "sh", os.path.abspath(case.PROGRAM), "build", "spec.yaml"],
                           cwd=self.dir, env=self.env, text=True, capture_output=True, timeout=60)
        self.assertEqual(p.returncode, 5, p)
        self.assertIn("Read-only file system", p.stderr)
        self.assertIn("--cache-dir", p.stderr)
        self.assertLessEqual(len(p.stderr.splitlines()), 3, p)

    def test_full_tmp(self):
        folder = tempfile.mkdtemp(prefix="contractor-full-", dir="/var/tmp")
        self.addCleanup(shutil.rmtree, folder)
        for name in ("code", "worker.img", "worker.img.json", "spec.yaml", "home"):
            os.rename(self.path(name), os.path.join(folder, name))
        self.env["HOME"] = folder + "/home"
        self.build(cwd=folder, program=folder + "/b/src/cli/contractor", wrap=(
            "unshare", "--user", "--map-root-user", "--mount", "sh", "-c", FULL_TMP, "sh"))
        os.mkdir(self.home)

    def test_umasks(self):
        for mask in (0o000, 0o077):
            self.build(umask=mask)
            for folder, want in ((self.builds()[-1], 0o700),
                                 (self.path("home/.local/state/contractor"), 0o700),
                                 (self.path("home/.cache/contractor"), 0o700)):
                self.assertEqual(stat.S_IMODE(os.stat(folder).st_mode), want, folder)
            for name in os.listdir(self.builds()[-1]):
                mode = stat.S_IMODE(os.stat(os.path.join(self.builds()[-1], name)).st_mode)
                self.assertEqual(mode & 0o077, 0, f"{name} is for others too, umask {mask:o}")
            shutil.rmtree(self.path("home/.local"))
            shutil.rmtree(self.path("home/.cache"))

    def test_odd_folders(self):
        for name in (b"a b", b"it's \"so\"", b"new\nline", b"not \xff utf-8", b"$(x) `y` ;&|*?",
                     "ä\u202eö".encode(), b"-v", b"tab\there"):
            folder = os.path.join(self.dir.encode(), name)
            os.mkdir(folder)
            for f in ("code", "worker.img", "worker.img.json", "spec.yaml"):
                source = self.path(f)
                (shutil.copytree if f == "code" else os.link)(source.encode(), folder + b"/" + f.encode())
            p = self.build(cwd=folder)
            for char in ("\x1b", "\u202e"):
                self.assertNotIn(char, p.stderr)
            with open(os.path.join(self.builds()[-1], "report.json"), encoding="utf-8") as f:
                json.load(f)
        self.assertEqual(len(self.builds()), 8)
        r = self.contractor("status")
        self.assertEqual(len(r.out.splitlines()), 8, r)

    def test_no_terminal(self):
        """As cron or ssh without -t: a session of its own, no terminal, closed stdin."""
        p = self.build(wrap=("setsid", "--wait"))
        self.assertNotIn("\r", p.stderr)
        self.assertNotIn("\x1b", p.stderr)

    def test_units(self):
        """The examples of units are what systemd takes, as far as its own check goes."""
        units = sorted(glob.glob(os.path.join(case.TOP, "examples/systemd/contractor-*")))
        self.assertGreaterEqual(len(units), 2)
        for unit in units:
            with open(unit, encoding="utf-8") as f:
                text = f.read().replace("/usr/bin/contractor", os.path.abspath(case.PROGRAM))
            self.write(os.path.basename(unit).replace("@.", "@test."), text)
        if not shutil.which("systemd-analyze"):
            self.skipTest("systemd-analyze is not installed")
        os.environ["XDG_RUNTIME_DIR"] = self.dir
        p = subprocess.run(["systemd-analyze", "verify", "--user", "--man=no", *(
            self.path(os.path.basename(u).replace("@.", "@test.")) for u in units)],
            env=dict(self.env, XDG_RUNTIME_DIR=self.dir), text=True, capture_output=True, timeout=60)
        self.assertEqual(p.returncode, 0, p)
        self.assertNotIn("contractor-", p.stderr)


if __name__ == "__main__":
    sys.exit(case.main(__name__))
