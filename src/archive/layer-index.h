/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Finds the entries of a layer's list by their paths. */
#ifndef CONTRACTOR_ARCHIVE_LAYER_INDEX_H
#define CONTRACTOR_ARCHIVE_LAYER_INDEX_H

#include "layer.h"

/* What is known of one entry besides the list. */
struct layer_mark {
	size_t at; /* of the entry in the list, plus 1; 0: a free slot */
	uint32_t hash;
	bool seen;    /* of the list below: the walk has come by it */
	bool written; /* it is in the new image */
};

/* A zeroed struct is empty. The list is borrowed, and may grow. */
struct layer_index {
	const struct buf *list;
	struct layer_mark *slots; /* open addressing, a power of two */
	size_t n_slots, used;
};

void layer_index_done(struct layer_index *x);

/* Adds the entry of that path, at `at`, not seen. 0 or -ENOMEM. */
int layer_index_add(struct layer_index *x, const char *path, size_t at, bool written);

/* The mark of a path (len bytes), or NULL; and, if ret is not NULL, the entry. */
struct layer_mark *layer_index_find(const struct layer_index *x, const char *path, size_t len,
				    struct layer_entry *ret);

#endif
