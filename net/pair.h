/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Two stream sockets, each of which gets what the other says, until both have ended. */
#ifndef CONTRACTOR_NET_PAIR_H
#define CONTRACTOR_NET_PAIR_H

#include "base/loop.h"
#include "copy.h"

struct pair;

struct pair_side {
	struct pair *pair;
	int fd;
	struct loop_source *source; /* NULL: nothing to wait for but a hang-up that was seen */
	uint32_t events;
};

/*
 * Part of a larger struct. Side METER_UP is the worker's, where bytes upward come from;
 * halves[d] goes from sides[d] to sides[!d].
 */
struct pair {
	struct loop *loop;
	struct copier *copier;
	bool open; /* both sides are there */
	struct pair_side sides[_METER_DIR_MAX];
	struct half halves[_METER_DIR_MAX];
	uint64_t active_ms; /* last byte, or the start */
	uint64_t count[_METER_DIR_MAX];
	/*
	 * Called after bytes have passed or waited, and once at the end: 0 when both sides have
	 * ended, -EDQUOT when the total is used up, or another negative errno. -EAGAIN: not the
	 * end. At the end it must call pair_done(), and may free the pair.
	 */
	void (*event)(struct pair *p, int code, void *user_data);
	void *user_data;
};

/* One side alone: a hang-up of it is told (-ECONNRESET). The descriptor is taken over. */
int pair_init(struct pair *p, struct loop *l, struct copier *c, int consume_fd,
	      void (*event)(struct pair *p, int code, void *user_data), void *user_data);

/* The other side; bytes pass from now on. The pair may be gone after that. Takes consume_fd. */
void pair_open(struct pair *p, int consume_fd);

/* Goes on after the bucket has been filled. False: the pair has ended and may be gone. */
bool pair_resume(struct pair *p);

/* True if a direction waits for the bucket. */
bool pair_throttled(const struct pair *p);

/* Gives back what a resting pair does not need. */
void pair_rest(struct pair *p);

/* Closes both sides, with RST if that is wanted. */
void pair_done(struct pair *p, bool reset);

/* Closes one descriptor with RST, so that the other end knows at once. */
void pair_reset_fd(int *fd);

#endif
