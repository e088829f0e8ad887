/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of the relay share among themselves. */
#ifndef CONTRACTOR_NET_RELAY_PRIVATE_H
#define CONTRACTOR_NET_RELAY_PRIVATE_H

#include "relay.h"

/* Where the worker wants to go. */
struct target {
	enum net_proto proto;
	const char *name;     /* owned by the synth; NULL: the literal addr */
	struct net_addr addr; /* as the worker sees it: synthetic or literal */
	uint16_t port;
	int rule; /* that allows it now */
};

struct relay_conn;
struct relay_flow;

struct relay;

/* A socket where new connections or datagrams arrive. */
struct listener {
	struct relay *relay;
	int fd;
	struct loop_source *source; /* NULL: there is none */
};

enum { LISTEN_TCP, LISTEN_TCP6, LISTEN_UDP, LISTEN_UDP6, _LISTEN_MAX };

struct relay {
	struct loop *loop;
	struct relay_config config;
	struct listener listeners[_LISTEN_MAX];
	struct loop_source *second; /* deadlines */
	struct loop_source *refill; /* armed while a bucket is empty */
	struct copier copier;
	bool over, refilling, accept_muted;
	struct relay_conn *conns, *conns_last;
	struct relay_flow *flows;
	struct relay_stats stats;
	struct relay_rule_stats *rule_stats;
};

/* Fills a target from the original destination and decides. */
struct net_decision relay_target(struct relay *r, enum net_proto proto,
				 const struct sockaddr_storage *dst, struct target *ret);

/* Decides again, for the present phase; sets t->rule. */
struct net_decision relay_decide(struct relay *r, struct target *t);

/* Tells of a target; d, reply and code as the type needs them (NULL otherwise). */
void relay_tell(struct relay *r, enum relay_event_type type, const struct target *t,
		const struct net_decision *d, const struct dial_reply *reply);

/*
 * Asks the dialer; with `passed` it gets the worker's end, and passes bytes on by itself. 0 with
 * the id, or a negative errno.
 */
int relay_dial(struct relay *r, const struct target *t, int consume_fd, dial_done_fn done,
	       dial_passed_fn passed, void *user_data, uint32_t *ret_id);

/* Counts bytes that pass and that the meter knows of. */
void relay_count(struct relay *r, const struct target *t, enum meter_dir dir, uint64_t n);

/* The bucket is empty: the loop will call the refill functions soon. */
void relay_wait_refill(struct relay *r);

/* The total is used up and there was more: ends everything. Legal anywhere in the relay. */
void relay_over(struct relay *r);

/* TCP */
void relay_tcp_accept(struct loop_source *s, uint32_t events, void *user_data);
void relay_tcp_refill(struct relay *r);
void relay_tcp_deadlines(struct relay *r, uint64_t now);
void relay_tcp_phase(struct relay *r);
void relay_tcp_reset_all(struct relay *r);

/* UDP */
void relay_udp_listen(struct loop_source *s, uint32_t events, void *user_data);
void relay_udp_refill(struct relay *r);
void relay_udp_deadlines(struct relay *r, uint64_t now);
void relay_udp_phase(struct relay *r);
void relay_udp_end_all(struct relay *r);

#endif
