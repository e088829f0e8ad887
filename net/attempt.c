/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Describing refused attempts. */
#include "attempt.h"

static const char *proto_text(uint8_t proto, char number[16])
{
	static const struct {
		uint8_t proto;
		const char *name;
	} names[] = {
		{IPPROTO_TCP, "tcp"},	{IPPROTO_UDP, "udp"},	  {IPPROTO_ICMP, "icmp"},
		{IPPROTO_SCTP, "sctp"}, {IPPROTO_ICMPV6, "icmp"}, {IPPROTO_IGMP, "igmp"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (names[i].proto == proto)
			return names[i].name;
	}
	(void)snprintf(number, 16, "protocol %u", proto);
	return number;
}

char *attempt_text(const struct attempt *a, char out[ATTEMPT_TEXT_MAX])
{
	char dst[NET_ADDR_TEXT_MAX] = "nowhere", src[NET_ADDR_TEXT_MAX], number[16], port[16] = "";
	const uint8_t *m = a->mac;

	if (a->has_dst)
		(void)net_addr_format(&a->dst, dst);
	(void)net_addr_format(&a->src, src);
	if (a->port)
		(void)snprintf(port, sizeof(port), " port %u", a->port);
	switch (a->kind) {
	case ATTEMPT_DENIED:
		(void)snprintf(out, ATTEMPT_TEXT_MAX, "%s to %s%s", proto_text(a->proto, number),
			       dst, port);
		break;
	case ATTEMPT_SPOOF_MAC:
		(void)snprintf(out, ATTEMPT_TEXT_MAX,
			       "%s to %s%s from %02x:%02x:%02x:%02x:%02x:%02x,"
			       " which is not the worker's MAC address",
			       proto_text(a->proto, number), dst, port, m[0], m[1], m[2], m[3],
			       m[4], m[5]);
		break;
	case ATTEMPT_SPOOF_IP:
		(void)snprintf(out, ATTEMPT_TEXT_MAX,
			       "%s to %s%s from %s, which is not the worker's address",
			       proto_text(a->proto, number), dst, port, src);
		break;
	case ATTEMPT_SPOOF_ARP:
		(void)snprintf(out, ATTEMPT_TEXT_MAX,
			       "ARP about %s from %s at %02x:%02x:%02x:%02x:%02x:%02x", dst, src,
			       m[0], m[1], m[2], m[3], m[4], m[5]);
		break;
	case _ATTEMPT_KIND_MAX:
		out[0] = 0;
	}
	return out;
}
