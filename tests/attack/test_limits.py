#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds that try to use more than they were granted: each limit is a wall and a verdict."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time

from attack import MIB, Attack, case, processes, resident_peak

# In a build: the path of a disk by its serial.
DISK = 'disk() { for n in /sys/block/*; do if [ "$(cat $n/serial 2>/dev/null)" = "$1" ]; then ' \
       'echo /dev/${n##*/}; fi; done; }\n'

# Takes the control port out of the driver's hands (pidfd_open, pidfd_getfd of process 1).
CONTROL = "my $c = syscall(438, syscall(434, 1, 0), 3, 0); die if $c < 0; " \
          "open(my $ctl, '>&=', $c); $ctl->autoflush(1); "

# How far a limit may be overshot: one poll for each vCPU, and of the wall clock this.
POLL_MS = 250
WALL_MS = 500


def io_class(pid):
    """ioprio_get(2): 3 is idle, 2 best effort."""
    return ctypes.CDLL(None).syscall(252, 1, pid) >> 13


def perl(text):
    return "perl -MIO::Handle -e '" + CONTROL.replace("'", "'\\''") + \
        text.replace("'", "'\\''") + "'\n"


class Cpu(Attack):
    def test_busy_loops_on_all_cpus(self):
        report = self.over("cpu-time", "for i in 1 2; do while :; do :; done & done\nwait",
                           cpus=2, cpu_time="5s", time="10min")
        self.assertGreaterEqual(report["used"], 5000)
        # at most one poll for each vCPU, by the manager's own clocks
        self.assertLessEqual(report["used"], 5000 + 2 * POLL_MS)
        sample = report["samples"][-1]
        self.assertEqual(len(sample["vcpus-ms"]), 2)
        self.assertLessEqual(sum(sample["vcpus-ms"]), report["used"])
        self.assertGreater(min(sample["vcpus-ms"]), 0)
        # the root was read to boot, and nobody can have written to it
        self.assertGreater(sample["disks"]["root"]["read"], MIB)
        self.assertEqual(sample["disks"]["root"]["written"], 0)

    def test_exit_0_does_not_help(self):
        self.over("cpu-time", "end=$(($(date +%s) + 200))\n"
                  "while [ $(date +%s) -lt $end ]; do :; done\nexit 0", cpus=1, cpu_time="8s", time="10min")

    def test_stopped_clock(self):
        """A guest that turns its clock back gets no more time."""
        report = self.over("time", "while :; do date -s 2001-01-01 >/dev/null; sleep 1; done",
                           time="30s")
        self.assertLessEqual(report["used"], 30000 + WALL_MS)


class Wall(Attack):
    def test_sleep(self):
        # from a template: booting may take most of the time, or all
        self.spec("true", template=True, workspace="other")
        self.build()
        self.spec("echo begun\nsleep 60", limits={"time": "5s"}, template=True)
        report = self.judged("time", self.contractor("build", "spec.yaml"))
        self.assertEqual((report["template"]["what"], self.log()), ("used", "begun\n"))
        self.assertGreaterEqual(report["used"], 5000)
        self.assertLessEqual(report["used"], 5000 + WALL_MS)
        self.assertLessEqual(report["at-ms"], 5000 + WALL_MS)

    def test_stopped_command_line(self):
        """Nobody takes the log: the worker ends in time, though its manager has to wait."""
        self.spec("echo begun\nyes 'a line'", limits={"time": "20s", "log": "1GiB"})
        p = self.start("build", "-q", "--isolation", "single", "spec.yaml")
        self.wait_for("the log", lambda: p.poll() is not None or self.has_said("begun"))
        manager = processes(p.pid, "contractor-manager")
        p.send_signal(signal.SIGSTOP)
        self.wait_for("the end of QEMU", lambda: not processes(p.pid, "qemu-system"))
        self.assertEqual(processes(p.pid, "contractor-manager"), manager)
        p.send_signal(signal.SIGCONT)
        report = self.judged("time", self.finish(p))
        self.assertLessEqual(report["used"], 20000 + WALL_MS)

    def test_background_processes_end_with_the_build(self):
        self.spec("(trap '' TERM HUP; while :; do echo still here; sleep 1; done) &\n"
                  "setsid sleep 1000 &\necho over", limits={"time": "5min"})
        self.build()
        self.assertNotEqual(self.report()["verdict"], "limit")

    def test_halt(self):
        """A halted guest says no more: the time limit ends it."""
        self.spec("sync\nbusybox halt -f", limits={"time": "20s"})
        r = self.contractor("build", "spec.yaml")
        self.assertIn(r.exit, (3, 5), r)

    def test_triple_fault(self):
        self.spec("echo 1 > /proc/sys/kernel/sysrq\necho b > /proc/sysrq-trigger\nsleep 60")
        self.build(expect=5)

    def test_stopped_qemu(self):
        """A QEMU that does not answer (SIGSTOP) is found out by its deadline.

        While it runs it has the priority that was asked for, an option's before the spec's.
        """
        self.spec("sleep 100", limits={"time": "10min"}, priority={"nice": 3, "io": "normal"})
        p = self.start("build", "--io", "idle", "spec.yaml")
        self.wait_for("QEMU", lambda: processes(p.pid, "qemu-system"))
        time.sleep(2)
        qemu = processes(p.pid, "qemu-system")[0]
        self.assertEqual(os.getpriority(os.PRIO_PROCESS, qemu), max(3, os.nice(0)))
        self.assertEqual(io_class(qemu), 3)
        os.kill(qemu, signal.SIGSTOP)
        start = time.monotonic()
        r = self.finish(p, timeout=60)
        self.assertEqual(r.exit, 5, r)
        self.assertIn("QEMU does not answer", r.err)
        self.assertLess(time.monotonic() - start, 40)


