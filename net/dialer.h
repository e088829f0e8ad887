/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The dialer: a process outside the worker's network that opens what the rules allow. */
#ifndef CONTRACTOR_NET_DIALER_H
#define CONTRACTOR_NET_DIALER_H

#include "resolver.h"

#define DIALER_DIALS_MAX    1024
#define DIALER_ATTEMPTS_MAX 8	/* addresses tried for one connection */
#define DIALER_STAGGER_MS   250 /* before the next address is tried beside the last */

struct dialer_config {
	const struct net_rule *rules; /* borrowed */
	size_t n_rules;
	uint64_t resolve_ms; /* 0: 10 s */
	uint64_t connect_ms; /* 0: 20 s, resolving included */
	resolver_fn resolve; /* NULL: the system's */
	void *resolve_data;
};

/*
 * The connection itself stays here, so that nobody can lead it elsewhere: its bytes are passed on,
 * without a look, to the worker's end where that came with the request (passage.h), and else to a
 * local socket that is handed over in its place (outlet.h).
 *
 * Serves requests on `fd` (SOCK_SEQPACKET, borrowed) in the present network namespace until the
 * other end is closed. A request is held to the rules again, first as it stands and then with each
 * address that its name has now; a phase that has ended does not come back, whatever the other end
 * says. Raises RLIMIT_NOFILE and gives up privileges to come (no_new_privs). 0 at the end, or a
 * negative errno.
 */
int dialer_run(int fd, const struct dialer_config *c, struct err *e);

#endif
