/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The host's own addresses, by a route lookup: a list of interfaces would miss local routes. */
#include "own.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <netlink/errno.h>
#include <netlink/netlink.h>
#include <netlink/route/route.h>

struct net_own {
	struct nl_sock *sock;
};

int net_own_new(struct net_own **ret, struct err *e)
{
	struct net_own *o = calloc(1, sizeof(*o));
	int r;

	if (!o)
		return err_oom(e);
	o->sock = nl_socket_alloc();
	if (!o->sock) {
		free(o);
		return err_oom(e);
	}
	/* one question, one short answer: two system calls for a connection, not five */
	nl_socket_disable_auto_ack(o->sock);
	nl_socket_disable_msg_peek(o->sock);
	r = nl_connect(o->sock, NETLINK_ROUTE);
	if (r < 0) {
		(void)net_own_free(o);
		return err_set(e, -EIO, "cannot open a routing socket: %s", nl_geterror(r));
	}
	*ret = o;
	return 0;
}

struct net_own *net_own_free(struct net_own *o)
{
	if (!o)
		return NULL;
	nl_socket_free(o->sock);
	free(o);
	return NULL;
}

static bool is_own(struct net_own *o, const struct net_addr *a)
{
	struct nl_addr *dst = nl_addr_build(a->v6 ? AF_INET6 : AF_INET, a->b, a->v6 ? 16 : 4);
	struct rtnl_route *route = NULL;
	bool own = true;
	int r;

	if (!dst)
		return true;
	r = rtnl_route_lookup(o->sock, dst, &route);
	if (r >= 0 && route)
		own = rtnl_route_get_type(route) == RTN_LOCAL;
	else if (r < 0)
		own = r == -NLE_NOMEM || r == -NLE_MSG_OVERFLOW || r == -NLE_SEQ_MISMATCH ||
		      r == -NLE_AGAIN;
	rtnl_route_put(route);
	nl_addr_put(dst);
	return own;
}

bool net_own_check(struct net_own *o, const struct net_addr *a)
{
	struct net_addr plain = net_addr_unmap(a), inner;

	if (is_own(o, &plain))
		return true;
	return net_addr_embedded(&plain, &inner) && is_own(o, &inner);
}
