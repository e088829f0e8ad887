/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Unpacking as it runs, and its first half: the base, which goes down before the archive is read.
 */
#ifndef CONTRACTOR_ARCHIVE_LAY_H
#define CONTRACTOR_ARCHIVE_LAY_H

#include <stdbool.h>
#include <sys/stat.h>

#include "extract.h"
#include "layer.h"
#include "place.h"

#define EXTRACT_CHUNK (256 * KIB)

struct extract {
	const struct extract_job *job;
	struct extract_result *ret;
	struct err *e;
	struct archive *a;
	struct place place;
	struct filter_plan plan;
	struct timespec mtime;
	struct buf links; /* to be settled at the end: kind, path, target, NUL-terminated each */
	char name[320];	  /* the present entry, for messages */

	struct output_laid laid_now;
	const struct layer_entry *from; /* the present entry of the base, while that is laid */
	bool over;			/* the base is laid: what is in the way goes */
	struct output_limits allowed;	/* what the sums may come to on the way */

	char *chunk;
	uint64_t offset; /* of the next read */
	int read_error;
	bool any;	 /* the archive has had an entry */
	bool at_end;	 /* the source has no more */
	bool zeros_last; /* the last block read was the end-of-archive kind */
};

/* extract.c: one entry, of the archive or of the base. 0 or a negative errno with x->e set. */
int extract_put(struct extract *x, const struct filter_entry *fe);

/* Adds to the sums; -E2BIG over what is allowed. */
int extract_count(struct extract *x, uint64_t entries, uint64_t data, uint64_t apparent);

/* A negative errno of the writer's side as the archive's fault or as the host's. */
int extract_write_failed(struct extract *x, int code);

/* lay.c: all of the job's base, so that the archive may then change it. */
int lay_base(struct extract *x);

/* True when the present file of the base has become a link to its copy; its code is in *ret. */
bool lay_link(struct extract *x, uint64_t before, int *ret);

/* The content of the present file of the base. Holes stay holes. */
int lay_content(struct extract *x, int fd);

/* What the present file of the base has become, and its bytes: what the sum is over `before`. */
int lay_note(struct extract *x, const struct stat *st, uint64_t before, bool is_link);

#endif
