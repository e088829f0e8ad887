/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between the parts of link. */
#ifndef CONTRACTOR_NET_LINK_PRIVATE_H
#define CONTRACTOR_NET_LINK_PRIVATE_H

#include <netlink/netlink.h>

#include "base/err.h"

/* A negative errno from libnl's code (negative, as its functions return it). */
int link_errno(int nle);

/* A socket to rtnetlink; NULL with the cause in e. Freed with nl_socket_free(). */
struct nl_sock *link_connect(struct err *e);

static inline void nl_sock_p(struct nl_sock **s)
{
	nl_socket_free(*s);
}
#define _cleanup_nl_sock_ _cleanup_(nl_sock_p)

#endif
