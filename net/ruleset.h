/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The packet policy of one worker's network, as nf_tables objects; pure. */
#ifndef CONTRACTOR_NET_RULESET_H
#define CONTRACTOR_NET_RULESET_H

#include <netinet/in.h>

#include "nft.h"
#include "rule.h"

#define RULESET_TABLE "contractor" /* one of family inet, one of family arp */

/* Its named objects, read by nft_read_objects(). All are there always, but for the quota. */
#define RULESET_IN     "in"	/* all IP packets from the worker */
#define RULESET_OUT    "out"	/* all IP packets to it */
#define RULESET_DENIED "denied" /* refused attempts */
#define RULESET_SPOOF  "spoof"	/* foreign sources; of the arp table: all ARP that is refused */
#define RULESET_NOISE  "noise"	/* dropped as what any system sends by itself; in both tables */
#define RULESET_CAPPED "capped" /* new connections over the cap */
#define RULESET_TOTAL  "total"	/* the quota; only with a total */

/* Why a packet was logged: the NFLOG prefix. */
#define RULESET_LOG_DENIED    "denied"
#define RULESET_LOG_SPOOF_MAC "spoof-mac"
#define RULESET_LOG_SPOOF_IP  "spoof-ip"
#define RULESET_LOG_ARP	      "spoof-arp"

/* RFC 2544's benchmark range: no network routes it, no guest takes it for a private one. */
#define RULESET_SYNTH_NET    0xc6120000U /* 198.18.0.0, host order */
#define RULESET_SYNTH_PREFIX 15

struct ruleset_config {
	const char *ifname;		/* the interface that has the host's address */
	struct in_addr host, worker;	/* in one /24 */
	struct in6_addr host6, worker6; /* in one /64; zero: the worker has no IPv6 */
	uint8_t worker_mac[6];
	uint16_t relay_tcp, relay_udp; /* ports of the relay's listeners on 127.0.0.1 and ::1 */
	const struct net_rule *rules;  /* whose literal addresses pass to the relay */
	size_t n_rules;
	uint64_t rate;	      /* payload bytes a second, each way; 0: no wall */
	uint64_t total;	      /* payload bytes both ways; 0: no wall */
	uint32_t connections; /* at once, TCP and UDP flows together; at least 1 */
	uint16_t log_group;   /* NFLOG */
};

/*
 * Everything as a list for nft_encode(): 0, -E2BIG (too many literal addresses), -EINVAL or
 * -ENOMEM. nft_list_done() frees it. What holds, and which rule makes it so, stands in ruleset.c.
 */
int ruleset_build(const struct ruleset_config *c, struct nft_list *ret, struct err *e);

/*
 * The walls that go with a payload rate or total: a quarter on top for headers, acknowledgements
 * and what is sent twice. The exact count is the relay's. Saturating; 0 stays 0.
 */
uint64_t ruleset_rate_wall(uint64_t rate);
uint64_t ruleset_total_wall(uint64_t total);

/*
 * The literal addresses of one family of the rules as disjoint elements of a set address . protocol
 * . port, as the kernel's sets refuse any overlap. *ret is malloc'ed. 0, -E2BIG or -ENOMEM.
 */
int ruleset_literals(const struct net_rule *rules, size_t n, bool v6, struct nft_elem **ret,
		     size_t *ret_n);

/*
 * Host and worker address (.1 and .2) in a private /24 that no literal of the rules overlaps,
 * 10.98.0.0 by preference; where every one is taken 10.98.0.0, which is then out of the rules'
 * reach.
 */
void ruleset_pick_subnet(const struct net_rule *rules, size_t n, struct in_addr *ret_host,
			 struct in_addr *ret_worker);

/*
 * The same in a unique local /64, fd63:6f6e:7472::/64 by preference. False, with zeroes, where no
 * rule has an IPv6 address: the worker then has none either.
 */
bool ruleset_pick_subnet6(const struct net_rule *rules, size_t n, struct in6_addr *ret_host,
			  struct in6_addr *ret_worker);

#endif
