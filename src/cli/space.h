/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Room on the host's file systems: whether a build may start there, and go on. */
#ifndef CONTRACTOR_CLI_SPACE_H
#define CONTRACTOR_CLI_SPACE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

#define SPACE_MAX 4

/* A folder that a build writes to, and how many bytes at worst. */
struct space_use {
	const char *path;
	uint64_t worst;
};

/* One file system with all that is to be written there. */
struct space_fs {
	const char *path; /* borrowed: the first folder on it */
	dev_t dev;
	uint64_t total, free; /* bytes, free for this user */
	uint64_t worst;
};

struct space {
	struct space_fs fs[SPACE_MAX];
	size_t n;
};

/*
 * Looks at the file systems of the folders (at most SPACE_MAX, which must be there), one entry for
 * each file system. The paths stay the caller's and must outlive *ret. 0 or a negative errno.
 */
int space_look(const struct space_use *uses, size_t n, struct space *ret, struct err *e);

/* Reads `free` anew; what cannot be read stays as it was. */
void space_refresh(struct space *s);

/*
 * Pure: what a build leaves free, so that it fills no disk of the host: a twentieth of the file
 * system, 256 MiB at most.
 */
uint64_t space_reserve(const struct space_fs *f);

/* Pure: 0 while each has its reserve; -ENOSPC with the sentence for the user. */
int space_check(const struct space *s, struct err *e);

/*
 * Pure: the first file system on which the worst case does not fit, with the sentence in e; NULL
 * when all do.
 */
const struct space_fs *space_worst(const struct space *s, struct err *e);

#endif
