/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Refused packets as the kernel logs them (NFLOG), in the loop. */
#ifndef CONTRACTOR_NET_NFLOG_H
#define CONTRACTOR_NET_NFLOG_H

#include "attempt.h"
#include "base/loop.h"

/* One logged packet as it came; every byte of it is the worker's. */
struct nflog_raw {
	const char *prefix;  /* of the rule; NULL: none */
	uint16_t ether_type; /* host order; 0: not told */
	const uint8_t *payload;
	size_t len;
	const uint8_t *mac; /* source; NULL: not told */
	size_t mac_len;
};

/* What it tried: 0, or -EBADMSG when the packet is too short or broken to tell anything. Pure. */
int nflog_decode(const struct nflog_raw *raw, struct attempt *ret);

struct nflog;

/* Comes for each packet; must not free the nflog. */
typedef void (*nflog_fn)(const struct attempt *what, void *user_data);

/*
 * Binds to the group in the net namespace that the caller is in, and listens in the loop until
 * freed. 0 or a negative errno: -EBUSY when another listens there.
 */
int nflog_new(struct loop *l, uint16_t group, nflog_fn fn, void *user_data, struct nflog **ret,
	      struct err *e);

struct nflog_stats {
	uint64_t packets; /* delivered */
	uint64_t broken;  /* could not be decoded */
	uint64_t lost;	  /* times that the kernel had to drop messages (ENOBUFS) */
};
void nflog_get_stats(const struct nflog *n, struct nflog_stats *ret);

/* Reads what has come and not been seen by the loop yet: before a verdict. */
void nflog_drain(struct nflog *n);

struct nflog *nflog_free(struct nflog *n);
CLEANUP_FUNC(nflog_free, struct nflog)

#endif
