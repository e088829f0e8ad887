/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The queue of a user's builds: so many run at a time, the others wait in the order they came. */
#ifndef CONTRACTOR_CLI_JOBS_H
#define CONTRACTOR_CLI_JOBS_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * A place in the queue: a file STATE/jobs/NUMBER that its holder has locked. The kernel drops the
 * lock with the holder, however that ends, so that a dead one's place is free at once.
 */
struct jobs {
	char *dir;
	uint64_t number;
	int fd; /* locked while this is held */
};

#define JOBS_INIT        \
	{                \
		.fd = -1 \
	}

/* Takes the last place of the queue, with the build's id written into it. 0 or a negative errno. */
int jobs_enter(const char *state_dir, const char *id, struct jobs *ret, struct err *e);

/* How many stand before: the holder may run while that is below its limit. Removes dead places. */
int jobs_before(const struct jobs *j, uint64_t *ret, struct err *e);

/* The ids of all that are in the queue now, in order, each NUL-terminated, one after the other. */
int jobs_list(const char *state_dir, struct buf *out, struct err *e);

/* Gives the place up. */
void jobs_done(struct jobs *j);

/* How many may run when nobody has said: the processors that this process may use. */
uint64_t jobs_default(void);

#endif
