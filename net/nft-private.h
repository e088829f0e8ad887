/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between the parts of the encoder. */
#ifndef CONTRACTOR_NET_NFT_PRIVATE_H
#define CONTRACTOR_NET_NFT_PRIVATE_H

#include <netlink/msg.h>

#include "nft.h"

/* Puts one NFTA_LIST_ELEM with the expression. 0 or -ENOMEM (the message is full). */
int nft_put_expr(struct nl_msg *m, const struct nft_expr *x);

/* An attribute of big-endian 32 or 64 bits. 0 or -ENOMEM. */
int nft_put_be32(struct nl_msg *m, int attr, uint32_t v);
int nft_put_be64(struct nl_msg *m, int attr, uint64_t v);

/* A nest with one NFTA_DATA_VALUE. 0 or -ENOMEM. */
int nft_put_value(struct nl_msg *m, int attr, const void *data, size_t len);

#endif
