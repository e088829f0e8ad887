#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""debian/: built by dpkg-buildpackage, installed by apt in a fresh Debian, removed; and it builds."""

import glob
import os
import shutil
import subprocess
import sys

import case

SKIP = shutil.ignore_patterns(".git", ".build", "*.img", "*.img.json", "__pycache__", "ws")
# In the fresh system, as root of it: what the package brings works there, and goes with it.
INSIDE = """set -eux
apt-get -qq -y --no-install-recommends install /tmp/contractor.deb make pkgconf >/dev/null
find / -xdev -newer /tmp/contractor.deb >/dev/null
contractor --version
contractor build --help >/dev/null
test -x /usr/libexec/contractor/contractor-manager
test -s /usr/share/bash-completion/completions/contractor
test -s /usr/share/man/man1/contractor.1.gz
test -s /usr/share/man/man5/contractor-spec.5.gz
test -s /usr/share/contractor/firmware/worker/driver
test -s "$(pkg-config --variable=makefile contractor)"
dpkg --verify contractor
cd /tmp
printf 'worker-image: w.img\\nsource: .\\nworkspace: ws\\nbuild: make\\n' >spec.yaml
contractor dump spec.yaml | grep -q '"build"'
contractor build spec.yaml && exit 1
test $? = 2
contractor doctor >/dev/null || test $? = 5
apt-get -qq -y purge contractor >/dev/null
test -z "$(find /usr /etc /var/lib/contractor -name '*contractor*' 2>/dev/null)"
"""


class Deb(case.Case):
    def run_ok(self, *args, timeout=3600, **more):
        p = subprocess.run(args, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, timeout=timeout, **more)
        self.assertEqual(p.returncode, 0, p.stdout[-3000:])
        return p.stdout

    def test_package(self):
        shutil.copytree(case.TOP, self.path("tree"), ignore=SKIP, symlinks=True)
        self.run_ok("dpkg-buildpackage", "-us", "-uc", "-b", "-j2", cwd=self.path("tree"))
        deb, = glob.glob(self.path("contractor_*.deb"))
        self.write("inside", INSIDE, 0o755)
        os.chmod(self.dir, 0o755)
        said = self.run_ok(
            "mmdebstrap", "--variant=apt", "--format=null", "--quiet",
            f"--customize-hook=cp {deb} \"$1/tmp/contractor.deb\"",
            f"--customize-hook=cp {self.path('inside')} \"$1/tmp/inside\"",
            "--customize-hook=chroot \"$1\" sh /tmp/inside >&2", "bookworm")
        self.assertRegex(said, r"contractor \d+\.\d+")

        # the same files, on this machine, run a whole build
        self.run_ok("dpkg-deb", "-x", deb, self.path("root"))
        self.image()
        self.spec("gcc -x c -o ../hello - <<E\nint main(void) { return 0; }\nE")
        r = case.Result(subprocess.run([self.path("root/usr/bin/contractor"), "build", "spec.yaml"],
                                       cwd=self.dir, env=self.env, text=True, errors="replace",
                                       stdin=subprocess.DEVNULL, capture_output=True,
                                       timeout=case.TIMEOUT))
        self.assertEqual(r.exit, 0, r)
        self.assertTrue(os.path.exists(self.path("ws/hello")))


if __name__ == "__main__":
    sys.exit(case.main(__name__))
