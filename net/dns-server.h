/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The guest's only DNS server: answers by the rules, of its own knowledge, and asks nobody. */
#ifndef CONTRACTOR_NET_DNS_SERVER_H
#define CONTRACTOR_NET_DNS_SERVER_H

#include "base/loop.h"
#include "dns.h"
#include "policy.h"
#include "synth.h"

#define DNS_TCP_CONNECTIONS_MAX 32

/* A question that was not answered with an address, or (reason NET_ALLOWED) was. */
struct dns_event {
	const char *name; /* printable, hostile */
	uint16_t type;
	struct net_decision decision;
	bool noise; /* what resolvers ask of themselves: no attempt to reach anything */
	bool full;  /* allowed, but no synthetic address was left */
};

struct dns_server_config {
	const struct net_rule *rules; /* borrowed while the server lives */
	size_t n_rules;
	enum net_phase phase;
	struct net_synth *synth; /* borrowed */
	/* bound UDP socket and listening TCP socket, non-blocking; borrowed. Either may be -1. */
	int udp_fd, tcp_fd;
	uint64_t tcp_idle_ms; /* 0: 10 s; also the time a question may take to arrive */
	void (*event)(const struct dns_event *ev, void *user_data);
	void *user_data;
};

/* Pure but for the address that synth may give out: what a query is answered with. */
struct dns_answer dns_answer(const struct dns_server_config *c, const struct dns_query *q,
			     struct dns_event *ret_event);

struct dns_server;

/* Serves in the loop until freed. 0 or a negative errno. */
int dns_server_new(struct loop *l, const struct dns_server_config *c, struct dns_server **ret,
		   struct err *e);

/* The phase that names are checked against from now on. */
void dns_server_set_phase(struct dns_server *s, enum net_phase phase);

struct dns_server *dns_server_free(struct dns_server *s);
CLEANUP_FUNC(dns_server_free, struct dns_server)

#endif
