/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which inodes with several names are in the archive already, and by which path. */
#ifndef CONTRACTOR_ARCHIVE_INODES_H
#define CONTRACTOR_ARCHIVE_INODES_H

#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"

/* More paths than these bytes hold are not remembered: their files are then written twice. */
#define INODES_PATHS_MAX (16 * MIB)

/* A zeroed struct is an empty map. */
struct inodes {
	struct inodes_slot *slots; /* open addressing, a power of two */
	size_t n_slots, used;
	struct buf paths; /* each with its NUL */
};

void inodes_done(struct inodes *m);

/* The path under which the inode was added, owned by the map until the next change, or NULL. */
const char *inodes_find(const struct inodes *m, dev_t dev, ino_t ino);

/* Adds an inode that is not there. 0, -ENOMEM, or -E2BIG when the map is full. */
int inodes_add(struct inodes *m, dev_t dev, ino_t ino, const char *path);

#endif
