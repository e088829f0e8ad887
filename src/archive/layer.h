/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A workspace as read-only layers of the worker's, with a list of what is in them and where. */
#ifndef CONTRACTOR_ARCHIVE_LAYER_H
#define CONTRACTOR_ARCHIVE_LAYER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/err.h"
#include "erofs.h"
#include "filter.h"

/*
 * A layer is an EROFS image in a descriptor. Nobody on the host mounts it: what is to be had of it
 * afterwards is copied by the list. A first layer has all of a workspace; one above others, in the
 * same descriptor, has what is not as their list says, and whiteouts.
 */
struct layer;

/* The list may have ten million entries. */
#define LAYER_LIST_MAX (2 * GIB)

/*
 * A file on the host, so that it is known again as long as nobody has written to it: any change
 * gives it another time of change (st_ctim), which nobody can set.
 */
struct layer_ident {
	uint64_t dev, ino;
	int64_t seconds; /* st_ctim */
	uint32_t nanoseconds;
	uint32_t valid; /* 0: it is not known, or changed in the very moment in which it was read */
};

/* One entry of the list. Strings are borrowed from it. */
struct layer_entry {
	enum filter_type type;
	mode_t mode;
	struct timespec mtime;
	uint64_t size;
	struct erofs_place place; /* of a file's content */
	bool has_holes;		  /* that are holes there as well */
	bool from_workspace;	  /* the file was the workspace's, not the source's */
	struct layer_ident from;  /* the file that went in */
	struct layer_ident copy;  /* the file in the workspace that has the same content */
	const char *path;	  /* workspace/... */
	const char *target;	  /* of both kinds of links, else "" */
};

/* What there is already: the list of the layers below, borrowed. No list: nothing. */
struct layer_below {
	const char *list;
	size_t len;
	bool verify; /* read what is the same by its list, and compare it all the same */
};

/* Starts a layer at offset `at` of fd, which stays the caller's. 0 or a negative errno. */
int layer_new(int fd, uint64_t at, const struct layer_below *below, struct layer **ret,
	      struct err *e);

/* Frees without finishing. Accepts NULL; returns NULL. */
struct layer *layer_free(struct layer *l);
CLEANUP_FUNC(layer_free, struct layer)

/*
 * Each as the function of the same name in pack.h; a folder comes before what is in it. -EOPNOTSUPP
 * for a second name of a file, and for large holes.
 */
int layer_folder(struct layer *l, const char *path, const struct stat *st, struct err *e);
int layer_symlink(struct layer *l, const char *path, const char *target, const struct stat *st,
		  struct err *e);
int layer_file(struct layer *l, const char *path, int fd, const struct stat *st,
	       bool from_workspace, const char *name, struct err *e);

/* Whether there is something at that path now. */
bool layer_has(const struct layer *l, const char *path);

/* Entries of the workspace, and bytes of content of its files. */
uint64_t layer_entries(const struct layer *l);
uint64_t layer_bytes(const struct layer *l);

/* Files whose content was not what the list said, though nothing else told so: see verify. */
uint64_t layer_surprises(const struct layer *l);

/*
 * Completes the image, of *ret_size bytes (0: there was nothing to write), and gives the list of
 * all layers, which is the caller's.
 */
int layer_finish(struct layer *l, uint64_t *ret_size, struct buf *ret_list, struct err *e);

/*
 * The entry at *at of a list of len bytes, and *at behind it. False at the end, and where the list
 * is cut off or is none.
 */
bool layer_next(const char *list, size_t len, size_t *at, struct layer_entry *ret);

/* Appends an entry to a list. 0 or -ENOMEM. */
int layer_add(struct buf *list, const struct layer_entry *n);

/* Whether a file has the size and time of the entry. */
bool layer_looks_like(const struct layer_entry *n, const struct stat *st);

/* The identity of what `st` is of, valid where it was last changed before `now`. */
struct layer_ident layer_ident_of(const struct stat *st, const struct timespec *now);
bool layer_ident_is(const struct layer_ident *i, const struct stat *st);

/*
 * The clock by which files get their times, which stands still between two ticks, once it is behind
 * all that has been changed so far (some milliseconds): what is changed from now on has a later
 * time of change than that.
 */
struct timespec layer_next_tick(void);

#endif
