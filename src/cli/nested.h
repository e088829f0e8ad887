/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The manager VM's size: what it takes, beside the worker that runs in it. */
#ifndef CONTRACTOR_CLI_NESTED_H
#define CONTRACTOR_CLI_NESTED_H

#include <stdbool.h>
#include <stdint.h>

#include "launch.h"
#include "spec/spec.h"
#include "vm/vm.h"

struct nested_plan {
	bool pooled;	      /* it had been waiting */
	enum vm_memory kept;  /* whether its memory is, or becomes, a template's */
	bool kvm;	      /* the manager VM runs by KVM */
	bool worker_kvm;      /* and can give it to the worker */
	unsigned cpus;	      /* of the manager VM */
	unsigned worker_cpus; /* of the worker: what its limit says, where that is of any use */
	uint64_t memory;      /* of the manager VM, bytes */
	uint64_t pool_memory; /* of the one that had been waiting */
	uint64_t cpu_time_ms; /* of its whole QEMU */
	uint64_t file_size;   /* the largest disk that it writes to */
	struct spec_priority priority; /* of its QEMU */
	uint64_t hello_ms;	       /* from its start to the manager's first word */
	uint64_t silence_ms;	       /* after that, between two of its words */
	uint64_t boot_ms; /* from the worker's start until it is ready, unless the user says */
};

/* Pure: the walls of the manager VM, for a worker with these limits. */
struct nested_plan nested_plan(const struct spec_limits *l, bool kvm, bool worker_kvm);

#define HOME_DISKS 5 /* at most */

/* Ends of a manager VM's ports: the manager's stream, the dialer's. */
struct home_ports {
	int control, dial;
};

/*
 * Pure: the manager VM with these disks and its ends of the ports; without an image it waits for
 * them, and has slots. Its kernel, initrd and command line are not in it.
 */
void nested_describe(const struct launch_files *files, const struct nested_plan *p,
		     const struct home_ports *ports, struct vm_desc *ret);

/*
 * Pure: what went wrong, from the console of a manager VM: the last line of its init, or else the
 * last line of all, fit for a terminal; "" for an empty console. Returns out.
 */
char *nested_last_words(const char *console, size_t len, char *out, size_t size);

#endif
