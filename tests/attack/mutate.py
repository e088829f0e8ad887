#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes each wall out in turn, and shows that a test fails without it.

usage: tests/attack/mutate.py [--check | --unit] [NAME...]

Works on a copy of the tree, in a folder of its own: the program that is shipped has no switch for
any of this. Each entry of WALLS is edits (file, text, instead; the text must be there once) and the
test that must fail: a unit test, or one of tests/attack with a machine. First all those tests are
run unchanged, and must pass. With --unit only the walls that a unit test holds, which takes
minutes; with --check nothing is run, and only looked whether each edit has its place in the tree; with
names only the walls whose names have one of them as a part. The exit status is the number of walls
that no test has missed.

CONTRACTOR_TEST_IMAGE as for the other tests (not with --unit). Run it as an ordinary user.
"""

import os
import shutil
import subprocess
import sys
import tempfile

import walls_network

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

LIMITS_C = "src/manager/limits.c"
WALLS_C = "src/vm/walls.c"
ARGV_C = "src/vm/argv.c"
RUN_C = "src/manager/run.c"

# name: edits, test
WALLS = {
    # the kernel's, told to QEMU's process
    "RLIMIT_CPU": ([(WALLS_C, "if (s->cpu_time_ms)", "if (0)")], "unit walls"),
    "RLIMIT_FSIZE": ([(WALLS_C, "if (s->file_size)", "if (0)")], "unit walls"),
    "RLIMIT_AS": ([(WALLS_C, "if (s->desc.tb_size || s->desc.accel == VM_ACCEL_KVM)", "if (0)")],
                  "unit walls"),
    "RLIMIT_CORE": ([(WALLS_C, "add(&w, RLIMIT_CORE, 0);", "")], "unit walls"),
    "RLIMIT_NOFILE": ([(WALLS_C, "add(&w, RLIMIT_NOFILE, FDS_MAX);", "")], "unit walls"),
    "RLIMIT_NPROC": ([(WALLS_C, "new = (struct rlimit){MIN(max, old.rlim_max), old.rlim_max};",
                       "new = old;")], "unit walls"),
    "nice": ([("src/vm/jail.c", "getpriority(PRIO_PROCESS, 0) < s->nice &&", "0 &&")],
             "limits Wall.test_stopped_qemu"),
    "io-class": ([("src/vm/jail.c", "(void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, "
                   "ioprio[s->io]);", "(void)ioprio;")],
                 "limits Wall.test_stopped_qemu"),
    "cgroup-cpu": ([("src/cli/cgroup.c", 'put(c->dir, "cpu.max", text) == 0', "true")],
                   "unit cgroup"),
    "cgroup-memory": ([("src/cli/cgroup.c", 'put(c->dir, "memory.max", text) == 0', "true")],
                      "unit cgroup"),
    "cgroup-pids": ([("src/cli/cgroup.c", 'put(c->dir, "pids.max", text) == 0', "true")],
                    "unit cgroup"),
    # QEMU's own
    "processors": ([(ARGV_C, 'add_opt(b, "-smp", "%u", d->cpus);', 'add_opt(b, "-smp", "8");')],
                   "unit vm"),
    "memory": ([(ARGV_C, 'add_opt(b, "-m", "%" PRIu64 "M", d->memory / (uint64_t)MIB);',
                 'add_opt(b, "-m", "8192M");')], "unit vm"),
    "share-of-memory": ([(WALLS_C, "return (struct vm_share){granted - more,",
                          "return (struct vm_share){granted,")], "unit walls"),
    "translated-code": ([(ARGV_C, "MAX(d->tb_size / (uint64_t)MIB, (uint64_t)1)",
                          "(uint64_t)1024")], "unit vm"),
    "sandbox": ([(ARGV_C, 'add_opt(b, "-sandbox", SANDBOX);', "")], "unit vm"),
    "discard": ([(ARGV_C, '\\"discard\\":\\"ignore\\",\\"locking\\"',
                  '\\"discard\\":\\"unmap\\",\\"locking\\"')],
                "unit vm"),
    # the manager's decisions
    "cpu-time": ([(LIMITS_C, '{"cpu-time", o->cpu_time_ms, s->cpu_ms},', "")], "unit manager"),
    "poll-in-time": ([(LIMITS_C, "left / (o->cpus + 1)", "LIMITS_POLL_MS + 0 * left")],
                     "unit manager"),
    "time": ([(LIMITS_C, '{"time", o->time_ms, s->at_ms},', ""),
              (RUN_C, 'run_finish_limit(r, &(struct limits_hit){"time", r->order.time_ms, '
               "r->ended_ms});", "")], "limits Wall.test_sleep"),
    "stop-before-log": ([(RUN_C, "\tvm_kill(r->vm); /* before the log", "\t/* before the log"),
                         (RUN_C, "\tvm_kill(r->vm); /* whoever", "\t/* whoever")],
                        "limits Wall.test_stopped_command_line"),
    "log": ([(LIMITS_C, '{"log", o->log, s->log},', "")], "unit manager"),
    "disk-mark": ([(LIMITS_C, "if (s->disk >= o->disk_full_at) {", "if (0) {")], "unit manager"),
    "inodes": ([("src/cli/scratch.c", "get16(group + 0x1c) > 0)", "1)")], "unit scratch"),
    "qmp-deadline": ([("src/manager/run-state.h", "#define RUN_QMP_DEADLINE_MS  10000",
                       "#define RUN_QMP_DEADLINE_MS  600000")], "limits Wall.test_stopped_qemu"),
    "control-lines": ([("src/manager/run-guest.c", "if (r->ctl_in.len > CTL_LINE_MAX)", "if (0)"),
                       ("src/manager/run-guest.c", 'run_finish(r, "broken", "the worker floods '
                        'its control port");', "buf_drop(&r->ctl_in, r->ctl_in.len);")],
                      "limits Ports.test_flood_of_the_ctl_port"),
    # the command line's
    "disk-size": ([("src/cli/disks.c", 'make_fixed(q->dir, l->disk, "scratch"',
                    'make_fixed(q->dir, l->disk * 8, "scratch"'),
                   ("src/cli/disks.c", "scratch_format(d->scratch, size, e)",
                    "scratch_format(d->scratch, size * 8, e)"),
                   ("src/cli/job.c", ".disk = l->disk,", ".disk = l->disk * 8,")],
                  "limits Disk.test_zeros"),
    "output-size": ([("src/cli/disks.c", "q->prepare ? DISKS_NO_OUTPUT : l->output", "8 * l->output"),
                     ("src/cli/job.c", "job->prepare ? DISKS_NO_OUTPUT : l->output",
                      "8 * l->output"),
                     ("src/cli/save.c", "b->spec->limits.output", "UINT64_MAX")],
                    "limits Output.test_too_much"),
    "files": ([("src/cli/save.c", "b->spec->limits.files", "UINT64_MAX")],
              "limits Output.test_too_many_files"),
    "host-reserve": ([("src/cli/session.c", "if (space_check(&s->b->space, &e) < 0)", "if (0)")],
                     "host Host.test_cache_fills_up"),
    # the guest's share: without it the marks come too late
    "write-soon": ([("firmware/worker/driver", "\nwrite_soon\n", "\n")],
                   "limits Disk.test_swallowed_and_removed"),
    "show-groups": ([("firmware/worker/driver", "\tshow_groups\n\tsay phase copy-out\n",
                      "\tsay phase copy-out\n")],
                    "limits Disk.test_many_tiny_files"),
}
WALLS.update(walls_network.WALLS)


def content_for(path, text):
    """The content of a file, of which the text must be a part, once."""
    with open(path, encoding="utf-8") as f:
        content = f.read()
    if content.count(text) != 1:
        sys.exit(f"{path}: {content.count(text)} times, not once: {text}")
    return content


class Copy:
    """A copy of the tree with a build folder, in which what these tests need is built."""

    def __init__(self, tests):
        self.targets = ["src/cli/contractor", "src/manager/contractor-manager",
                        *(f"firmware/worker/{p}.{os.uname().machine}" for p in ("changes", "renew"))]
        self.targets += ["tests/unit/test-" + t.split()[1] for t in tests if t.startswith("unit ")]
        self.dir = tempfile.mkdtemp(prefix="contractor-mutate-")
        self.tree = os.path.join(self.dir, "tree")
        self.build = os.path.join(self.dir, "build")
        shutil.copytree(TOP, self.tree, symlinks=True,
                        ignore=shutil.ignore_patterns(".git", ".build", "*.img", "__pycache__"))
        self.run(["meson", "setup", self.build, self.tree], check=True)
        self.make()

    def run(self, argv, check=False, env=None, timeout=3600):
        p = subprocess.run(argv, text=True, errors="replace", stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout,
                           env=None if env is None else {**os.environ, **env})
        if check and p.returncode != 0:
            sys.exit(f"{' '.join(argv)}:\n{p.stdout[-3000:]}")
        return p

    def make(self):
        self.run(["ninja", "-C", self.build, *self.targets], check=True)

    def passes(self, test, check=False):
        kind, name = test.split()
        if kind == "unit":
            # by itself, for what else its change breaks is of no interest
            return self.run([os.path.join(self.build, "tests/unit/test-" + name)],
                            check).returncode == 0
        return self.run([sys.executable,
                         os.path.join(self.tree, f"tests/attack/test_{kind}.py"), name], check,
                        env={"CONTRACTOR": os.path.join(self.build, "src/cli/contractor")}
                        ).returncode == 0

    def edited(self, edits):
        """Applies them; what was there before."""
        before = {}
        for name, text, instead in edits:
            path = os.path.join(self.tree, name)
            content = content_for(path, text)
            before.setdefault(path, content)
            with open(path, "w", encoding="utf-8") as f:
                f.write(content.replace(text, instead))
        return before

    def restore(self, before):
        for path, content in before.items():
            with open(path, "w", encoding="utf-8") as f:
                f.write(content)


def main():
    args = [a for a in sys.argv[1:] if not a.startswith("--")]
    walls = {n: w for n, w in WALLS.items()
             if (not args or any(a in n for a in args)) and
             ("--unit" not in sys.argv or w[1].startswith("unit"))}
    if "--check" in sys.argv:
        for edits, _ in walls.values():
            for name, text, _ in edits:
                content_for(os.path.join(TOP, name), text)
        return 0
    tests = sorted({w[1] for w in walls.values()})
    copy = Copy(tests)
    try:
        for test in tests:
            copy.passes(test, check=True)
        missed = 0
        for name, (edits, test) in walls.items():
            before = copy.edited(edits)
            copy.make()
            found = not copy.passes(test)
            copy.restore(before)
            missed += not found
            print(f"{'found ' if found else 'MISSED'} {name}: {test}", flush=True)
        copy.make()
        print(f"{len(walls)} walls taken out, {missed} missed")
        return missed
    finally:
        shutil.rmtree(copy.dir)


if __name__ == "__main__":
    sys.exit(main())
