/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The host's end of a manager VM's connections: what it may have is opened here, and stays here. */
#ifndef CONTRACTOR_NET_MUX_HOST_H
#define CONTRACTOR_NET_MUX_HOST_H

#include <stdatomic.h>

#include "mux.h"

/* What has passed, in memory that the process which started this one may share. */
struct mux_host_counts {
	_Atomic uint64_t bytes[_METER_DIR_MAX];
	_Atomic uint64_t opened, denied;
};

struct mux_host_config {
	/*
	 * The walls behind the manager's own meter, above which it never comes as long as it is
	 * itself: bytes a second in each direction, and bytes in both together. 0: none.
	 */
	uint64_t rate_wall, total_wall;
	struct mux_host_counts *counts;
};

/* How the serving ended. */
enum mux_host_end {
	MUX_HOST_CLOSED,   /* the port was closed */
	MUX_HOST_NONSENSE, /* the other end does not keep to the protocol */
	MUX_HOST_OVER,	   /* total_wall */
	MUX_HOST_NO_DIALER,
	MUX_HOST_BROKEN, /* no memory, no descriptors */
	_MUX_HOST_END_MAX,
};

/*
 * Serves the port with connections from the dialer at the other end of `dialer` (SOCK_SEQPACKET;
 * both borrowed), which decides about each. The other end of the port gets bytes and never a
 * socket, so nobody there can connect one elsewhere.
 */
enum mux_host_end mux_host_run(int port, int dialer, const struct mux_host_config *c);

#endif
