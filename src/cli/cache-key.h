/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The key of what is kept in the cache: a hash of all that it was made from. */
#ifndef CONTRACTOR_CLI_CACHE_KEY_H
#define CONTRACTOR_CLI_CACHE_KEY_H

#include "base/err.h"
#include "base/sha256.h"

struct cache_input {
	const char *name;
	const void *data;
	size_t len;
};

/* Pure: the SHA-256 over all inputs in their order, each with its name and lengths. */
void cache_key(const struct cache_input *in, size_t n, char ret[SHA256_HEX_SIZE]);

#define CACHE_IDENTITY_MAX 128

/*
 * Which file that is, without reading it: its file system, number, size and time of change, to the
 * nanosecond. A file that was replaced or written to has another, a link to it has the same. 0 or a
 * negative errno.
 */
int cache_identity(int fd, char ret[CACHE_IDENTITY_MAX]);

/* The same of the file of that name. */
int cache_identity_of(const char *path, char ret[CACHE_IDENTITY_MAX], struct err *e);

#endif
