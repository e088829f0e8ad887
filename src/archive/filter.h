/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a returned archive may contain: pure rules over one entry, without any input or output. */
#ifndef CONTRACTOR_ARCHIVE_FILTER_H
#define CONTRACTOR_ARCHIVE_FILTER_H

#include <stdint.h>
#include <sys/types.h>

#include "base/macro.h"
#include "output.h"

#define FILTER_TOP	  "workspace" /* the one top folder */
#define FILTER_PATH_MAX	  1024	      /* bytes of a path below the top folder */
#define FILTER_DEPTH_MAX  64	      /* components of such a path */
#define FILTER_NAME_MAX	  255	      /* bytes of one component, as file systems have it */
#define FILTER_TARGET_MAX 4095	      /* bytes of a symlink's target, as Linux has it */
/* A hole costs this part of its size: a sparse file is worth less disk, but not nothing. */
#define FILTER_HOLE_SHARE 16

enum filter_type {
	FILTER_FILE,
	FILTER_FOLDER,
	FILTER_SYMLINK,
	FILTER_HARDLINK,
	FILTER_WHITEOUT, /* a character device 0:0: what is at the path goes */
	FILTER_OTHER,	 /* devices, FIFOs, sockets, and what the parser has no word for */
	_FILTER_TYPE_MAX,
};

/* One entry as the parser gives it. All strings are borrowed, NUL-terminated, maybe NULL. */
struct filter_entry {
	enum filter_type type;
	const char *path;
	const char *target; /* of both kinds of links */
	mode_t mode;
	int64_t size;
};

/* Where a symlink may lead. */
enum filter_link {
	FILTER_LINK_INSIDE,  /* stays in the workspace whatever is on the disk */
	FILTER_LINK_CHECK,   /* lexically inside, but ".." follows a name that may be a link */
	FILTER_LINK_OUTSIDE, /* absolute, or climbs out */
	_FILTER_LINK_MAX,
};

/* What is to be done with an entry that passed. `path` "" is the top folder itself. */
struct filter_plan {
	enum filter_type type;
	enum filter_link link;
	mode_t mode;
	char path[FILTER_PATH_MAX + 1];	  /* below the top folder, no slash at either end */
	char target[FILTER_PATH_MAX + 1]; /* of a hard link, likewise; a symlink's is as given */
};

/* Sums over the archive so far; zero it before the first entry. */
struct filter_sums {
	uint64_t entries;
	uint64_t data;	   /* content without holes */
	uint64_t apparent; /* content with holes */
};

/* What was exceeded, as output_extract names it in ret_limit_hit. */
enum filter_limit {
	FILTER_LIMIT_NONE,
	FILTER_LIMIT_OUTPUT,
	FILTER_LIMIT_FILES,
	_FILTER_LIMIT_MAX,
};

/*
 * Checks one path of the archive and gives what is below the top folder in ret. NULL, or the rule
 * that it breaks as words that follow the path's name in a sentence.
 */
const char *filter_path(const char *path, char ret[FILTER_PATH_MAX + 1]);

/* Checks a path that is already relative to the workspace ("src/a"); NULL, or the broken rule. */
const char *filter_inner_path(const char *path);

/* Where the symlink at `path` (below the top folder) with `target` leads. */
enum filter_link filter_symlink(const char *path, const char *target);

/* Checks one entry and fills the plan. NULL, or the broken rule. */
const char *filter_entry(const struct filter_entry *entry, struct filter_plan *ret);

/* a + b, or the most that there is. */
uint64_t filter_sum(uint64_t a, uint64_t b);

/*
 * Adds one entry, or `data` bytes of content and `apparent` bytes of size, to the sums, and tells
 * which limit is then exceeded. Never overflows.
 */
enum filter_limit filter_count(struct filter_sums *sums, const struct output_limits *limits,
			       uint64_t entries, uint64_t data, uint64_t apparent);

#endif
