#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The attacks on limits in full size; tests/attack/test_limits.py has small ones of the kind."""

import os
import sys
import threading

from attack import MIB, Attack, case, processes, resident_peak

MEMORY = 64 * MIB  # more than this the command line and the manager have no business to hold


class Slow(Attack):
    def watched(self, limit, build, **limits):
        """A build that goes over `limit`; what contractor and its manager had in memory at most."""
        self.spec(build, limits={k.replace("_", "-"): v for k, v in limits.items()})
        p = self.start("build", "-q", "spec.yaml")
        peaks = []
        t = threading.Thread(target=lambda: peaks.append(resident_peak(p, "contractor")))
        t.start()
        r = self.finish(p, timeout=7200)
        t.join()
        report = self.judged(limit, r)
        self.assertLess(peaks[0], MEMORY)
        return report

    def test_log_of_10_gigabytes(self):
        """Of 10 GB the granted 100 MiB are kept, to the byte, and nothing piles up in memory."""
        report = self.watched("log", "yes 'a line of a log that goes on and on and on' | "
                              "head -c 10000000000", cpu_time="100h", time="100h")
        self.assertEqual(report["granted"], 100 * MIB)
        self.assertEqual(os.path.getsize(os.path.join(self.builds()[-1], "log")), 100 * MIB)

    def test_log_of_10_gigabytes_granted(self):
        """The same with 4 GB granted, which all come through."""
        self.watched("log", "yes 'a line of a log that goes on and on and on' | "
                     "head -c 10000000000", log="4GB", cpu_time="100h", time="100h")
        self.assertEqual(os.path.getsize(os.path.join(self.builds()[-1], "log")), 4000000000)

    def test_memory_of_a_large_worker(self):
        """Of 1 GiB and more QEMU keeps some for translated code: all of it together is bounded."""
        self.write("code/a.c", "".join(f"int f{i}(int a) {{ return a * {i} % (a + {i + 1}); }}\n"
                                       for i in range(2000)))
        self.spec("gcc -O2 -c a.c\ntail /dev/zero", limits={"memory": "1GiB", "cpus": 1})
        p = self.start("build", "--isolation", "single", "spec.yaml")
        peaks = []
        t = threading.Thread(target=lambda: peaks.append(resident_peak(p, "qemu-system")))
        t.start()
        r = self.finish(p, timeout=7200)
        t.join()
        self.assertIn(r.exit, (1, 5), r)
        self.assertGreater(peaks[0], 700 * MIB)
        self.assertLess(peaks[0], (1024 + 128) * MIB)

    def test_a_million_files(self):
        """Of 10^6 files the worker packs all, and the host stops after the granted number."""
        report = self.watched("files", "mkdir ../t && cd ../t\n"
                              "perl -e 'for my $d (0 .. 999) { mkdir $d; for my $f (0 .. 999) {"
                              " open(my $h, \">\", \"$d/$f\") or die; } }'",
                              cpu_time="100h", time="100h")
        self.assertEqual(report["granted"], 200000)
        self.assertEqual(report["build-exit-code"], 0)
        self.assertFalse(processes(os.getpid(), "contractor"))


if __name__ == "__main__":
    sys.exit(case.main(__name__))
