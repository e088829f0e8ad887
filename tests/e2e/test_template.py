#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory templates: workers that start from one are right, each one of its own, or boot."""

import glob
import os
import sys
import time

import case

# What must be another in each worker, and what must be right in it.
WHO = """
echo id $(cat /etc/machine-id) $(cat /proc/sys/kernel/random/boot_id)
echo random $(od -An -v -tx1 -N256 /dev/urandom | tr -d ' \\n')
echo more $(perl -e 'syscall(318, $b = "x" x 256, 256, 0); print unpack("H*", $b)')
echo name $(hostname) $(cat /proc/sys/kernel/hostname)
echo time $(date +%s.%N)
echo env $WORD
cat data
"""


class Template(case.Case):
    def setUp(self):
        super().setUp()
        self.write("code/data", "data 1\n")

    def warm_spec(self, build=WHO, **more):
        more = {"template": True, "env": {"WORD": "one"}, "limits": {"memory": "512MiB", "cpus": 1},
                **more}
        self.spec(build, **more)

    def run_one(self, what, *options):
        """A build; its log's lines by their first word, and what was told of the template."""
        before = time.time()
        r = self.build(*options)
        after = time.time()
        report = self.report()
        self.assertEqual(report["template"]["what"], what, r)
        phases = [p["name"] for p in report["phases"]]
        self.assertEqual("boot" in phases, what != "used", phases)
        said = dict(line.split(" ", 1) for line in self.log().splitlines() if " " in line)
        if "time" in said:
            self.assertTrue(before - 1 <= float(said["time"]) <= after + 1, said)
            self.assertEqual(said["name"], "worker worker")
            self.assertRegex(said["id"], "^[0-9a-f]{32} ")
            self.assertEqual(len(said["random"]), 512)
        return said, report["template"], r

    def files(self):
        return sorted(glob.glob(self.path("home/.cache/contractor/layers/*.img")))

    def test_clones(self):
        """Three of one template; input, environment and recipe are their own."""
        self.warm_spec()
        first, told, r = self.run_one("made")
        self.assertEqual(len(self.files()), 1, r)
        st = os.stat(self.files()[0])
        self.assertEqual(st.st_mode & 0o777, 0o600)
        self.write("code/data", "data 2\n")
        self.warm_spec(env={"WORD": "two"})
        second, again, r = self.run_one("used")
        self.assertEqual(again["key"], told["key"])
        self.assertIn(told["key"][:12], r.err)
        self.warm_spec(build=WHO + "echo recipe new\nexit 3\n", env=None)
        r = self.build(expect=1)
        third = dict(line.split(" ", 1) for line in self.log().splitlines() if " " in line)
        self.assertEqual(third["recipe"], "new")
        self.assertEqual((first["data"], second["data"], third["data"]), ("1", "2", "2"))
        self.assertEqual((first["env"], second["env"]), ("one", "two"))
        self.assertNotIn("env", third)
        for word in ("id", "random", "more"):
            self.assertEqual(len({first[word], second[word], third[word]}), 3, word)
        # no stretch of one's random numbers occurs in another's
        pieces = [s[k][i:i + 16] for s in (first, second, third) for k in ("random", "more")
                  for i in range(0, 512, 16)]
        self.assertEqual(len(set(pieces)), len(pieces))
        # nobody has written to it meanwhile
        self.assertEqual(os.stat(self.files()[0]).st_mtime_ns, st.st_mtime_ns)
        self.assertIn("1 whole, 0 damaged", self.contractor("cache", "verify").out)
        self.run_cold()
        self.damage()

    def run_cold(self):
        """Turned off by an option and by the spec: it boots, and tells why."""
        self.warm_spec(build="true")
        r = self.build("--cold")
        self.assertEqual(self.report()["template"], {"what": "off", "note": "--cold"})
        self.assertIn("boot", [p["name"] for p in self.report()["phases"]], r)

    def damage(self):
        """One byte of the memory: it is told, and made anew. Another's: likewise."""
        with open(self.files()[0], "r+b") as f:
            f.seek(100 << 20)
            byte = f.read(1)
            f.seek(100 << 20)
            f.write(bytes([byte[0] ^ 1]))
        self.warm_spec(build="true")
        told, r = self.run_one("made")[1:]
        self.assertIn("was removed: its disk has been written to", told["note"])
        self.assertIn(told["note"], r.err)
        if os.getuid() == 0:
            os.chown(self.files()[0], 12345, 12345)
        else:
            os.chmod(self.files()[0], 0o644)
        told = self.run_one("made")[1]
        self.assertIn("is not a file of yours alone", told["note"])
        self.run_one("used")

    def test_other_inputs(self):
        """Sizes, the network and the image are part of what a template is known by."""
        self.warm_spec(build="cat /proc/net/route /etc/resolv.conf",
                       network={"allow": [{"host": "example.invalid", "protocol": "http"}]})
        first = self.run_one("made")[1]["key"]
        told = self.run_one("used")
        self.assertEqual(told[1]["key"], first)
        self.assertIn("nameserver", self.log())
        self.assertRegex(self.log(), r"(?m)^\S+\s+00000000\s")  # the way out
        self.warm_spec(build="ls /sys/class/net > net", workspace="ws2")
        self.image("worker2.img", sha256="0" * 64)
        other = self.run_one("made")[1]["key"]
        self.assertNotEqual(other, first)
        self.assertEqual(self.read("ws2/src/net"), "lo\n")
        self.warm_spec(build="true", worker_image="worker2.img", workspace="ws2")
        self.assertNotIn(self.run_one("made")[1]["key"], (first, other))

    def test_bad_state(self):
        """What QEMU cannot restore is removed, and the worker boots in the same build."""
        self.warm_spec(build="echo built")
        self.write("bin/qemu", '#!/usr/bin/sh\ncase "$*" in *-incoming*) exit 7 ;; esac\n'
                   'exec /usr/bin/qemu-system-x86_64 "$@"\n', 0o755)
        self.env["CONTRACTOR_QEMU"] = self.path("bin/qemu")
        r = self.build()
        told = self.report()["template"]
        self.assertEqual(told["what"], "failed", r)
        self.assertIn("exit status 7", told["note"])
        self.assertEqual(self.log(), "built\n")
        self.assertEqual(self.files(), [])


if __name__ == "__main__":
    sys.exit(case.main(__name__))
