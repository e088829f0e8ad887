# SPDX-License-Identifier: GPL-3.0-or-later
"""What the end-to-end tests share: a folder and a home for each test, builds, reports, TAP.

Environment: CONTRACTOR names the program, CONTRACTOR_TEST_IMAGE a worker image with a compiler.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import unittest

import yaml

PROGRAM = os.environ.get("CONTRACTOR", "contractor")
IMAGE = os.environ.get("CONTRACTOR_TEST_IMAGE")

# Far over what a build takes under emulation: the program's own deadlines must come first.
TIMEOUT = 900


class Result:
    """How one run of contractor ended."""

    def __init__(self, p):
        self.exit, self.out, self.err = p.returncode, p.stdout, p.stderr

    def __str__(self):
        return f"exit {self.exit}\n--- stdout\n{self.out[-3000:]}\n--- stderr\n{self.err[-3000:]}"


class Case(unittest.TestCase):
    """A test with a folder (self.dir), a home of its own in it, and a source folder `code`."""

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="contractor-e2e-")
        self.addCleanup(self.remove)
        self.home = os.path.join(self.dir, "home")
        os.mkdir(self.home)
        os.mkdir(self.path("code"))
        self.write("code/readme", "a source\n")
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("XDG_")}
        self.env["HOME"] = self.home

    def remove(self):
        for where, dirs, _ in os.walk(self.dir):
            for d in dirs:
                p = os.path.join(where, d)
                if not os.path.islink(p):
                    os.chmod(p, 0o700)
        shutil.rmtree(self.dir)

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def write(self, name, content, mode=None):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(content)
        if mode is not None:
            os.chmod(path, mode)

    def read(self, name):
        with open(self.path(name), encoding="utf-8", errors="replace") as f:
            return f.read()

    def image(self, name="worker.img", **changes):
        """The worker image under a name in the folder; `changes` go into its manifest."""
        if not IMAGE:
            self.skipTest("CONTRACTOR_TEST_IMAGE is not set (tests/run.sh makes an image)")
        target = self.path(name)
        try:
            os.link(IMAGE, target)
        except OSError:
            os.symlink(IMAGE, target)
        with open(IMAGE + ".json", encoding="utf-8") as f:
            manifest = json.load(f)
        for key, value in changes.items():
            manifest[key] = value(manifest.get(key)) if callable(value) else value
        with open(target + ".json", "w", encoding="utf-8") as f:
            json.dump(manifest, f)

    def spec(self, build, name="spec.yaml", image=True, **more):
        """Writes a spec; keys with _ for -."""
        if image and not os.path.lexists(self.path("worker.img")):
            self.image()
        # off: a template pays when its second build comes, and most tests have one
        spec = {"worker-image": "worker.img", "source": "code", "workspace": "ws",
                "template": False}
        spec.update({k.replace("_", "-"): v for k, v in more.items()})
        spec["build"] = build
        self.write(name, yaml.safe_dump({k: v for k, v in spec.items() if v is not None}))

    def start(self, *args, program=PROGRAM, wrap=(), **popen):
        """contractor in the background, in the test's folder; killed when the test ends."""
        popen = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True,
                 "errors": "replace", "stdin": subprocess.DEVNULL, **popen}
        p = subprocess.Popen([*wrap, program, *args], cwd=self.dir, env=self.env, **popen)

        def stop():
            if p.poll() is None:
                p.kill()
                p.communicate()

        self.addCleanup(stop)
        return p

    def finish(self, p, timeout=TIMEOUT):
        out, err = p.communicate(timeout=timeout)
        p.stdout, p.stderr = out, err
        return Result(p)

    def contractor(self, *args, timeout=TIMEOUT, wrap=()):
        p = subprocess.run([*wrap, PROGRAM, *args], cwd=self.dir, env=self.env, text=True,
                           errors="replace", stdin=subprocess.DEVNULL, capture_output=True,
                           timeout=timeout)
        return Result(p)

    def build(self, *options, spec="spec.yaml", expect=0, timeout=TIMEOUT):
        """contractor build; the result, whose exit status must be `expect`."""
        r = self.contractor("build", *options, spec, timeout=timeout)
        self.assertEqual(r.exit, expect, r)
        return r

    def builds(self):
        """Folders of this test's builds, oldest first."""
        folder = os.path.join(self.home, ".local/state/contractor/builds")
        names = os.listdir(folder) if os.path.isdir(folder) else []
        paths = [os.path.join(folder, n) for n in names]
        return sorted(paths, key=lambda p: os.stat(p).st_mtime_ns)

    def report(self):
        with open(os.path.join(self.builds()[-1], "report.json"), encoding="utf-8") as f:
            return json.load(f)

    def log(self):
        with open(os.path.join(self.builds()[-1], "log"), encoding="utf-8",
                  errors="replace") as f:
            return f.read()

    def wait_for(self, what, check, timeout=TIMEOUT):
        end = time.monotonic() + timeout
        while not check():
            self.assertLess(time.monotonic(), end, f"waited in vain for {what}")
            time.sleep(0.05)


class TapResult(unittest.TestResult):
    """Prints each result as it comes."""

    n = 0

    def line(self, test, ok, note="", detail=""):
        self.n += 1
        name = test.id().split(".", 1)[-1]
        print(f"{'ok' if ok else 'not ok'} {self.n} - {name}{note}", flush=True)
        for text in detail.split("\n"):
            if text:
                print(f"# {text}", flush=True)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.line(test, True)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.line(test, True, f" # SKIP {reason}")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.line(test, False, detail="".join(traceback.format_exception(*err)))

    def addError(self, test, err):
        super().addError(test, err)
        self.line(test, False, detail="".join(traceback.format_exception(*err)))


def main(module):
    """Runs the tests of a module (arguments: parts of their names), TAP on stdout."""
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules[module])
    tests = [t for case in suite for t in case]
    if len(sys.argv) > 1:
        tests = [t for t in tests if any(a in t.id() for a in sys.argv[1:])]
    print(f"1..{len(tests)}", flush=True)
    result = TapResult()
    for t in tests:
        t.run(result)
    print("# end", flush=True)
    return 0 if result.wasSuccessful() else 1
