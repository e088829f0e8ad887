/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the kernel is told to hold a QEMU to, whatever it may come to want. */
#include "walls.h"

#include <errno.h>
#include <sys/wait.h>

/*
 * Address space beside the guest's memory and the translated code, measured with QEMU 7.2: 280 MiB
 * on x86_64 with two malloc arenas. The "virt" machine adds 128 MiB of flash.
 */
#define ADDRESS_SPACE (768 * MIB)
/* A thread for each CPU; QEMU's pool for disk I/O has 64; main loop, RCU and the like. */
#define OTHER_THREADS 72
#define TB_LEAST      (56 * MIB)
#define TB_MORE_MAX   (192 * MIB)
#define STACK	      (8 * MIB)
#define FDS_MAX	      1024 /* QEMU's own: eventfds of the queues, copies of the disks */

static void add(struct vm_walls *w, int resource, uint64_t value)
{
	w->v[w->n++] = (struct child_limit){resource, value};
}

struct vm_share vm_share_memory(uint64_t granted)
{
	uint64_t more = granted < GIB ? 0 : MIN(granted / 8, (uint64_t)TB_MORE_MAX) / MIB * MIB;

	return (struct vm_share){granted - more, TB_LEAST + more};
}

rlim_t vm_threads_max(unsigned cpus)
{
	return cpus + OTHER_THREADS;
}

rlim_t vm_cpu_wall(uint64_t granted_ms)
{
	return (granted_ms + granted_ms / 4 + 999) / 1000 + 2;
}

struct vm_walls vm_walls(const struct vm_start *s)
{
	struct vm_walls w = {.threads = vm_threads_max(s->desc.cpus)};

	add(&w, RLIMIT_CORE, 0);
	add(&w, RLIMIT_NOFILE, FDS_MAX);
	add(&w, RLIMIT_STACK, STACK);
	/* with a size of its own for translated code nothing else is without a bound */
	if (s->desc.tb_size || s->desc.accel == VM_ACCEL_KVM)
		add(&w, RLIMIT_AS,
		    s->desc.memory + s->desc.tb_size + ADDRESS_SPACE + w.threads * STACK);
	if (s->cpu_time_ms)
		add(&w, RLIMIT_CPU, vm_cpu_wall(s->cpu_time_ms));
	if (s->file_size)
		add(&w, RLIMIT_FSIZE, s->file_size);
	return w;
}

int vm_limit_threads(rlim_t max)
{
	struct rlimit old, new;
	pid_t pid;

	if (getrlimit(RLIMIT_NPROC, &old) < 0)
		return -errno;
	new = (struct rlimit){MIN(max, old.rlim_max), old.rlim_max};
	if (setrlimit(RLIMIT_NPROC, &new) < 0)
		return -errno;
	/* whether it counts the namespace alone is found by trying */
	pid = fork();
	if (pid == 0)
		_exit(0);
	if (pid < 0) {
		if (errno != EAGAIN)
			return -errno;
		return setrlimit(RLIMIT_NPROC, &old) < 0 ? -errno : 0;
	}
	if (waitpid(pid, NULL, 0) < 0)
		return -errno;
	new.rlim_max = new.rlim_cur;
	return setrlimit(RLIMIT_NPROC, &new) < 0 ? -errno : 0;
}
