/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Writes one pax archive to a descriptor: entries as they are on disk, in bounded memory. */
#ifndef CONTRACTOR_ARCHIVE_PACK_H
#define CONTRACTOR_ARCHIVE_PACK_H

#include <stdint.h>
#include <sys/stat.h>

#include "base/err.h"

struct pack;

/*
 * Starts an archive at fd's position; fd stays the caller's. Until pack_free the calling thread is
 * in the locale C.UTF-8 (or C), so that names stay as they are. 0 or a negative errno.
 */
int pack_new(int fd, struct pack **ret, struct err *e);

/* Frees without finishing. Accepts NULL; returns NULL. */
struct pack *pack_free(struct pack *p);
CLEANUP_FUNC(pack_free, struct pack)

/* Writes the end-of-archive marker and what is buffered. 0 or a negative errno. */
int pack_finish(struct pack *p, struct err *e);

/* A folder, a symlink, and a file from memory. `path` is the whole name in the archive. */
int pack_folder(struct pack *p, const char *path, const struct stat *st, struct err *e);
int pack_symlink(struct pack *p, const char *path, const char *target, const struct stat *st,
		 struct err *e);
int pack_data(struct pack *p, const char *path, const void *data, size_t len, mode_t mode,
	      struct err *e);

/*
 * A regular file, open at fd with `st` of it: st_size bytes of content, holes as holes, or a hard
 * link when its inode is in the archive already. `name` is what messages call it.
 */
int pack_file(struct pack *p, const char *path, int fd, const struct stat *st, const char *name,
	      struct err *e);

/* Entries written and bytes of content read so far. */
uint64_t pack_entries(const struct pack *p);
uint64_t pack_bytes(const struct pack *p);

#endif
