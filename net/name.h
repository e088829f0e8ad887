/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Host names: the one form in which rules, DNS and the relay compare them. */
#ifndef CONTRACTOR_NET_NAME_H
#define CONTRACTOR_NET_NAME_H

#include <stdbool.h>
#include <stddef.h>

#define NET_NAME_SIZE  254 /* 253 characters and the NUL */
#define NET_LABEL_MAX  63
#define NET_LABELS_MAX 127

/*
 * Writes the name in lower case and without its final dot. Letters, digits, '-' and '_' only (an
 * international name is its xn-- form), labels of 1 to 63 that neither start nor end with '-', 253
 * in all, the last label not a number (getaddrinfo would take the name for an address). 0, -EINVAL
 * or -ENAMETOOLONG.
 */
int net_name_fold(const char *name, size_t len, char ret[NET_NAME_SIZE]);

/* True if `name` is below `suffix` at any depth, and not itself; both folded. */
bool net_name_below(const char *name, const char *suffix);

#endif
