/* SPDX-License-Identifier: GPL-3.0-or-later */
/* DHCP for a network of one worker: messages in, the one lease out. Pure. */
#ifndef CONTRACTOR_NET_DHCP_H
#define CONTRACTOR_NET_DHCP_H

#include "addr.h"

#define DHCP_SERVER_PORT 67
#define DHCP_CLIENT_PORT 68
#define DHCP_MESSAGE_MAX 1500 /* longer ones are dropped unread */
#define DHCP_REPLY_LEN	 300  /* the least that old clients take */

enum dhcp_type {
	DHCP_DISCOVER = 1,
	DHCP_OFFER,
	DHCP_REQUEST,
	DHCP_DECLINE,
	DHCP_ACK,
	DHCP_NAK,
	DHCP_RELEASE,
	DHCP_INFORM,
	_DHCP_TYPE_MAX,
};

/* What matters of a client's message; addresses in host order, 0 where there was none. */
struct dhcp_message {
	enum dhcp_type type;
	uint32_t xid;
	uint16_t flags;
	uint8_t mac[6];
	uint32_t client;    /* the address that it has and uses */
	uint32_t requested; /* option 50 */
	uint32_t server;    /* option 54 */
};

/* Addresses in host order. */
struct dhcp_lease {
	uint8_t mac[6]; /* only this client is answered */
	uint32_t address;
	uint8_t prefix_len;
	uint32_t server, router, dns;
	uint32_t lease_s;
};

/* Reads a client's message. 0, or -EBADMSG: to be dropped. */
int dhcp_decode(const uint8_t *data, size_t len, struct dhcp_message *ret);

/*
 * The answer to a message: DHCP_REPLY_LEN bytes in out, and whether it goes to everybody or to the
 * lease's address. False when there is none to give.
 */
bool dhcp_reply(const struct dhcp_lease *l, const struct dhcp_message *m,
		uint8_t out[DHCP_REPLY_LEN], bool *ret_broadcast);

#endif
