/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The single home: the manager in namespaces on this host, as an ordinary user. */
#ifndef CONTRACTOR_CLI_LAUNCH_H
#define CONTRACTOR_CLI_LAUNCH_H

#include <sys/types.h>

#include "base/err.h"

/* Descriptors for the manager; they stay the caller's. */
struct launch_files {
	int image, input, output, scratch;
	int layer;	   /* -1: nothing was prepared */
	int dialer;	   /* -1: the build has no network */
	int memory, state; /* of a template; -1: none */
	int cgroup;	   /* cgroup.procs of the one for QEMU; -1: none */
};

/*
 * Starts contractor-manager as PID 1 of new user, mount, pid, net, ipc and uts namespaces, with the
 * files and one end of a socket whose other end is *ret_control (close-on-exec). It dies with us.
 * The pid, or a negative errno that says what the kernel refused and how to allow it.
 */
pid_t launch_single(const struct launch_files *files, int debug, int *ret_control, struct err *e);

/*
 * Makes the same namespaces, runs `inside` (NULL: nothing) in them, and ends: whether it can be
 * done. Nothing is left of it. 0 or a negative errno with the refusal.
 */
int launch_try(int (*inside)(struct err *e), struct err *e);

#endif
