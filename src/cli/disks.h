/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The worker's disks as unnamed files on the host: input, output, scratch. */
#ifndef CONTRACTOR_CLI_DISKS_H
#define CONTRACTOR_CLI_DISKS_H

#include "base/buf.h"
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

/* The output disk of a worker from which no files come back. */
#define DISKS_NO_OUTPUT (1 * MIB)

/* A scratch disk that a worker has mounted, or boots from, in a file at an offset. */
struct disks_copy {
	int fd;
	uint64_t offset;
	uint64_t size; /* 0: as large as the scratch disk is to be */
	uint64_t room; /* bytes that it may grow by until it is full */
};

/* An input disk that there is: it gets another first archive, and goes on at `end`. */
struct disks_input {
	int fd;
	uint64_t end;
};

/* What the disks are for; pointers are borrowed. */
struct disks_request {
	const char *dir; /* where the files are made */
	const struct spec *spec;
	const struct net_rule *rules; /* of the worker's network; none: it has none */
	size_t n_rules;
	bool prepare;	   /* for the spec's play, else for its build */
	bool repositories; /* the play may reach those of the image */
	const char *shell; /* "MODE TERM ROWS COLS" for a shell in the worker, or NULL */
	bool layer;	   /* the worker has a layer, made by a play */
	bool template;	   /* for a worker that becomes a template: no recipe, no environment */
	const struct disks_input *input;  /* NULL: a new one */
	const struct disks_copy *scratch; /* NULL: an empty one, by mke2fs */
};

/*
 * Makes the files: the input with its first archive (driver, recipe or playbook, environment) and
 * the rest empty, the output as a hole of its fixed size, the scratch disk with an empty ext4 (by
 * mke2fs). 0 or a negative errno.
 */
int disks_make(const struct disks_request *q, struct disks *ret, struct err *e);

/* Whether workers of that architecture can be restored: there is a program that reseeds them. */
bool disks_can_restore(const char *arch);

/* The driver that goes into every worker, with what it needs. 0 or a negative errno. */
int disks_read_driver(struct buf *out, struct err *e);
void disks_done(struct disks *d);

#endif
