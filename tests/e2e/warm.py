# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds that may start from a memory template, and what a right worker says of itself."""

import glob
import os
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
PIECE = 16  # hexadecimal digits of random numbers that no two workers share


def words(log):
    """A log's lines by their first word."""
    return dict(line.split(" ", 1) for line in log.splitlines() if " " in line)


def pieces(said):
    """The random numbers of one worker, cut up."""
    return [said[k][i:i + PIECE] for k in ("random", "more") for i in range(0, 512, PIECE)]


class Warm(case.Case):
    def setUp(self):
        super().setUp()
        self.write("code/data", "data 1\n")

    def warm_spec(self, build=WHO, **more):
        more = {"template": True, "env": {"WORD": "one"}, "limits": {"memory": "512MiB", "cpus": 1},
                **more}
        self.spec(build, **more)

    def check_worker(self, said, before, after):
        self.assertTrue(before - 1 <= float(said["time"]) <= after + 1, said)
        self.assertEqual(said["name"], "worker worker")
        self.assertRegex(said["id"], "^[0-9a-f]{32} ")
        self.assertEqual(len(said["random"]), 512)

    def run_one(self, what, *options):
        """A build; what its worker said, what was told of the template, and its result."""
        before = time.time()
        r = self.build(*options)
        after = time.time()
        report = self.report()
        self.assertEqual(report["template"]["what"], what, r)
        phases = [p["name"] for p in report["phases"]]
        self.assertEqual("boot" in phases, what != "used", phases)
        said = words(self.log())
        if "time" in said:
            self.check_worker(said, before, after)
        return said, report["template"], r

    def files(self):
        """The templates: a workspace's disk has a list beside it."""
        found = sorted(glob.glob(self.path("home/.cache/contractor/layers/*.img")))
        return [n for n in found if not os.path.exists(n[:-len("img")] + "list")]
