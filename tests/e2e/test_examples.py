#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples, each built as it stands: packages by its play, results looked at on the host.

Where a registry's name has a private address (a mirror), the rules get `private: true`, and the
worker the certificates of this machine.
"""

import glob
import ipaddress
import json
import os
import shutil
import socket
import subprocess
import sys

import yaml

import case

EXAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../examples")
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


def is_private(host):
    try:
        addresses = {a[4][0] for a in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return any(not ipaddress.ip_address(a).is_global for a in addresses)


class Examples(case.Case):
    def example(self, name):
        shutil.copytree(os.path.join(EXAMPLES, name), self.path(name), symlinks=True,
                        ignore=shutil.ignore_patterns("ws*", "*.img*"))
        self.image()
        if name == "hello":
            self.image("hello/worker.img")
        self.name = name
        for path in glob.glob(self.path(name, "*.yaml")):
            with open(path, encoding="utf-8") as f:
                spec = yaml.safe_load(f)
            for rule in spec.get("network", {}).get("allow", []):
                if is_private(rule["host"]):
                    rule["private"] = True
                    shutil.copy(CERTIFICATES, self.path(name, "mirror.crt"))
                    spec.setdefault("env", {})["NODE_EXTRA_CA_CERTS"] = "/workspace/src/mirror.crt"
            with open(path, "w", encoding="utf-8") as f:
                yaml.safe_dump(spec, f, sort_keys=False)

    def ws(self, *names):
        return self.path(self.name, "ws", *names)

    def build_example(self, name):
        self.example(name)
        r = self.build("--isolation", "single", spec=f"{name}/{name}.yaml", timeout=3600)
        self.assertEqual(self.report()["denied"], [])
        return r

    def test_hello(self):
        self.assertIn("hello, world\n", self.build_example("hello").out)

    def test_meson_library(self):
        r = self.build_example("meson-library")
        self.assertRegex(r.out, r"Ok: +1")
        self.assertTrue(glob.glob(self.ws("root/usr/lib/*/libring.so.1.0")))
        self.assertTrue(glob.glob(self.ws("root/usr/lib/*/pkgconfig/ring.pc")))
        # nothing has changed: no play, and nothing is compiled
        r = self.build("--isolation", "single", spec="meson-library/meson-library.yaml")
        self.assertEqual(self.report()["prepare"]["layer"], "used")
        self.assertIn("ninja: no work to do.", r.out)

    def test_python_wheel(self):
        r = self.build_example("python-wheel")
        self.assertIn("\nOK\n", r.out)
        self.assertTrue(os.path.exists(self.ws("dist/greeting-1.0-py3-none-any.whl")))

    def test_node_package(self):
        r = self.build_example("node-package")
        self.assertIn("\nok\n", r.out)
        self.assertTrue(os.path.exists(self.ws("age-1.0.0.tgz")))
        self.assertTrue(os.path.exists(self.ws("src/node_modules/ms/package.json")))

    def test_debian_package(self):
        self.build_example("debian-package")
        deb, = glob.glob(self.ws("shout_1.0_*.deb"))
        subprocess.run(["dpkg-deb", "-x", deb, self.path("root")], check=True)
        said = subprocess.run([self.path("root/usr/bin/shout"), "is", "it"], text=True, check=True,
                              capture_output=True).stdout
        self.assertEqual(said, "IS IT\n")

    def test_malicious(self):
        """Each of them ends as its first lines say, and takes and leaves nothing."""
        os.makedirs(self.path("home/.ssh"))
        self.write("home/.ssh/id_rsa", "my key")
        self.example("malicious")
        self.env["CONTRACTOR"] = os.path.abspath(case.PROGRAM)
        p = subprocess.run([self.path("malicious/run.sh"), "--isolation", "single"], env=self.env, text=True,
                           stdin=subprocess.DEVNULL, capture_output=True, timeout=3600)
        self.assertEqual(p.stdout.splitlines(), [
            "read: exit status 0", "escape: exit status 0", "network: exit status 4",
            "processor: exit status 3", "disk: exit status 3", "log: exit status 3"], p.stderr)
        loot = self.read("malicious/ws-read/loot")
        self.assertNotIn("my key", loot)
        self.assertNotIn("id_rsa", loot)
        self.assertIn("root:", loot)
        escaped = self.path("malicious/ws-escape")
        self.assertEqual(sorted(os.listdir(escaped)), ["src", "tool"])
        self.assertEqual(os.stat(escaped + "/tool").st_mode & 0o7000, 0)
        reports = []
        for folder in self.builds():
            with open(os.path.join(folder, "report.json"), encoding="utf-8") as f:
                reports.append(json.load(f))
        self.assertEqual([r["verdict"] for r in reports],
                         ["built", "built", "denied", "limit", "limit", "limit"])
        denied = {d.get("host") or d["address"] for d in reports[2]["denied"]}
        self.assertLessEqual({"192.168.1.1", "169.254.169.254", "evil.example.com"}, denied)
        self.assertTrue(any("allow" in d for d in reports[2]["denied"]), denied)


if __name__ == "__main__":
    sys.exit(case.main(__name__))
