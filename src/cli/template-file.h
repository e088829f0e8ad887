/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The file of a memory template: where its parts are, and what is known of them. */
#ifndef CONTRACTOR_CLI_TEMPLATE_FILE_H
#define CONTRACTOR_CLI_TEMPLATE_FILE_H

#include <stdint.h>

#include "base/err.h"
#include "base/sha256.h"

/* Places in the file, in bytes; they follow from the sizes of memory and scratch disk. */
struct template_layout {
	uint64_t memory, state, scratch, trailer, total;
	uint64_t state_size, scratch_size;
};

/* The last block of the file, as JSON. */
struct template_trailer {
	uint64_t tsc_khz;      /* of the host's time stamp counter, which the worker counts by */
	uint64_t scratch_room; /* bytes that the scratch disk may grow by until it is full */
	char state[SHA256_HEX_SIZE]; /* hash of the devices' state */
};

struct template_layout template_layout(uint64_t memory, uint64_t disk);

/* Copies the scratch disk in, hashes the state, and writes the trailer. 0 or a negative errno. */
int template_complete(int fd, const struct template_layout *l, int scratch,
		      struct template_trailer *t, struct err *e);

/*
 * Reads the trailer and checks the state's hash. 0, -EBADMSG with what is wrong, or a negative
 * errno.
 */
int template_check(int fd, const struct template_layout *l, struct template_trailer *ret,
		   struct err *e);

/* Copies data, and leaves holes, from a stretch of one file to one of another. 0 or negative. */
int template_copy(int from, uint64_t from_at, int to, uint64_t to_at, uint64_t size);

#endif
