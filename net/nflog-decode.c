/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The headers of a refused packet. */
/*
 *   IPv4 (RFC 791):  0 version:4 length:4 | 6 flags:3 fragment:13 | 9 protocol | 12 source |
 *                    16 destination | length*4: ports
 *   IPv6 (RFC 8200): 0 version:4 | 6 next header | 8 source | 24 destination | 40: next header
 *     extensions:    0 next header | 1 length in 8 bytes, without the first 8
 *   ARP (RFC 826):   14 sender's address | 24 target's | 8 sender's MAC
 */
#include <errno.h>
#include <linux/if_ether.h>

#include "nflog.h"
#include "ruleset.h"

#define EXTENSIONS_MAX 8

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static struct net_addr addr4(const uint8_t *p)
{
	struct net_addr a = {.v6 = false};

	memcpy(a.b, p, 4);
	return a;
}

static struct net_addr addr6(const uint8_t *p)
{
	struct net_addr a = {.v6 = true};

	memcpy(a.b, p, 16);
	return a;
}

/* The destination port, 0 where there is none or it was not logged. */
static uint16_t port_of(uint8_t proto, const uint8_t *p, size_t len)
{
	bool ports = proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP ||
		     proto == IPPROTO_DCCP || proto == IPPROTO_UDPLITE;

	return ports && len >= 4 ? be16(p + 2) : 0;
}

static int decode_ip4(const uint8_t *p, size_t len, struct attempt *a)
{
	size_t header;

	if (len < 20 || p[0] >> 4 != 4)
		return -EBADMSG;
	header = 4 * (size_t)(p[0] & 15);
	a->proto = p[9];
	a->src = addr4(p + 12);
	a->dst = addr4(p + 16);
	a->has_dst = true;
	if (header >= 20 && header <= len && !(be16(p + 6) & 0x1fff))
		a->port = port_of(a->proto, p + header, len - header);
	return 0;
}

static bool is_extension(uint8_t next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS;
}

static int decode_ip6(const uint8_t *p, size_t len, struct attempt *a)
{
	size_t at = 40;

	if (len < 40 || p[0] >> 4 != 6)
		return -EBADMSG;
	a->proto = p[6];
	a->src = addr6(p + 8);
	a->dst = addr6(p + 24);
	a->has_dst = true;
	for (int i = 0; i < EXTENSIONS_MAX && is_extension(a->proto) && len - at >= 8; i++) {
		size_t ext = 8 + 8 * (size_t)p[at + 1];

		a->proto = p[at];
		if (ext > len - at)
			return 0;
		at += ext;
	}
	a->port = port_of(a->proto, p + at, len - at);
	return 0;
}

static int decode_arp(const uint8_t *p, size_t len, struct attempt *a)
{
	if (len < 28)
		return -EBADMSG;
	memcpy(a->mac, p + 8, 6);
	a->src = addr4(p + 14);
	a->dst = addr4(p + 24);
	a->has_dst = true;
	return 0;
}

static enum attempt_kind kind_of(const char *prefix)
{
	static const char *const prefixes[_ATTEMPT_KIND_MAX] = {
		[ATTEMPT_DENIED] = RULESET_LOG_DENIED,
		[ATTEMPT_SPOOF_MAC] = RULESET_LOG_SPOOF_MAC,
		[ATTEMPT_SPOOF_IP] = RULESET_LOG_SPOOF_IP,
		[ATTEMPT_SPOOF_ARP] = RULESET_LOG_ARP,
	};

	for (int i = 0; prefix && i < _ATTEMPT_KIND_MAX; i++) {
		if (strcmp(prefixes[i], prefix) == 0)
			return (enum attempt_kind)i;
	}
	return ATTEMPT_DENIED;
}

int nflog_decode(const struct nflog_raw *raw, struct attempt *ret)
{
	struct attempt a = {.kind = kind_of(raw->prefix)};
	uint16_t type = raw->ether_type;
	int r;

	if (raw->len == 0)
		return -EBADMSG;
	if (!type)
		type = raw->payload[0] >> 4 == 6 ? ETH_P_IPV6 : ETH_P_IP;
	if (type == ETH_P_ARP)
		r = decode_arp(raw->payload, raw->len, &a);
	else if (type == ETH_P_IPV6)
		r = decode_ip6(raw->payload, raw->len, &a);
	else if (type == ETH_P_IP)
		r = decode_ip4(raw->payload, raw->len, &a);
	else
		r = -EBADMSG;
	if (r < 0)
		return r;
	/* what is the same for every attempt, or chosen at will, would only make entries differ */
	if (a.kind == ATTEMPT_DENIED)
		a.src = (struct net_addr){0};
	if (a.kind == ATTEMPT_SPOOF_MAC && raw->mac && raw->mac_len >= 6)
		memcpy(a.mac, raw->mac, 6);
	*ret = a;
	return 0;
}
