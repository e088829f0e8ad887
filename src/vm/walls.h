/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The kernel's own limits on a QEMU process: they hold when guest and QEMU are both hostile. */
#ifndef CONTRACTOR_VM_WALLS_H
#define CONTRACTOR_VM_WALLS_H

#include "base/child.h"
#include "vm.h"

#define VM_WALLS_MAX 8

struct vm_walls {
	struct child_limit v[VM_WALLS_MAX];
	size_t n;
	rlim_t threads; /* for RLIMIT_NPROC: see vm_limit_threads */
};

/* What an emulating QEMU gets of a grant of memory: for the guest, and for translated code. */
struct vm_share {
	uint64_t guest, tb_size;
};

/*
 * Pure: divides a grant, so that QEMU stays within it and 128 MiB. That leaves 56 MiB for
 * translated code; of 1 GiB and more, up to an eighth goes to it as well. Measured with four large
 * runs of gcc -O2, both at a time on a busy machine: 53.8 s of CPU time without, 50.0 s with it.
 */
struct vm_share vm_share_memory(uint64_t granted);

/* Pure: how many threads a QEMU with so many processors may come to have. */
rlim_t vm_threads_max(unsigned cpus);

/*
 * Pure: RLIMIT_CPU in seconds for a grant in milliseconds, a quarter and two seconds more. The poll
 * comes first, by the scheduler's exact count. This wall goes by the clock's ticks, which were seen
 * to run a tenth ahead of it on a machine that is a guest itself.
 */
rlim_t vm_cpu_wall(uint64_t granted_ms);

/* Pure: the walls for a description. */
struct vm_walls vm_walls(const struct vm_start *s);

/*
 * For the child, in a user namespace of its own: RLIMIT_NPROC. Since Linux 5.14 it counts the
 * processes and threads of the namespace; before, all that the user has anywhere, and then it is
 * left as it was. The real root is exempt from it. 0 or a negative errno.
 */
int vm_limit_threads(rlim_t max);

#endif
