/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The relay: takes the worker's connections, has the allowed ones opened, and copies both ways. */
#ifndef CONTRACTOR_NET_RELAY_H
#define CONTRACTOR_NET_RELAY_H

#include <sys/types.h>

#include "base/loop.h"
#include "copy.h"
#include "dial.h"
#include "synth.h"

#define RELAY_CONNECTIONS_MAX 1024
#define RELAY_FLOWS_MAX	      512

/* How the kernel tells where a packet was meant to go. */
struct relay_ops {
	/* The original destination of an accepted connection. 0 or a negative errno. */
	int (*tcp_destination)(int fd, struct sockaddr_storage *ret, void *data);
	/* One datagram, its source and original destination; its length or a negative errno. */
	ssize_t (*udp_receive)(int fd, void *buf, size_t size, struct sockaddr_storage *ret_src,
			       struct sockaddr_storage *ret_dst, void *data);
	/* A non-blocking socket that speaks as dst to src. The descriptor or a negative errno. */
	int (*udp_flow)(const struct sockaddr_storage *src, const struct sockaddr_storage *dst,
			void *data);
};

/* For listeners that nft's tproxy statement sends to, with IP_TRANSPARENT set. */
extern const struct relay_ops relay_tproxy;

enum relay_event_type {
	RELAY_OPENED, /* connected */
	RELAY_DENIED, /* by the decision */
	RELAY_FAILED, /* allowed, but `code` came of it */
	RELAY_ENDED,  /* was open and lost its rule with the phase */
	RELAY_OVER,   /* the total is used up: everything is closed, nothing opens any more */
	RELAY_GONE,   /* the dialer has ended: everything new fails */
	_RELAY_EVENT_TYPE_MAX,
};

/* Of RELAY_OVER and RELAY_GONE the type alone is set. */
struct relay_event {
	enum relay_event_type type;
	enum net_phase phase;
	enum net_proto proto;
	uint16_t port;
	const char *name; /* folded; NULL: the worker used an address */
	/* the literal, or what the name resolved to; has_addr false: nothing was resolved */
	struct net_addr addr;
	bool has_addr;
	struct net_decision decision;
	enum dial_code code;
	int error; /* positive errno beside the code, or 0 */
};

/* The question behind an event, for net_decision_text and net_decision_remedy; borrows from ev. */
struct net_query relay_event_query(const struct relay_event *ev);

struct relay_config {
	const struct net_rule *rules; /* borrowed while the relay lives, as is all below */
	size_t n_rules;
	enum net_phase phase;
	const struct net_synth *synth;
	struct dial_client *dialer;
	const struct relay_ops *ops; /* NULL: relay_tproxy */
	void *ops_data;
	int tcp_fd, tcp6_fd;	   /* listening, non-blocking; -1: none */
	int udp_fd, udp6_fd;	   /* bound, non-blocking; -1: none */
	uint64_t rate, total;	   /* see struct meter */
	size_t connections, flows; /* at once; 0: the most there can be */
	uint64_t connect_ms;	   /* 0: 30 s, beyond the dialer's own deadline */
	uint64_t idle_ms;	   /* TCP without a byte in either direction; 0: 15 min */
	uint64_t udp_idle_ms;	   /* 0: 60 s */
	/* Must not free the relay. */
	void (*event)(const struct relay_event *ev, void *user_data);
	void *user_data;
};

struct relay;

/*
 * Relays in the loop until freed. Raises RLIMIT_NOFILE to the hard limit, takes fewer connections
 * where that is too low, and has SIGPIPE ignored. 0 or a negative errno.
 */
int relay_new(struct loop *l, const struct relay_config *c, struct relay **ret, struct err *e);

/* From now on this phase's rules hold, for what is open too: connections without one are reset. */
void relay_set_phase(struct relay *r, enum net_phase phase);

struct relay_rule_stats {
	uint64_t connections; /* and flows */
	uint64_t bytes[_METER_DIR_MAX];
};

struct relay_stats {
	uint64_t opened, denied, failed; /* connections and flows */
	size_t connections, flows;	 /* now */
	uint64_t bytes[_METER_DIR_MAX];
};

void relay_get_stats(const struct relay *r, struct relay_stats *ret);

/* The share of rule number i (< n_rules). */
const struct relay_rule_stats *relay_rule_stats(const struct relay *r, size_t i);

/* Resets what is open. Accepts NULL; returns NULL. */
struct relay *relay_free(struct relay *r);
CLEANUP_FUNC(relay_free, struct relay)

#endif
