/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Writes one EROFS image in a single pass, in memory that grows with the number of entries alone.
 */
#ifndef CONTRACTOR_ARCHIVE_EROFS_H
#define CONTRACTOR_ARCHIVE_EROFS_H

#include <stdint.h>
#include <sys/stat.h>

#include "base/err.h"

/*
 * Uncompressed, blocks of 4 KiB, extended inodes (owner 0:0, mode, mtime to the nanosecond, link
 * count), very small files and tails inline. Equal calls give equal bytes. The format is that of
 * Linux, Documentation/filesystems/erofs.rst and fs/erofs/erofs_fs.h; every kernel since 5.4 mounts
 * it.
 */
struct erofs;

/* Where the content of a file is, as offsets from the beginning of the descriptor. */
struct erofs_place {
	uint64_t
		body; /* from a block's beginning, in one piece; holes of the file are holes here */
	uint64_t tail;	   /* what follows it, of less than a block */
	uint64_t body_len; /* bytes of the file in body: all, or if there is a tail, whole blocks */
	uint32_t tail_len;
};

/*
 * Starts an image whose first byte is at offset `at` of fd (a multiple of 4096); fd stays the
 * caller's, its position is not used, and what lies behind `at` must be a hole. 0 or a negative
 * errno.
 */
int erofs_new(int fd, uint64_t at, struct erofs **ret, struct err *e);

/* Frees without finishing. Accepts NULL; returns NULL. */
struct erofs *erofs_free(struct erofs *w);
CLEANUP_FUNC(erofs_free, struct erofs)

/*
 * One entry each. `path` is relative, without leading or trailing slash, "" the root, which comes
 * first; a folder comes before what is in it, and a path comes once (-EEXIST). Otherwise the order
 * is free. 0 or a negative errno; -EFBIG for what the format cannot hold.
 */
int erofs_folder(struct erofs *w, const char *path, const struct stat *st, struct err *e);
int erofs_symlink(struct erofs *w, const char *path, const char *target, const struct stat *st,
		  struct err *e);

/*
 * A regular file, open at fd with `st` of it: exactly st_size bytes from its beginning, holes as
 * holes. A file that is shorter by then is -EIO and an error that calls it `name`. The position of
 * fd is not kept.
 */
int erofs_file(struct erofs *w, const char *path, int fd, const struct stat *st, const char *name,
	       struct erofs_place *ret, struct err *e);

/* A character device 0:0: in an upper layer of an overlay it hides what lies below. */
int erofs_whiteout(struct erofs *w, const char *path, struct err *e);

/* Writes folders, what is left of inodes, and last the superblock. ret_size: bytes from `at` on, a
 * multiple of 4096. */
int erofs_finish(struct erofs *w, uint64_t *ret_size, struct err *e);

#endif
