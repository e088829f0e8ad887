/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What each file of a base was counted with, so that no more is taken off when it goes. */
#ifndef CONTRACTOR_ARCHIVE_COUNTED_H
#define CONTRACTOR_ARCHIVE_COUNTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/* By inode, all on one file system. A zeroed struct is an empty map. */
struct counted {
	struct counted_file *slots; /* open addressing, a power of two */
	size_t n_slots, used;
};

void counted_done(struct counted *c);

/* Adds a file that is not there; `has_copy`: it has a name elsewhere as well. 0 or -ENOMEM. */
int counted_add(struct counted *c, const struct stat *st, uint64_t data, bool has_copy);

/*
 * For a file that has just lost a name, st being from before: true and what it was counted with if
 * it was added and that was its last name here; it is not there any more then.
 */
bool counted_take(struct counted *c, const struct stat *st, uint64_t *ret_data);

#endif
