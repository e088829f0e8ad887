#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory templates: workers that start from one are right, each one of its own, or boot."""

import os
import sys

import case
import warm


class Template(warm.Warm):
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
        self.warm_spec(build=warm.WHO + "echo recipe new\nexit 3\n", env=None)
        r = self.build(expect=1)
        third = warm.words(self.log())
        self.assertEqual(third["recipe"], "new")
        self.assertEqual((first["data"], second["data"], third["data"]), ("1", "2", "2"))
        self.assertEqual((first["env"], second["env"]), ("one", "two"))
        self.assertNotIn("env", third)
        for word in ("id", "random", "more"):
            self.assertEqual(len({first[word], second[word], third[word]}), 3, word)
        # no stretch of one's random numbers occurs in another's
        pieces = [p for s in (first, second, third) for p in warm.pieces(s)]
        self.assertEqual(len(set(pieces)), len(pieces))
        # nobody has written to it meanwhile
        self.assertEqual(os.stat(self.files()[0]).st_mtime_ns, st.st_mtime_ns)
        self.assertIn(" 0 damaged", self.contractor("cache", "verify").out)
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
        """Sizes, network, image and QEMU are part of what a template is known by."""
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
        keys = [first, other, self.run_one("made")[1]["key"]]
        self.write("bin/qemu", '#!/usr/bin/sh\nexec /usr/bin/qemu-system-x86_64 "$@"\n', 0o755)
        self.env["CONTRACTOR_QEMU"] = self.path("bin/qemu")
        keys.append(self.run_one("made")[1]["key"])
        self.assertEqual(len(set(keys)), 4)

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
