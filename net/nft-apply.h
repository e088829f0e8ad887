/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Batches into the kernel, and counters and quotas back out of it. */
#ifndef CONTRACTOR_NET_NFT_APPLY_H
#define CONTRACTOR_NET_NFT_APPLY_H

#include "nft-encode.h"

/* A socket to nf_tables of the net namespace that it was opened in. Owner tables die with it. */
struct nft_conn;

/* 0 or a negative errno. */
int nft_open(struct nft_conn **ret, struct err *e);
struct nft_conn *nft_close(struct nft_conn *c);
CLEANUP_FUNC(nft_close, struct nft_conn)

/*
 * Sends the batch, all or nothing, and waits for the kernel's answers, 10 s at most. 0 or a
 * negative errno with the message that was refused, and the kernel's own words, in e.
 */
int nft_apply(struct nft_conn *c, const struct nft_batch *b, struct err *e);

struct nft_reading {
	char name[NFT_NAME_MAX];
	uint32_t type;	  /* NFT_OBJECT_COUNTER or NFT_OBJECT_QUOTA */
	uint64_t bytes;	  /* counted; of a quota: used */
	uint64_t packets; /* of a counter */
	uint64_t limit;	  /* of a quota */
};

/* Reads the named counters and quotas of a table: how many (at most max), or a negative errno. */
int nft_read_objects(struct nft_conn *c, uint8_t family, const char *table, struct nft_reading *ret,
		     size_t max, struct err *e);

/* The same from one answer of the kernel's: 1 if it is a counter or quota, else 0; pure. */
int nft_decode_object(const void *payload, size_t len, struct nft_reading *ret);

#endif
