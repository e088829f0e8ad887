/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The one decision about a connection: DNS, relay, dialer and `contractor check` all ask it. */
#ifndef CONTRACTOR_NET_POLICY_H
#define CONTRACTOR_NET_POLICY_H

#include "addr.h"
#include "name.h"
#include "rule.h"

/* What is asked. Pointers are borrowed for the call. */
struct net_query {
	enum net_phase phase;
	const char *name;	     /* as the guest wrote it; NULL for a literal address */
	const struct net_addr *addr; /* the literal; with a name what it resolved to, or NULL */
	uint16_t port;
	enum net_proto proto;
	bool any_service; /* DNS: is there any port and protocol? port and proto are ignored */
	bool own;	  /* addr belongs to the host itself (net_own_check) */
};

/* From the farthest miss to the nearest; of several rules the nearest miss is told. */
enum net_reason {
	NET_ALLOWED,
	NET_DENIED_BAD_NAME, /* no name that a rule could hold */
	NET_DENIED_HOST,     /* no rule has this host */
	NET_DENIED_PROTOCOL, /* a rule has the host, but not ... */
	NET_DENIED_PORT,
	NET_DENIED_PHASE,
	NET_DENIED_ADDRESS, /* the address needs private: true */
	NET_DENIED_OWN,	    /* so do the host's own addresses */
	NET_DENIED_NEVER,   /* unspecified, broadcast, reserved: no rule lifts it */
	_NET_REASON_MAX,
};

struct net_decision {
	enum net_reason reason;
	int rule; /* index of the rule that allows, or came nearest; -1: none */
	enum net_addr_class address;
};

/*
 * Decides by the first rule that allows. Pure. A name rule never allows a literal address, and an
 * address rule never a name: resolving it would itself be traffic that nobody allowed.
 */
struct net_decision net_decide(const struct net_rule *rules, size_t n, const struct net_query *q);

#define NET_TEXT_MAX 512

/* "allowed by line 12", or the reason as one clause; returns out. */
char *net_decision_text(const struct net_decision *d, const struct net_rule *rules,
			const struct net_query *q, char out[NET_TEXT_MAX]);

/*
 * The spec line that would allow what was asked: "- {host: h, port: 1, protocol: tcp, phase: p}".
 * Empty where no line would. Returns out.
 */
char *net_decision_remedy(const struct net_decision *d, const struct net_query *q,
			  char out[NET_TEXT_MAX]);

/* "tcp" or "udp"; "prepare" or "build". */
const char *net_proto_text(enum net_proto p);
const char *net_phase_text(enum net_phase p);

#endif
