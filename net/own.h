/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Asks the kernel whether an address is one of the host's own. */
#ifndef CONTRACTOR_NET_OWN_H
#define CONTRACTOR_NET_OWN_H

#include "addr.h"
#include "base/err.h"

struct net_own;

/* Opens a routing socket in the present network namespace. 0 or a negative errno. */
int net_own_new(struct net_own **ret, struct err *e);

/*
 * True if the kernel would deliver to this host what is sent to the address, or to the IPv4 address
 * within a translated one, whatever interface holds it and however it came there; also if the
 * kernel did not answer. An address without a route is not ours.
 */
bool net_own_check(struct net_own *o, const struct net_addr *a);

struct net_own *net_own_free(struct net_own *o);
CLEANUP_FUNC(net_own_free, struct net_own)

#endif