class Memory(Attack):
    def test_hog(self):
        """The guest's own OOM killer ends the hog; QEMU stays within memory + 128 MiB."""
        self.spec("tail /dev/zero", limits={"memory": "256MiB", "time": "5min"})
        p = self.start("build", "spec.yaml")
        peaks = []
        t = threading.Thread(target=lambda: peaks.append(resident_peak(p, "qemu-system")))
        t.start()
        r = self.finish(p)
        t.join()
        self.assertIn(r.exit, (1, 5), r)
        self.assertGreater(peaks[0], 100 * MIB)
        self.assertLess(peaks[0], (256 + 128) * MIB)

    def test_fork_bomb(self):
        """The host stays usable: work beside it takes at most twice its usual time."""
        def work():
            start = time.monotonic()
            subprocess.run([sys.executable, "-c", "sum(i * i for i in range(6000000))"], check=True)
            return time.monotonic() - start

        before = min(work() for _ in range(5))
        self.spec("echo lit\nbomb() { bomb | bomb & }\nbomb\nsleep 1000",
                  limits={"time": "10min", "cpus": 2})
        p = self.start("build", "spec.yaml")
        self.wait_for("the bomb", lambda: p.poll() is not None or self.has_said("lit"))
        time.sleep(2)
        beside = min(work() for _ in range(5))
        self.assertIsNone(p.poll(), "the worker ended before the work beside it")
        p.send_signal(signal.SIGINT)
        r = self.finish(p)
        self.assertEqual(r.exit, 130, r)
        self.unharmed()
        # the machine has other work too, and not always the same
        self.assertLess(beside, 2 * max(before, min(work() for _ in range(5))))


