/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The worker's network interfaces in the net namespace that the caller is in. */
#ifndef CONTRACTOR_NET_LINK_H
#define CONTRACTOR_NET_LINK_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdint.h>

#include "rule.h"

struct link_config {
	const char *tap, *bridge;	/* names to be */
	struct in_addr host, worker;	/* in one /24; the host's goes on the bridge */
	struct in6_addr host6, worker6; /* in one /64; zero: no IPv6 */
	uint8_t host_mac[6], worker_mac[6];
	const struct net_rule *rules; /* whose literal addresses are delivered here */
	size_t n_rules;
	uint64_t rate; /* bytes a second towards the worker, headers included; 0: no limit */
};

struct link {
	int tap_fd;	       /* the frames' end, with virtio-net headers; for QEMU */
	char ifname[IFNAMSIZ]; /* the interface with the address: bridge, or tap */
};

/*
 * Makes the tap, puts it on a bridge, gives that its address, the worker's as a permanent
 * neighbour, and delivers the synthetic range and the rules' literal addresses locally. Where
 * br_netfilter cannot be turned off for the namespace the address goes on the tap itself and there
 * is no bridge (nft's tproxy does not work on bridges that br_netfilter sees). The tap goes with
 * its last descriptor, the bridge with the namespace. Needs CAP_NET_ADMIN over the namespace. 0 or
 * a negative errno; on failure what was made is left to the namespace's end.
 */
int link_up(const struct link_config *c, struct link *ret, struct err *e);

/*
 * The tap alone, non-persistent and down: TUNSETIFF on /dev/net/tun. The descriptor or a negative
 * errno; an error for a missing or forbidden /dev/net/tun says what to do.
 */
int link_open_tap(const char *name, struct err *e);

/*
 * Limits what leaves the interface to `rate` bytes a second by a token bucket (sch_tbf), whose
 * depth is 1/50 s, at least 32 KiB. Rates from 2^31 on are no limit. 0 or a negative errno.
 */
int link_shape(const char *ifname, uint64_t rate, struct err *e);

#endif
