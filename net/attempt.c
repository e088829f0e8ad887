/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Counting and describing refused attempts. */
#include "attempt.h"

static bool same(const struct attempt *a, const struct attempt *b)
{
	return a->kind == b->kind && a->proto == b->proto && a->has_dst == b->has_dst &&
	       memcmp(&a->dst, &b->dst, sizeof(a->dst)) == 0 && a->port == b->port &&
	       memcmp(&a->src, &b->src, sizeof(a->src)) == 0 &&
	       memcmp(a->mac, b->mac, sizeof(a->mac)) == 0;
}

bool attempts_add(struct attempts *a, const struct attempt *what)
{
	for (size_t i = 0; i < a->n; i++) {
		if (same(&a->e[i].what, what)) {
			a->e[i].count++;
			return false;
		}
	}
	if (a->n == ATTEMPTS_MAX) {
		a->others++;
		return false;
	}
	a->e[a->n++] = (struct attempt_entry){*what, 1};
	return true;
}

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
