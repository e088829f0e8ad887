/* SPDX-License-Identifier: GPL-3.0-or-later */
/* DHCP messages and the decision what to answer. */
/*
 * RFC 2131 section 2, RFC 2132:
 *
 *     0  op:8 htype:8 hlen:8 hops:8 | 4 xid:32 | 8 secs:16 flags:16 | 12 client's address:32
 *    16  "your" address:32 | 20 next server:32 | 24 relay agent:32 | 28 MAC in 16 bytes
 *    44  server name:64 | 108 boot file:128 | 236 99 130 83 99
 *   240  options: code:8 length:8 data; 0 is padding, 255 the end
 */
#include "dhcp.h"

#include <errno.h>

#define OPTIONS_AT    240
#define BROADCAST_BIT 0x8000U

enum {
	OPT_MASK = 1,
	OPT_ROUTER = 3,
	OPT_DNS = 6,
	OPT_REQUESTED = 50,
	OPT_LEASE = 51,
	OPT_TYPE = 53,
	OPT_SERVER = 54,
	OPT_END = 255,
};

static const uint8_t cookie[4] = {99, 130, 83, 99};

static uint32_t get_u32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put_u32(uint8_t *p, uint32_t v)
{
	for (int i = 3; i >= 0; i--, v >>= 8)
		p[i] = (uint8_t)v;
}

static int get_option(struct dhcp_message *m, uint8_t code, const uint8_t *data, uint8_t len)
{
	switch (code) {
	case OPT_TYPE:
		if (len != 1 || data[0] == 0 || data[0] >= _DHCP_TYPE_MAX)
			return -EBADMSG;
		m->type = data[0];
		return 0;
	case OPT_REQUESTED:
	case OPT_SERVER:
		if (len != 4)
			return -EBADMSG;
		*(code == OPT_SERVER ? &m->server : &m->requested) = get_u32(data);
		return 0;
	default:
		return 0;
	}
}

int dhcp_decode(const uint8_t *data, size_t len, struct dhcp_message *ret)
{
	struct dhcp_message m = {0};
	size_t at = OPTIONS_AT;

	if (len < OPTIONS_AT || len > DHCP_MESSAGE_MAX)
		return -EBADMSG;
	/* a request (1) from an Ethernet station, not passed on by a relay agent */
	if (data[0] != 1 || data[1] != 1 || data[2] != 6 || get_u32(data + 24) != 0 ||
	    memcmp(data + OPTIONS_AT - 4, cookie, sizeof(cookie)) != 0)
		return -EBADMSG;
	m.xid = get_u32(data + 4);
	m.flags = (uint16_t)(data[10] << 8 | data[11]);
	m.client = get_u32(data + 12);
	memcpy(m.mac, data + 28, sizeof(m.mac));
	while (at < len && data[at] != OPT_END) {
		int r;

		if (data[at] == 0) {
			at++;
			continue;
		}
		if (len - at < 2 || len - at - 2 < data[at + 1])
			return -EBADMSG;
		r = get_option(&m, data[at], data + at + 2, data[at + 1]);
		if (r < 0)
			return r;
		at += 2U + data[at + 1];
	}
	if (m.type == 0)
		return -EBADMSG;
	*ret = m;
	return 0;
}

/* The type to answer with; 0: nothing. */
static int answer_type(const struct dhcp_lease *l, const struct dhcp_message *m)
{
	uint32_t wanted = m->requested ? m->requested : m->client;

	if (memcmp(l->mac, m->mac, sizeof(l->mac)) != 0)
		return 0;
	switch (m->type) {
	case DHCP_DISCOVER:
		return DHCP_OFFER;
	case DHCP_REQUEST:
		if (m->server && m->server != l->server)
			return 0; /* it chose another server, though there is none here */
		return wanted == l->address ? DHCP_ACK : DHCP_NAK;
	case DHCP_INFORM:
		return m->client == l->address ? DHCP_ACK : 0;
	case DHCP_OFFER:
	case DHCP_DECLINE:
	case DHCP_ACK:
	case DHCP_NAK:
	case DHCP_RELEASE:
	case _DHCP_TYPE_MAX:
		break;
	}
	return 0;
}

static uint8_t *put_option(uint8_t *p, uint8_t code, uint32_t v)
{
	p[0] = code;
	p[1] = 4;
	put_u32(p + 2, v);
	return p + 6;
}

bool dhcp_reply(const struct dhcp_lease *l, const struct dhcp_message *m,
		uint8_t out[DHCP_REPLY_LEN], bool *ret_broadcast)
{
	int type = answer_type(l, m);
	uint8_t *p = out + OPTIONS_AT;

	if (type == 0)
		return false;
	memset(out, 0, DHCP_REPLY_LEN);
	out[0] = 2;
	out[1] = 1;
	out[2] = 6;
	put_u32(out + 4, m->xid);
	out[10] = (uint8_t)(m->flags >> 8) & (BROADCAST_BIT >> 8);
	memcpy(out + 28, m->mac, sizeof(m->mac));
	memcpy(out + OPTIONS_AT - 4, cookie, sizeof(cookie));
	*p++ = OPT_TYPE;
	*p++ = 1;
	*p++ = (uint8_t)type;
	p = put_option(p, OPT_SERVER, l->server);
	if (type != DHCP_NAK) {
		if (m->type == DHCP_INFORM) {
			put_u32(out + 12, m->client);
		} else {
			put_u32(out + 16, l->address);
			p = put_option(p, OPT_LEASE, l->lease_s);
		}
		p = put_option(p, OPT_MASK, l->prefix_len ? UINT32_MAX << (32 - l->prefix_len) : 0);
		if (l->router)
			p = put_option(p, OPT_ROUTER, l->router);
		if (l->dns)
			p = put_option(p, OPT_DNS, l->dns);
	}
	*p = OPT_END;
	*ret_broadcast = type == DHCP_NAK || m->client != l->address;
	return true;
}
