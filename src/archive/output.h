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

struct output_result {
	uint64_t entries;
	uint64_t bytes;
	struct buf outside_links; /* "path\0target\0" each: links that point out, not created */
};

/*
 * Unpacks what the archive at fd has below workspace/ into the folder `name`, which it makes (0700,
 * it must not exist) in parent_fd. Runs in a forked process that has no capabilities, no new
 * privileges, and where the kernel has Landlock no file access but that folder. On any refusal the
 * folder is removed again and e names the entry and the rule; -E2BIG when a limit was the reason
 * (then limit_hit is "output" or "files"), -EBADMSG for a hostile or broken archive, -ENODATA when
 * it holds no workspace at all. deadline_ms bounds the whole; -ETIMEDOUT names it.
 */
int output_extract(int fd, const struct output_limits *limits, int parent_fd, const char *name,
		   uint64_t deadline_ms, struct output_result *ret, const char **ret_limit_hit,
		   struct err *e);

/* Puts `fresh` in the place of `name` (both in parent_fd), the old tree then being at `fresh`. */
int output_swap(int parent_fd, const char *fresh, const char *name, struct err *e);

/* Removes a tree without following links. 0 also if it is not there. */
int output_remove_tree(int parent_fd, const char *name, struct err *e);

#endif
