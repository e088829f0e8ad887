#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""contractor.mk: when a target is built, -j, -k, -n, exit status, jobserver; no machine is booted.

Most of it has a script in Contractor's place; the jobserver has Contractor itself, with an image that
does not boot, and the report tells how many processors the worker was given.
"""

import json
import os
import shutil
import subprocess
import sys
import time

import case

# Writes down how it was called, waits while there is a file "wait", and "builds" beside the spec.
STUB = """#!/bin/sh
echo "$*" >>calls
for spec; do :; done
dir=${spec%/*}
[ -e "$dir/fail" ] && exit 3
mkdir -p "$dir/ws/src"
touch "running-$dir"
[ ! -e both ] || { n=0; until [ -e running-a ] && [ -e running-b ]; do
	n=$((n + 1)); [ $n -lt 600 ] || exit 9; sleep 0.1; done; }
echo built >"$dir/ws/src/out"
touch -d '1 hour ago' "$dir/ws/src/out"
"""

MAKEFILE = """include {mk}
all: a/ws/src/out b/ws/src/out
$(call contractor-target, a/ws/src/out, a/spec.yaml, a/in1 a/in2)
$(call contractor-target, b/ws/src/out, b/spec.yaml, b/in)
"""


class Make(case.Case):
    def setUp(self):
        super().setUp()
        self.write("stub", STUB, 0o755)
        self.makefile(os.path.join(case.TOP, "examples/make/contractor.mk"))
        for name in ("a/spec.yaml", "a/in1", "a/in2", "b/spec.yaml", "b/in"):
            self.write(name, name)
        self.env["CONTRACTOR"] = "./stub"
        self.env.pop("MAKEFLAGS", None)

    def makefile(self, mk):
        self.write("Makefile", MAKEFILE.format(mk=mk))

    def make(self, *args, expect=0):
        p = subprocess.run(["make", *args], cwd=self.dir, env=self.env, text=True,
                           capture_output=True, timeout=300)
        self.assertEqual(p.returncode, expect, p)
        return p

    def calls(self):
        calls = self.read("calls").splitlines() if os.path.exists(self.path("calls")) else []
        if calls:
            os.unlink(self.path("calls"))
        return [c.split()[-1] for c in calls]

    def test_builds_what_is_old(self):
        self.make()
        self.assertEqual(self.calls(), ["a/spec.yaml", "b/spec.yaml"])
        self.make()
        self.assertEqual(self.calls(), [], "nothing has changed")
        later = time.time() + 5
        for name, want in (("a/in2", "a/spec.yaml"), ("b/spec.yaml", "b/spec.yaml")):
            later += 5
            os.utime(self.path(name), (later, later))
            self.make()
            self.assertEqual(self.calls(), [want])
            for target in ("a/ws/src/out", "b/ws/src/out"):
                os.utime(self.path(target), (later + 1, later + 1))
        self.write("a/other", "is no input")
        os.utime(self.path("a/other"), (later + 60, later + 60))
        self.make()
        self.assertEqual(self.calls(), [])

    def test_side_by_side(self):
        self.write("both", "each waits for the other")
        self.make("-j2")
        self.assertEqual(sorted(self.calls()), ["a/spec.yaml", "b/spec.yaml"])

    def test_dry_run(self):
        p = self.make("-n")
        self.assertIn("./stub build", p.stdout)
        self.assertIn("a/spec.yaml", p.stdout)
        self.assertEqual(self.calls(), [])
        self.make("-nk", "-j4")
        self.make("--dry-run")
        self.assertEqual(self.calls(), [])

    def test_keep_going_and_exit_status(self):
        self.write("a/fail", "")
        p = self.make(expect=2)
        self.assertIn("a/ws/src/out] Error 3", p.stderr)
        self.assertEqual(self.calls(), ["a/spec.yaml"])
        p = self.make("-k", expect=2)
        self.assertIn("a/ws/src/out] Error 3", p.stderr)
        self.assertEqual(self.calls(), ["a/spec.yaml", "b/spec.yaml"])
        self.assertTrue(os.path.exists(self.path("b/ws/src/out")))

    def test_target_that_does_not_come(self):
        self.write("Makefile", MAKEFILE.format(mk=os.path.join(
            case.TOP, "examples/make/contractor.mk")).replace("a/ws/src/out", "a/ws/src/none"))
        self.make(expect=2)

    def cpus(self):
        reports = []
        for folder in self.builds():
            with open(os.path.join(folder, "report.json"), encoding="utf-8") as f:
                reports.append(json.load(f))
            shutil.rmtree(folder)
        return [r["limits"]["cpus"] for r in reports]

    def test_jobserver(self):
        self.env["CONTRACTOR"] = os.path.abspath(case.PROGRAM)
        self.env["CONTRACTOR_FLAGS"] = "--boot-deadline 1s --isolation single --limit cpus=3"
        for name in ("a", "b"):
            case.fake_image(self.path(name))
            self.spec("true", name=f"{name}/spec.yaml", image=False, source=".", limits={"cpus": 3})
        for jobs, want in (("-j1", [3]), ("-j2", [2]), ("-j8", [3])):
            p = self.make(jobs, "a/ws/src/out", expect=2)
            self.assertIn("Error 5", p.stderr)
            self.assertNotIn("jobserver tokens", p.stderr)
            self.assertNotIn("warning", p.stderr)
            self.assertEqual(self.cpus(), want, f"{jobs}: {p.stderr}")
        # both at once have no more together than make has jobs
        self.env["CONTRACTOR_FLAGS"] += " --jobs-limit 2"
        p = self.make("-j3", "-k", expect=2)
        self.assertNotIn("jobserver tokens", p.stderr)
        self.assertLessEqual(sum(self.cpus()), 4, p.stderr)

    def test_installed(self):
        """Found by pkg-config after an installation."""
        target = self.path("root")
        subprocess.run(["meson", "install", "-C", os.environ["CONTRACTOR_BUILD"], "--no-rebuild",
                        "--quiet", "--destdir", target], check=True, capture_output=True,
                       timeout=200)
        found = [os.path.join(d, f) for d, _, files in os.walk(target) for f in files
                 if f in ("contractor.pc", "contractor.mk")]
        pc, mk = sorted(found, key=lambda f: not f.endswith(".pc"))
        self.env["PKG_CONFIG_PATH"] = os.path.dirname(pc)
        p = subprocess.run(["pkg-config", "--variable=makefile", "contractor"], env=self.env,
                           text=True, capture_output=True, check=True)
        self.assertEqual(target + p.stdout.strip(), mk)
        self.env["ROOT"] = target
        self.makefile("$(ROOT)$(shell pkg-config --variable=makefile contractor)")
        self.make()
        self.assertEqual(self.calls(), ["a/spec.yaml", "b/spec.yaml"])


if __name__ == "__main__":
    sys.exit(case.main(__name__))
