/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The empty world that QEMU runs in: made by the child itself, between clone and exec. */
#ifndef CONTRACTOR_VM_JAIL_H
#define CONTRACTOR_VM_JAIL_H

#include <linux/sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "base/err.h"
#include "vm.h"

/*
 * The namespaces for child_spec.clone_flags. A user namespace is always among them: that needs no
 * privilege, so a plain user, the root of a user namespace and the real root all go one way.
 */
#define JAIL_CLONE \
	(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWPID)

/* Where the blobs are in there. */
#define JAIL_KERNEL "/kernel"
#define JAIL_INITRD "/initrd"

struct jail {
	uid_t uid; /* of the parent, as it sees itself */
	gid_t gid;
	const char *program;	       /* absolute, no symlinks: its folder must be seen */
	const char *qemu;	       /* of jail_home only: likewise */
	struct vm_blob kernel, initrd; /* fd -1: none */
	bool kvm;		       /* /dev/kvm is there */
	bool memory;		       /* the listener of memory.h goes over this socket */
	int listener_to;
	int nice;
	enum vm_io io;
	int cgroup;	/* cgroup.procs, 0 or less: none */
	rlim_t threads; /* 0: any number */
};

/*
 * Makes the world of JAIL_CLONE's child: user and group mapped to ones without meaning; a tmpfs
 * as root, holding read-only views of /usr and the library folders (and of the program's own, when
 * it lives elsewhere), ld.so.cache, four harmless devices and the blobs as files; no /proc, /sys,
 * /home, /tmp or the rest of /etc; all read-only; a host name of its own; no capability, nor any
 * to be had. For child_spec.prepare: no memory is allocated. 0 or a negative errno.
 */
int jail_enter(void *jail, struct err *e);

/*
 * The same for a manager, which is root in its namespaces and keeps its capabilities there: the
 * program is the manager's and `qemu` (NULL: in /usr) is shown beside it, /dev/kvm and /dev/net/tun
 * where there are any, and a /proc of its own process namespace, which must be JAIL_CLONE's.
 */
int jail_home(void *jail, struct err *e);

#endif
