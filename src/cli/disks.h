/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The worker's disks as unnamed files on the host: input, output, scratch. */
#ifndef CONTRACTOR_CLI_DISKS_H
#define CONTRACTOR_CLI_DISKS_H

#include "spec/spec.h"

/* Descriptors, -1 when not open; the files vanish with their last descriptor. */
struct disks {
	int input_rw, input; /* one file: for the packer, and read-only for QEMU */
	int output;
	int scratch;
	uint64_t scratch_full_at; /* allocated bytes of the scratch file that mean: it was full */
};

#define DISKS_INIT                                                       \
	{                                                                \
		.input_rw = -1, .input = -1, .output = -1, .scratch = -1 \
	}

/*
 * Makes the files in `dir`: the input with its first archive (driver, recipe, environment) and the
 * rest empty, the output as a hole of its fixed size, the scratch disk with an empty ext4 (by
 * mke2fs). 0 or a negative errno.
 */
int disks_make(const char *dir, const struct spec *spec, struct disks *ret, struct err *e);
void disks_done(struct disks *d);

#endif