class Disk(Attack):
    def full(self, build):
        return self.over("disk", build, disk="96MiB", memory="512MiB", time="5min")

    def test_zeros(self):
        self.full("dd if=/dev/zero of=../big bs=1M count=400 || true\nsync\nexit 0")

    def test_random_data(self):
        self.full("dd if=/dev/urandom of=../big bs=1M count=400 || true\nsync\nexit 0")

    def test_swallowed_and_removed(self):
        """ENOSPC met, hidden, and the file removed at once, before all of it was on the disk.

        Near the end ext4 gives out blocks without waiting for the data; how near it begins grows
        with the processors, and here that is more than the twentieth that is not looked for.
        """
        self.write("code/fill.pl", 'open(F, ">", "../big") or die;\n'
                   '1 while syswrite(F, "x" x 65536);\nunlink("../big");\n')
        self.over("disk", "perl fill.pl\nsync\nbusybox fstrim /workspace || true\nexit 0",
                  disk="24MiB", memory="512MiB", cpus=8, time="5min")

    def test_everything_at_once(self):
        self.full("for d in /workspace /tmp /var/tmp /root /usr /; do\n"
                  "dd if=/dev/zero of=$d/fill bs=1M count=100 2>/dev/null & done\nwait\n"
                  "sync\nexit 0")

    def test_many_tiny_files(self):
        """Out of inodes before out of blocks, and hidden.

        All but the last few are on the disk, so that the kernel has no reason to write soon.
        """
        self.write("code/fill.pl", 'sub make { open(my $f, ">", "t/" . $i++) }\n'
                   'make() for 1 .. $ARGV[0];\nsystem("sync");\n1 while make();\n'
                   'unlink(glob("t/*"));\n')
        self.over("disk", "mkdir t\nperl fill.pl $(($(stat -f -c %d t) - 10))\nrmdir t\nexit 0",
                  disk="24MiB", time="10min")

    def test_sparse_files_cost_nothing(self):
        """A hole is not use of the disk; coming back it counts as its size, against output."""
        self.over("output", "truncate -s 5G ../hole", output="64MiB")

    def test_host_file_never_grows_beyond_the_disk(self):
        report = self.full("dd if=/dev/zero of=../big bs=1M count=400 || true\nsync\nexit 0")
        self.assertLessEqual(report["limits"]["disk"]["peak"], 97 * MIB)

    def test_source_does_not_fit(self):
        with open(self.path("code/big"), "wb") as f:
            f.write(os.urandom(40 * MIB))
        self.image(layers=False)
        self.over("disk", "true", disk="24MiB")

    def test_changed_source_does_not_fit(self):
        """Of a source in layers a copy is made of what the build writes to, even of a byte."""
        with open(self.path("code/big"), "wb") as f:
            f.write(os.urandom(40 * MIB))
        self.over("disk", "echo x >>big; exit 0", disk="24MiB")

    def test_write_delete_write_is_no_fault(self):
        """What is held at one time counts, not what was written in all."""
        self.spec("for i in 1 2 3 4 5 6 7 8 9; do mkdir ../d$i\n"
                  "dd if=/dev/zero of=../d$i/t bs=1M count=$((20 + i)) 2>/dev/null\n"
                  "sync\nrm -r ../d$i\ndone", limits={"disk": "128MiB"})
        self.build()


class Output(Attack):
    def test_too_much(self):
        self.over("output", "dd if=/dev/urandom of=../big bs=1M count=40", output="16MiB")

    def test_too_many_files(self):
        self.over("files", "mkdir ../t\ni=0\nwhile [ $i -lt 1500 ]; do : > ../t/$i; "
                  "i=$((i + 1)); done", files=1000)

    def test_tar_that_lies(self):
        """The build plays the driver: a tar of its own making with a false size, then `done`."""
        with open(self.path("code/lie"), "wb") as f:
            f.write(lying_tar())
        self.spec(DISK + "dd if=lie of=$(disk output) conv=fsync 2>/dev/null\n" +
                  perl("print $ctl \"exit 0\\nphase copy-out\\ndone\\n\"; sleep 300;"),
                  limits={"time": "5min"})
        self.broken(self.contractor("build", "spec.yaml"), "the worker's output was refused")


def lying_tar():
    """One ustar header that promises 8 GiB, and nothing behind it."""
    h = bytearray(512)
    h[0:14] = b"workspace/file"
    h[100:108] = b"0000644\0"
    h[108:116] = h[116:124] = b"0000000\0"
    h[124:136] = b"77777777777\0"
    h[136:148] = b"00000000000\0"
    h[156:157] = b"0"
    h[257:265] = b"ustar\x0000"
    h[148:156] = b" " * 8
    h[148:156] = b"%06o\0 " % sum(h)
    return bytes(h)


class Log(Attack):
    def test_too_much(self):
        report = self.over("log", "yes 'a line of the log that never ends'", log="2MiB")
        self.assertEqual(report["granted"], 2 * MIB)
        self.assertLessEqual(os.path.getsize(os.path.join(self.builds()[-1], "log")), 2 * MIB)

    def test_one_line_without_end(self):
        self.over("log", "tr '\\0' x < /dev/zero", log="2MiB")


class Ports(Attack):
    def test_flood_of_the_ctl_port(self):
        self.spec(perl("print $ctl \"x\" x 65536 while 1;"), limits={"time": "1min"})
        self.broken(self.contractor("build", "spec.yaml"), "control")

    def test_device_io(self):
        """Endless reads of a disk: bounded by CPU time like everything else."""
        self.over("cpu-time", DISK + "d=$(disk root)\nwhile :; do dd if=$d of=/dev/null bs=1M "
                  "iflag=direct 2>/dev/null; done", cpu_time="15s", time="10min")


if __name__ == "__main__":
    sys.exit(case.main(__name__))
