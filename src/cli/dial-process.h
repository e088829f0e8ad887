/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The dialer of either home: a process in our own network namespace. */
#ifndef CONTRACTOR_CLI_DIAL_PROCESS_H
#define CONTRACTOR_CLI_DIAL_PROCESS_H

#include <sys/types.h>

#include "base/err.h"
#include "net/mux-host.h"
#include "net/rule.h"

/*
 * Forks a process that serves dialer_run() with these rules (borrowed for the call). It ends when
 * the other end of *ret_fd (SOCK_SEQPACKET, close-on-exec, the caller's) is closed, and dies with
 * the caller. The pid or a negative errno.
 */
pid_t dial_process_start(const struct net_rule *rules, size_t n, int *ret_fd, struct err *e);

/* The dialer of a manager VM, behind the VM's port for it. */
struct dial_port {
	pid_t pid; /* -1: none; ends with a value of enum mux_host_end */
	const struct mux_host_counts *counts;
};

#define DIAL_PORT_INIT    \
	{                 \
		.pid = -1 \
	}

/*
 * Forks a process that serves the port (a stream socket, borrowed for the call) with connections
 * from a dialer of its own, held to these rules (borrowed too) and, with a quarter to spare, to
 * rate and total (see struct meter). It dies with the caller. 0 or a negative errno.
 */
int dial_port_start(const struct net_rule *rules, size_t n, uint64_t rate, uint64_t total, int port,
		    struct dial_port *ret, struct err *e);

/* Ends the process, if it is there, and forgets its counts. */
void dial_port_done(struct dial_port *d);

#endif
