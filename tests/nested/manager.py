# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the manager VM share: its image, made once for all of a file's tests."""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import case  # noqa: E402

main = case.main
CACHE = "CONTRACTOR_TEST_CACHE"
# For tests of a single start, and for those whose manager knows nothing of templates.
COLD = ("build", "--cold", "--tcg", "--isolation", "nested")


def make_before():
    """Makes the image now, for a test that has no way to fetch a kernel later."""
    if CACHE in os.environ:
        return
    os.environ[CACHE] = folder = tempfile.mkdtemp(prefix="contractor-cache-")
    atexit.register(shutil.rmtree, folder)
    subprocess.run([case.PROGRAM, "manager", "build"], check=True, stdout=subprocess.DEVNULL,
                   env={**os.environ, "XDG_CACHE_HOME": folder})


class Manager(case.Case):
    """A test whose cache, with the kernel package in it, is that of the others in the file."""

    cache = None

    def setUp(self):
        super().setUp()
        Manager.cache = Manager.cache or os.environ.get(CACHE)
        if Manager.cache is None:
            Manager.cache = tempfile.mkdtemp(prefix="contractor-cache-")
            atexit.register(shutil.rmtree, Manager.cache)
        self.env["XDG_CACHE_HOME"] = Manager.cache
        self.folder = os.path.join(Manager.cache, "contractor/manager")

    def make(self, *options, expect=0, **more):
        """contractor manager build; what it prints."""
        r = self.contractor("manager", "build", *options, **more)
        self.assertEqual(r.exit, expect, r)
        return r

    def package(self):
        """The kernel package of the cache, which is fetched when it is not there."""
        for again in (True, False):
            found = [f for f in self.listing() if f.endswith(".deb")]
            if found or not again:
                return os.path.join(self.folder, found[0])
            self.make()

    def listing(self):
        return sorted(os.listdir(self.folder)) if os.path.isdir(self.folder) else []
