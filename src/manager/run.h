/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One build: from the order over the worker's life to the end message. */
#ifndef CONTRACTOR_MANAGER_RUN_H
#define CONTRACTOR_MANAGER_RUN_H

#include "proto.h"

/* The disks and files that the home handed to the manager; -1 where one is missing. */
struct run_files {
	int image;   /* root, kernel and initrd are stretches of it */
	int input;   /* read-only */
	int output;  /* read-write, fixed size */
	int scratch; /* read-write, fixed size */
	int layer;   /* read-only: what a play has prepared */
	int memory;  /* of a template, order.template: for reading and writing, or for reading */
	int state;   /* the same file, at the offset of the devices' state */
	int dialer;  /* SOCK_SEQPACKET to the dialer, when the order has a network */
	int cgroup;  /* cgroup.procs of the cgroup for QEMU, where there is one */
};

/*
 * Serves one connection (consume_control) until the build has ended or the other end has closed.
 * The files stay the caller's. 0, or a negative errno when not even an end message could be sent.
 */
int run_serve(int consume_control, const struct run_files *files, struct err *e);

#endif
