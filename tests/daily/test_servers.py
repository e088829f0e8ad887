#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A build started by a real cron and over a real ssh, both without a terminal.

Debian's packages of both are unpacked into the test's folder, and run in namespaces of their own
with folders of their own in the places where they keep their state: no job and no key of this
machine is seen, nothing listens, and nothing stays behind. In the slow suite, for the packages.
"""

import glob
import os
import shlex
import subprocess
import sys

import case

PACKAGES = ("cron", "libwrap0", "openssh-server")
PASSWD = "root:x:0:0:root:{home}:/bin/sh\nsshd:x:101:65534::/run/sshd:/usr/sbin/nologin\n"
SHADOW = "root:*:20000::::::\nsshd:*:20000::::::\n"
PAM = "".join(f"{kind} required pam_permit.so\n" for kind in ("auth", "account", "session"))
SSHD = """HostKey {dir}/key
AuthorizedKeysFile {dir}/key.pub
StrictModes no
UsePAM no
"""
# $1 is the folder of the test; then the daemon.
INSIDE = """set -e
mount --bind "$1/passwd" /etc/passwd
mount --bind "$1/shadow" /etc/shadow
mount --bind "$1/pam.d" /etc/pam.d
mount -t tmpfs none /run
mkdir /run/sshd
mount -t tmpfs none /var/spool
mkdir -p -m 700 /var/spool/cron/crontabs
cp "$1/crontab" /var/spool/cron/crontabs/root
chmod 600 /var/spool/cron/crontabs/root
for f in /etc/crontab /etc/cron.d; do
	[ ! -f $f ] || mount --bind /dev/null $f
	[ ! -d $f ] || mount -t tmpfs none $f
done
shift
exec "$@"
"""


class Servers(case.Case):
    def setUp(self):
        super().setUp()
        subprocess.run(["apt-get", "-q", "download", *PACKAGES], cwd=self.dir, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for deb in glob.glob(self.path("*.deb")):
            subprocess.run(["dpkg-deb", "-x", deb, self.path("root")], check=True)
        self.write("passwd", PASSWD.format(home=self.home))
        self.write("shadow", SHADOW)
        self.write("pam.d/other", PAM)
        self.write("pam.d/cron", PAM)
        self.write("inside", INSIDE)
        self.write("crontab", "")
        lib, = glob.glob(self.path("root/lib/*/libwrap.so.0")) or glob.glob(
            self.path("root/usr/lib/*/libwrap.so.0"))
        self.env["LD_LIBRARY_PATH"] = os.path.dirname(lib)
        self.spec("test ! -t 0 && test ! -t 1 && echo made >../made\n", workspace="ws")

    def wrap(self):
        """A root of its own, by which both become whom a job or a login is of."""
        users = () if os.getuid() == 0 else ("--user", "--map-auto", "--map-root-user")
        return ["unshare", *users, "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
                "sh", self.path("inside"), self.dir]

    def command(self):
        return (f"cd {shlex.quote(self.dir)} && {shlex.quote(os.path.abspath(case.PROGRAM))}"
                " build spec.yaml")

    def look(self, said):
        self.assertEqual(self.read("ws/made"), "made\n", said)
        self.assertEqual(self.report()["verdict"], "built")
        self.assertIn("contractor: built in ", said)
        for char in ("\r", "\x1b"):
            self.assertNotIn(char, said)

    def test_cron(self):
        said, status = (shlex.quote(self.path(name)) for name in ("said", "status"))
        self.write("crontab", f"* * * * * {self.command()} >{said} 2>&1; echo $? >{status}\n")
        cron = self.start("-f", program=self.path("root/usr/sbin/cron"), wrap=self.wrap())
        self.wait_for("cron's job", lambda: os.path.exists(self.path("status")) and
                      self.read("status") or cron.poll() is not None)
        self.assertIsNone(cron.poll())
        cron.kill()
        self.assertEqual(self.read("status"), "0\n", self.read("said"))
        self.look(self.read("said"))

    def test_ssh(self):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.path("key")],
                       check=True)
        self.write("sshd_config", SSHD.format(dir=self.dir))
        sshd = [*self.wrap(), self.path("root/usr/sbin/sshd"), "-i", "-f", self.path("sshd_config")]
        p = subprocess.run(
            ["ssh", "-F", "none", "-T", "-i", self.path("key"), "-o", "UserKnownHostsFile=/dev/null",
             "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR",
             "-o", "ProxyCommand=" + shlex.join(sshd), "root@worker.invalid", self.command()],
            env=self.env, text=True, stdin=subprocess.DEVNULL, capture_output=True,
            timeout=case.TIMEOUT)
        self.assertEqual(p.returncode, 0, p)
        self.look(p.stderr)


if __name__ == "__main__":
    sys.exit(case.main(__name__))
