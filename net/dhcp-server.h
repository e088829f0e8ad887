/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Answers the worker's DHCP questions, for images that know no other way to an address. */
#ifndef CONTRACTOR_NET_DHCP_SERVER_H
#define CONTRACTOR_NET_DHCP_SERVER_H

#include "base/loop.h"
#include "dhcp.h"

struct dhcp_server;

/*
 * Serves one lease on `fd` (bound to port 67 of the worker's interface, SO_BROADCAST; borrowed, as
 * net_listen makes it) in the loop until freed. 0 or a negative errno.
 */
int dhcp_server_new(struct loop *l, int fd, const struct dhcp_lease *lease,
		    struct dhcp_server **ret, struct err *e);

struct dhcp_server *dhcp_server_free(struct dhcp_server *s);
CLEANUP_FUNC(dhcp_server_free, struct dhcp_server)

#endif
