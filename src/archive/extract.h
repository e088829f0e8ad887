/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The loop from archive entry over filter to disk, as it runs in the process without rights. */
#ifndef CONTRACTOR_ARCHIVE_EXTRACT_H
#define CONTRACTOR_ARCHIVE_EXTRACT_H

#include <archive.h>

#include "filter.h"
#include "output.h"

/* More than this many bytes of links that lead out are taken as an attack on memory. */
#define EXTRACT_LINKS_MAX (4 * MIB)

/* Reads the archive's bytes at `offset` like pread. The count, 0 at the end, or negative errno. */
typedef ssize_t (*extract_read_fn)(void *user_data, void *data, size_t n, uint64_t offset);

/*
 * Where the bytes come from, and where the tree goes: -1 checks the archive and writes nothing.
 * With a base, which is laid down first, the archive's entries replace what is at their paths, and
 * whiteouts remove it. A base needs a tree.
 */
struct extract_job {
	extract_read_fn read;
	void *user_data;
	int root_fd;
	struct output_limits limits;
	const struct output_base *base; /* NULL: none */
	/* called before the archive's first byte is read, by who may do more until then; or NULL */
	int (*enter)(void *user_data, struct err *e);
};

struct extract_result {
	struct filter_sums sums;
	enum filter_limit limit_hit;
	struct buf outside_links; /* as in output_result */
};

/*
 * Runs one archive to its end. 0, or as output_extract with the entry and the rule in e. What was
 * written stays for the caller to remove. ret is the caller's to free in either case.
 */
int extract_run(const struct extract_job *job, struct extract_result *ret, struct err *e);

#endif
