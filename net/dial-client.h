/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The relay's end of a SOCK_SEQPACKET socket to a dialer. */
#ifndef CONTRACTOR_NET_DIAL_CLIENT_H
#define CONTRACTOR_NET_DIAL_CLIENT_H

#include "base/loop.h"
#include "dial.h"

#define DIAL_PENDING_MAX 2048

/*
 * A client on `fd`, which stays the caller's and is made non-blocking. `gone` (may be NULL) is
 * called once when the dialer has ended, after every pending dial has got its DIAL_GONE, and
 * every connection that was passed on its end. The client must not be freed in a call that it
 * makes. 0 or a negative errno.
 */
int dial_client_new(struct loop *l, int fd, void (*gone)(void *user_data), void *user_data,
		    struct dial_client **ret, struct err *e);

/* Ends the client; what is pending is forgotten without a call. Accepts NULL; returns NULL. */
struct dial_client *dial_client_free(struct dial_client *c);
CLEANUP_FUNC(dial_client_free, struct dial_client)

#endif
