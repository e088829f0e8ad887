/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Content hashes of files, remembered for as long as the file stays the same by its stat. */
#ifndef CONTRACTOR_IMAGE_STAMPS_H
#define CONTRACTOR_IMAGE_STAMPS_H

#include "base/err.h"
#include "base/sha256.h"

struct stamps;

/*
 * Reads what an earlier run has saved at `path`; a missing or damaged file is an empty memory. 0 or
 * -ENOMEM.
 */
int stamps_load(const char *path, struct stamps **ret);

/*
 * The SHA-256 of a regular file, from the memory when device, inode, size, mtime and ctime are the
 * same as then. 0 or a negative errno with the name.
 */
int stamps_hash(struct stamps *s, const char *file, char out[SHA256_HEX_SIZE], struct err *e);

/* Writes back what stamps_hash was asked about, if it is news. 0 or a negative errno. */
int stamps_save(const struct stamps *s, struct err *e);

struct stamps *stamps_free(struct stamps *s);
CLEANUP_FUNC(stamps_free, struct stamps)

#endif
