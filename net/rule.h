/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One network.allow rule as a value: parsed from the spec's words, matched by the policy. */
#ifndef CONTRACTOR_NET_RULE_H
#define CONTRACTOR_NET_RULE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define NET_RULES_MAX	   256
#define NET_RULE_PORTS_MAX 64

enum net_host_kind {
	NET_HOST_NAME,	 /* exactly this DNS name */
	NET_HOST_SUFFIX, /* *.suffix: any name below it, not the suffix itself */
	NET_HOST_IP4,	 /* address or prefix */
	NET_HOST_IP6,
	_NET_HOST_KIND_MAX,
};

enum net_phase {
	NET_PHASE_PREPARE = 1 << 0,
	NET_PHASE_BUILD = 1 << 1,
};

enum net_proto {
	NET_PROTO_TCP = IPPROTO_TCP,
	NET_PROTO_UDP = IPPROTO_UDP,
};

struct net_port_range {
	uint16_t first, last; /* host order, first <= last, 1..65535 */
};

/* A plain value. `protos` is a set: one rule may allow TCP and UDP (protocol: dns). */
struct net_rule {
	enum net_host_kind kind;
	char name[254];	      /* lower case, no final dot; for a suffix without the "*." */
	struct in6_addr addr; /* IPv4 in the first four bytes, network order, host bits zero */
	uint8_t prefix_len;
	bool tcp, udp;
	struct net_port_range ports[NET_RULE_PORTS_MAX];
	size_t n_ports;
	unsigned phases;  /* NET_PHASE_* bits, never 0 */
	bool private_ok;  /* the rule says private: true */
	bool test_ok;	  /* an address for documentation will do: see net_rule_from_url() */
	int line, column; /* where it stands in the spec; 0 for built-in rules */
};

/*
 * Sets kind, name, addr, prefix_len from a `host` word: a DNS name, *.suffix with at least two
 * labels, an IPv4 or IPv6 address, or address/prefix. 0 or -EINVAL with the reason in e.
 */
int net_rule_set_host(struct net_rule *r, const char *host, struct err *e);

/*
 * Sets tcp/udp, and the ports where none are set yet, from a `protocol` word: tcp, udp, or http
 * (80), https (443), ssh (22), git (9418), rsync (873), ftp (21), dns (53, both). 0 or -EINVAL.
 */
int net_rule_set_protocol(struct net_rule *r, const char *protocol, struct err *e);

/* Adds "443" or "8000-8080". 0, -EINVAL or -E2BIG. */
int net_rule_add_ports(struct net_rule *r, const char *text, struct err *e);

/* Checks that the rule is complete (a host, a protocol, ports, a phase). 0 or -EINVAL. */
int net_rule_check(const struct net_rule *r, struct err *e);

/*
 * A copy whose rules stand nowhere in a spec, which makes no difference to what they allow; for the
 * caller to free. NULL: OOM.
 */
struct net_rule *net_rules_unplaced(const struct net_rule *rules, size_t n);

#endif
