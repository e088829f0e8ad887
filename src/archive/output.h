/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The output disk: a tar from a hostile worker, checked and unpacked by a process without rights.
 */
#ifndef CONTRACTOR_ARCHIVE_OUTPUT_H
#define CONTRACTOR_ARCHIVE_OUTPUT_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct output_limits {
	uint64_t bytes;	  /* content of all files together, as unpacked (holes count) */
	uint64_t entries; /* files, folders and links */
};

/* The layers that the worker had below its workspace, of which it returns the changes. Borrowed. */
struct output_base {
	int fd;		  /* what they were written to */
	const char *list; /* of input_write_layer */
	size_t len;
	int workspace_fd; /* the folder that has the copies of the list; -1: none */
	int laid_fd; /* gets a struct output_laid for each entry of the list, in its order; -1 */
};

/* What became of ten million entries. */
#define OUTPUT_LAID_MAX (400 * MIB)

/* The file that an entry of the base has become. */
struct output_laid {
	uint64_t dev, ino;
	int64_t seconds; /* its time of change, which is another later on where it is a link */
	uint32_t nanoseconds;
	uint32_t is_link; /* to the copy in the workspace; else it was copied */
};

struct output_result {
	uint64_t entries;
	uint64_t bytes;
	struct buf outside_links; /* "path\0target\0" each: links that point out, not created */
};

/*
 * Unpacks what the archive at fd has below workspace/ into the folder `name`, which it makes (0700,
 * it must not exist) in parent_fd. With a base (else NULL) its entries go there first, as links to
 * their copies in the workspace where these are as they were, else by copying; and the archive has
 * what is to be changed in them: an entry replaces what has its path, but a folder a folder's own
 * data alone, and a character device 0:0 removes it with all below. The limits are those of the
 * result. Runs in a forked process that has no capabilities, no new privileges, and where the
 * kernel has Landlock no file access but that folder. On any refusal the folder is removed again
 * and e names the entry and the rule; -E2BIG when a limit was the reason (then limit_hit is
 * "output" or "files"), -EBADMSG for a hostile or broken archive, -ENODATA when it holds no
 * workspace at all. deadline_ms bounds the whole; -ETIMEDOUT names it.
 */
int output_extract(int fd, const struct output_base *base, const struct output_limits *limits,
		   int parent_fd, const char *name, uint64_t deadline_ms, struct output_result *ret,
		   const char **ret_limit_hit, struct err *e);

/* Puts `fresh` in the place of `name` (both in parent_fd), the old tree then being at `fresh`. */
int output_swap(int parent_fd, const char *fresh, const char *name, struct err *e);

/* Removes a tree without following links. 0 also if it is not there. */
int output_remove_tree(int parent_fd, const char *name, struct err *e);

#endif
