/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The sockets on which the worker's network is served, each with the options that it needs. */
#ifndef CONTRACTOR_NET_LISTEN_H
#define CONTRACTOR_NET_LISTEN_H

#include "addr.h"
#include "base/err.h"

enum net_listen_kind {
	NET_LISTEN_PLAIN,     /* DNS */
	NET_LISTEN_TPROXY,    /* relay: IP_TRANSPARENT, with UDP the original destination */
	NET_LISTEN_BROADCAST, /* DHCP: may answer to everybody */
};

/*
 * A non-blocking socket of `type` (SOCK_STREAM: listening) bound to address and port, and to the
 * interface if it is not NULL. TPROXY needs CAP_NET_ADMIN over the network namespace. The
 * descriptor or a negative errno.
 */
int net_listen(int type, enum net_listen_kind kind, const struct net_addr *addr, uint16_t port,
	       const char *interface, struct err *e);

#endif
