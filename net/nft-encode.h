/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From a list of nf_tables objects to the bytes of one batch; pure. */
#ifndef CONTRACTOR_NET_NFT_ENCODE_H
#define CONTRACTOR_NET_NFT_ENCODE_H

#include "base/buf.h"
#include "nft.h"

#define NFT_WHAT_MAX 96

/* One message of the batch: its sequence number is its index + 1. */
struct nft_label {
	char what[NFT_WHAT_MAX]; /* "rule deny-tcp in chain pre" */
	bool acked;		 /* asks for an answer: all but begin and end */
};

/* A zeroed struct is empty. */
struct nft_batch {
	struct buf bytes;
	struct nft_label *labels;
	size_t n, size;
};

void nft_batch_done(struct nft_batch *b);

/* Encodes the list, framed by BEGIN and END. 0, the list's own error, -ENOMEM or -E2BIG. */
int nft_encode(const struct nft_list *l, struct nft_batch *ret, struct err *e);

#endif
