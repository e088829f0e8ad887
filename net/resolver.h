/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names to addresses in processes of their own, so that one slow name stops no other. */
#ifndef CONTRACTOR_NET_RESOLVER_H
#define CONTRACTOR_NET_RESOLVER_H

#include "base/loop.h"
#include "dial.h"

#define RESOLVER_ADDRS_MAX    16
#define RESOLVER_NAMES_MAX    256 /* asked, or remembered for a few seconds */
#define RESOLVER_CHILDREN_MAX 16

/* DIAL_OK with at least one address in the order to try them, DIAL_NO_NAME or DIAL_NO_RESOLVER. */
struct resolver_answer {
	enum dial_code code;
	size_t n;
	struct net_addr addrs[RESOLVER_ADDRS_MAX];
};

/* Resolves; may block. Called in a forked child that has no descriptor but 0, 1, 2 and its pipe. */
typedef void (*resolver_fn)(const char *name, struct resolver_answer *ret, void *user_data);

/* By the system's resolver (getaddrinfo); names with a dot are never completed from a search list.
 */
void resolver_system(const char *name, struct resolver_answer *ret, void *user_data);

/* The answer for a name, to everyone who waits for it. Must not free the resolver. */
typedef void (*resolver_done_fn)(const char *name, const struct resolver_answer *a,
				 void *user_data);

struct resolver;

/* fn NULL: resolver_system. Each name has deadline_ms. 0 or a negative errno. */
int resolver_new(struct loop *l, resolver_fn fn, void *fn_data, uint64_t deadline_ms,
		 resolver_done_fn done, void *user_data, struct resolver **ret, struct err *e);

/*
 * 1: known, *ret points into the resolver until the next call; 0: done() will be called, later;
 * -EBUSY: too many names at once.
 */
int resolver_ask(struct resolver *r, const char *name, const struct resolver_answer **ret);

/* Kills what runs. Accepts NULL; returns NULL. */
struct resolver *resolver_free(struct resolver *r);
CLEANUP_FUNC(resolver_free, struct resolver)

#endif
