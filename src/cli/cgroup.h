/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A cgroup (v2) for QEMU, where the user has been given some: a second wall, never a needed one. */
#ifndef CONTRACTOR_CLI_CGROUP_H
#define CONTRACTOR_CLI_CGROUP_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CGROUP_ROOT "/sys/fs/cgroup"

/* What the cgroup is held to. */
struct cgroup_walls {
	unsigned cpus;	 /* cpu.max: so many whole processors */
	uint64_t memory; /* memory.max, bytes */
	uint64_t pids;	 /* pids.max */
};

struct cgroup {
	int procs; /* a process that writes 0 here is in it; -1: there is none */
	int dir;
	bool cpu, memory, pids; /* which walls stand */
	char path[PATH_MAX];
	char own[PATH_MAX]; /* the cgroup that this process made for itself, or "" */
	char why[256];	    /* why there is none, or not all; "" else */
};

#define CGROUP_INIT                    \
	{                              \
		.procs = -1, .dir = -1 \
	}

/*
 * Makes a cgroup below the nearest one that this user may fill and that has controllers to give:
 * one above the process's own, or its own if it can be emptied. `root` is where cgroup v2 is
 * mounted, `self` the text of /proc/self/cgroup, `pid` makes the name. *c is CGROUP_INIT before;
 * what could not be had, and why, is in it afterwards.
 */
void cgroup_make(const char *root, const char *self, pid_t pid, const struct cgroup_walls *w,
		 struct cgroup *c);

/* How often the kernel has killed for memory in there; 0 when it cannot be told. */
uint64_t cgroup_oom_kills(const struct cgroup *c);

/* Removes the cgroup, which must be empty of processes, and closes. Accepts CGROUP_INIT. */
void cgroup_done(struct cgroup *c);

#endif
