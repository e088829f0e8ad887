/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SHA-256 (FIPS 180-4), for naming and checking content. */
#ifndef CONTRACTOR_BASE_SHA256_H
#define CONTRACTOR_BASE_SHA256_H

#include <stdint.h>

#include "macro.h"

#define SHA256_SIZE	32
#define SHA256_HEX_SIZE 65

struct sha256 {
	uint32_t state[8];
	uint64_t len; /* bytes so far */
	unsigned char block[64];
};

/* Begin, feed in any portions, finish. */
void sha256_init(struct sha256 *s);
void sha256_put(struct sha256 *s, const void *data, size_t n);
void sha256_end(struct sha256 *s, unsigned char out[SHA256_SIZE]);

/* The digest in lower-case hex; returns out. */
char *sha256_hex(const unsigned char digest[SHA256_SIZE], char out[SHA256_HEX_SIZE]);

/* All at once; returns out. */
char *sha256_hex_of(const void *data, size_t n, char out[SHA256_HEX_SIZE]);

/* Of all of a file. 0 or a negative errno. */
int sha256_hex_of_fd(int fd, char out[SHA256_HEX_SIZE]);

#endif
