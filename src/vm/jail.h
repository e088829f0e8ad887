/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The empty root in which QEMU lives: read-only system folders, a few devices, kernel and initrd.
 */
#ifndef CONTRACTOR_VM_JAIL_H
#define CONTRACTOR_VM_JAIL_H

#include "vm.h"

/* Where the kernel and the initrd stand in the jail. */
#define JAIL_KERNEL "/kernel"
#define JAIL_INITRD "/initrd"

/* What jail_enter needs, made ready before the fork. */
struct jail {
	char uid_map[64], gid_map[64];
	const char *program;	       /* absolute path of QEMU: its folder is there too */
	struct vm_blob kernel, initrd; /* fd -1: none */
	bool kvm;
	int nice;
};

/* Fills the id maps: root in the jail is the caller here. */
void jail_init(struct jail *j);

/*
 * For the child, just made with CLONE_NEWUSER, NEWNS, NEWPID, NEWNET, NEWIPC and NEWUTS: maps the
 * ids, builds the root, enters it, and gives up every capability, for good (bounding set too). The
 * signature is that of child_spec.prepare; user_data is the jail. 0 or a negative errno.
 */
int jail_enter(void *user_data, struct err *e);

#endif
