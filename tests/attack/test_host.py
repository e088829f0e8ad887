#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that runs out of disk, descriptors or memory: exit 5, a clear word, nothing lost."""

import os
import signal
import sys

from attack import Attack, case, processes

# mounted DIR SIZE COMMAND...: with a small file system there, in a mount namespace of its own
MOUNTED = ["unshare", "-rm", "sh", "-ec",
           'mount -t tmpfs -o "size=$2" small "$1"; shift 2; exec "$@"', "sh"]


class Host(Attack):
    def small(self, folder, size):
        path = self.path(folder)
        os.makedirs(path, exist_ok=True)
        return [*MOUNTED, path, size]

    def test_no_room_to_start(self):
        self.spec("true")
        wrap = self.small("home/.cache", "20m")
        fill = ["sh", "-ec", 'head -c 20000000 /dev/zero >"$0"; exec "$@"',
                self.path("home/.cache/fill")]
        r = self.contractor("build", "spec.yaml", wrap=[*wrap, *fill])
        self.broken(r, self.path("home/.cache"), "free on this disk of the host")
        self.assertNotIn("worker:", r.err)

    def test_cache_fills_up(self):
        """The worker is stopped while the host still has its reserve.

        A guest that writes faster than the reserve of 13 MiB in one poll meets the host's full
        disk first, which is the next test; this one pauses after each half MiB.
        """
        self.spec("while :; do dd if=/dev/zero bs=512k count=1 oflag=direct 2>/dev/null\n"
                  "sleep 0.1; done >../big", limits={"disk": "1GiB"})
        wrap = self.small("home/.cache", "256m")
        fill = ["sh", "-ec", 'head -c 200000000 /dev/zero >"$0"; exec "$@"',
                self.path("home/.cache/fill")]
        r = self.contractor("build", "spec.yaml", wrap=[*wrap, *fill])
        self.broken(r, self.path("home/.cache"), "a build that uses all it was granted needs",
                    "free on this disk of the host")

    def test_no_space_left_for_qemu(self):
        """The command line is stopped, so that QEMU itself meets the full disk."""
        self.spec("echo begun\ndd if=/dev/zero of=../big bs=1M count=600",
                  limits={"disk": "1GiB"})
        with open(self.path("out"), "w", encoding="utf-8") as out:
            p = self.start("build", "spec.yaml", stdout=out, wrap=self.small("home/.cache", "256m"))
            self.wait_for("the build", lambda: "begun" in self.read("out") or p.poll() is not None)
            p.send_signal(signal.SIGSTOP)
            self.wait_for("the end of QEMU", lambda: not processes(p.pid, "qemu-system"),
                          timeout=120)
            p.send_signal(signal.SIGCONT)
            err = p.communicate(timeout=60)[1]
        p.stdout, p.stderr = "", err
        self.broken(case.Result(p))
        self.assertRegex(err, "no space left on the host for the worker's scratch disk|"
                              "free on this disk of the host")

    def test_log_fills_the_disk(self):
        self.spec("yes 'a line of the log'", limits={"log": "200MiB"})
        r = self.contractor("build", "-q", "spec.yaml",
                            wrap=self.small("home/.local/state", "24m"))
        self.broken(r, self.path("home/.local/state"))

    def test_no_room_for_the_workspace(self):
        self.spec("dd if=/dev/urandom of=../big bs=1M count=40", workspace="small/ws")
        os.makedirs(self.path("small"))
        r = self.contractor("build", "spec.yaml", wrap=self.small("small", "30m"))
        self.broken(r, "there is no room for it")

    def test_few_descriptors(self):
        self.spec("true")
        failures = 0
        for n in range(3, 64):
            r = self.contractor("build", "spec.yaml", wrap=["prlimit", f"--nofile={n}"])
            if r.exit == 0:
                break
            if r.exit == 127 or "shared libraries" in r.err:
                continue  # too few even to load the program
            failures += 1
            self.assertEqual(r.exit, 5, f"{n} descriptors: {r}")
            self.assertIn("Too many open files", r.err, f"{n} descriptors")
            self.assertEqual(self.read("ws/kept"), "from before")
        self.assertGreater(failures, 2)

    def test_no_memory_for_the_worker(self):
        self.spec("true", limits={"memory": "8GiB"})
        r = self.contractor("build", "spec.yaml", wrap=["prlimit", f"--as={2 << 30}"])
        self.broken(r, "emory")


if __name__ == "__main__":
    sys.exit(case.main(__name__))
