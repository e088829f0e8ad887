#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker's cgroup with the kernel's own cgroup v2.

Hosts differ in what they delegate, and many a test machine has cgroup v1; the kernel of a worker
has v2 and nobody else who uses it. So the unit test runs in there, as a user to whom a part is
delegated: it makes the cgroup in both ways, and then is too much for it.
"""

import os
import shutil
import subprocess
import sys

from attack import Attack, case

PROGRAM = os.environ.get("CONTRACTOR_TEST_CGROUP_PROGRAM")


class Cgroup(Attack):
    def test_in_a_kernel(self):
        self.assertTrue(PROGRAM, "CONTRACTOR_TEST_CGROUP_PROGRAM is not set")
        libs = self.path("code/lib")
        os.mkdir(libs)
        shutil.copy(PROGRAM, self.path("code/test"))
        ldd = subprocess.run(["ldd", PROGRAM], check=True, capture_output=True, text=True).stdout
        for line in ldd.splitlines():
            for word in line.split():
                if word.startswith("/"):
                    shutil.copy(word, libs)
        self.spec("mkdir /sys/fs/cgroup 2>/dev/null || true\n"
                  "busybox mount -t cgroup2 none /sys/fs/cgroup\n"
                  "export CONTRACTOR_TEST_CGROUP=/sys/fs/cgroup\n"
                  "chmod 1777 /tmp\nlib/ld-linux-*.so.* --library-path lib ./test\n")
        r = self.build()
        self.assertIn("kernel", self.log(), r)
        self.assertNotIn("not ok", self.log())
        # and on this host it was made, or the report says why not
        cgroup = self.report()["cgroup"]
        self.assertTrue("path" in cgroup or "why" in cgroup, cgroup)
        if "path" in cgroup:
            self.assertFalse(os.path.exists(cgroup["path"]))


if __name__ == "__main__":
    sys.exit(case.main(__name__))
