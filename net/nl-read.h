/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Netlink messages and attributes read from raw bytes, each step checked against the end. */
#ifndef CONTRACTOR_NET_NL_READ_H
#define CONTRACTOR_NET_NL_READ_H

#include <stdbool.h>
#include <stdint.h>

#include "base/macro.h"

/* Borrowed bytes; reading moves p forward. */
struct nl_bytes {
	const uint8_t *p;
	size_t len;
};

struct nl_message {
	uint16_t type, flags;
	uint32_t seq;
	struct nl_bytes payload;
};

struct nl_attr_view {
	uint16_t type; /* without the nested and byte-order bits */
	struct nl_bytes data;
};

/*
 * The next message or attribute. 1 and *ret, 0 at the end, -EBADMSG when a length is too small or
 * runs over the end.
 */
int nl_next_message(struct nl_bytes *rest, struct nl_message *ret);
int nl_next_attr(struct nl_bytes *rest, struct nl_attr_view *ret);

/* The first attribute of that type; false if there is none (or what is before it is broken). */
bool nl_find_attr(struct nl_bytes attrs, uint16_t type, struct nl_bytes *ret);

/* Big-endian numbers of exactly that size. False if the size is another. */
bool nl_be32(struct nl_bytes data, uint32_t *ret);
bool nl_be64(struct nl_bytes data, uint64_t *ret);

/* True if the attribute is this string, with or without its NUL. */
bool nl_is_string(struct nl_bytes data, const char *s);

#endif
