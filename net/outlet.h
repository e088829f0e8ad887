/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The dialer's open connections: each has a local socket that stands for it with the relay. */
#ifndef CONTRACTOR_NET_OUTLET_H
#define CONTRACTOR_NET_OUTLET_H

#include "base/loop.h"
#include "copy.h"

/* As many as the relay has connections and flows. */
#define OUTLETS_MAX 1536

struct outlet;

struct outlets {
	struct loop *loop;
	struct copier copier; /* without limits: those are the relay's */
	struct outlet *list;
	size_t n;
};

/*
 * Keeps the connected socket and passes on between it and a new local one, SOCK_STREAM for TCP and
 * SOCK_SEQPACKET for UDP, whose other end is in *ret_fd: non-blocking, close-on-exec, the caller's
 * to hand over and close. What ends on one side ends on the other. 0, -EBUSY (OUTLETS_MAX are
 * open), or another negative errno.
 */
int outlet_add(struct outlets *all, bool udp, int consume_fd, int *ret_fd);

/* Resets all. */
void outlets_done(struct outlets *all);

#endif
