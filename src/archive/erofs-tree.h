/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The names of an image that is being written: which there are, and in which folder. */
#ifndef CONTRACTOR_ARCHIVE_EROFS_TREE_H
#define CONTRACTOR_ARCHIVE_EROFS_TREE_H

#include <stdint.h>

#include "base/buf.h"

#define EROFS_NAME_MAX	  255
#define EROFS_ENTRIES_MAX (1U << 28)

/* The types of a directory entry as they are on disk. */
enum erofs_type {
	EROFS_TYPE_FILE = 1,
	EROFS_TYPE_FOLDER = 2,
	EROFS_TYPE_DEVICE = 3,
	EROFS_TYPE_SYMLINK = 7,
};

/* One name in one folder; "." and ".." are names like others. Folders are counted from 0, the root.
 */
struct erofs_item {
	uint64_t where;	 /* of a folder its number, of all else what the owner of the tree puts here
			  */
	uint64_t name;	 /* where it begins in names */
	uint32_t parent; /* the number of its folder */
	uint8_t len;
	uint8_t type;
};

/* To be made by erofs_tree_init(); zeroed it can be done away with. */
struct erofs_tree {
	struct buf items; /* of struct erofs_item, in the order they came in */
	struct buf names; /* without NULs */
	uint32_t *slots;  /* open addressing, a power of two: the item's index plus 1 */
	size_t n_slots;
	size_t used;
	uint64_t key[2]; /* so that nobody can choose names that fall together */
};

/* 0 or a negative errno. */
int erofs_tree_init(struct erofs_tree *t);
void erofs_tree_done(struct erofs_tree *t);

static inline struct erofs_item *erofs_tree_items(const struct erofs_tree *t)
{
	return (struct erofs_item *)(void *)t->items.data;
}

static inline uint32_t erofs_tree_count(const struct erofs_tree *t)
{
	return (uint32_t)(t->items.len / sizeof(struct erofs_item));
}

/*
 * Adds the name at the path's end, `where` being 0; *ret is its index. -ENOENT or -ENOTDIR: there
 * is no such folder to be in; -EEXIST; -EINVAL: no path; -ENAMETOOLONG; -EFBIG: too many names;
 * -ENOMEM.
 */
int erofs_tree_add(struct erofs_tree *t, const char *path, enum erofs_type type, uint32_t *ret);

/* Gives a folder its "." and "..". */
int erofs_tree_add_dots(struct erofs_tree *t, uint32_t folder, uint32_t parent);

/*
 * Every index, folder by folder and sorted by name in each: those of folder i begin at first[i],
 * and first[folders] is the count. `order` has room for all, `first` for folders + 1.
 */
void erofs_tree_sort(const struct erofs_tree *t, uint32_t folders, uint32_t *order,
		     uint32_t *first);

#endif
