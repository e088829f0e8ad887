/* SPDX-License-Identifier: GPL-3.0-or-later */
/* nf_tables messages as text, for tests and for doubters; pure. */
#ifndef CONTRACTOR_NET_NFT_DECODE_H
#define CONTRACTOR_NET_NFT_DECODE_H

#include "base/buf.h"

/*
 * Appends one line for each message of the batch and one, indented, for each expression of a rule
 * and each element of a set. Attributes that are not known are shown by number. 0, -EBADMSG when a
 * length is broken (what came before is in out), -ENOMEM or -E2BIG.
 */
int nft_decode(const void *bytes, size_t len, struct buf *out);

#endif
