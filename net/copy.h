/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One direction of a connection that is passed on: bytes from one socket to the other. */
#ifndef CONTRACTOR_NET_COPY_H
#define CONTRACTOR_NET_COPY_H

#include "meter.h"

#define COPY_BUFFER    65536 /* bytes held for one direction of one connection, at most */
#define COPY_PIPES_MAX 64    /* directions that are spliced at once; the others are copied */

/* What all directions of one process share. */
struct copier {
	struct meter meter;
	size_t pipes;		     /* in use */
	uint8_t buffer[COPY_BUFFER]; /* what is being copied; what cannot go on is kept apart */
};

/* At most COPY_BUFFER bytes are held: in memory, or in a pipe once much has passed. */
struct half {
	uint8_t *rest; /* read, but not yet taken by the other side; NULL: nothing */
	size_t rest_off, rest_len;
	int pipe[2]; /* -1: copying */
	size_t piped;
	unsigned full;	/* whole buffers read in a row */
	bool no_splice; /* these sockets refuse it */
	bool eof;	/* the source has ended */
	bool shut;	/* and the other side has been told */
	bool throttled; /* waits for the bucket */
};

void half_init(struct half *h);
void half_done(struct copier *c, struct half *h);

/*
 * Moves what can be moved now, and adds it to *count. 0, -EDQUOT (the total is used up and there
 * was more), or another negative errno: the connection is at its end. `back` is the other
 * direction: a source that is gone altogether before it was told of an end is a reset.
 */
int half_run(struct copier *c, enum meter_dir d, struct half *h, const struct half *back, int from,
	     int to, uint64_t *count);

/* Whether it waits for the source, or for the other side. */
bool half_wants_input(const struct half *h);
bool half_wants_output(const struct half *h);

/* Gives an empty pipe back, for a connection that rests. */
void half_rest(struct copier *c, struct half *h);

/* True if both directions of the socket are shut: its peer is closed, or soon will be. */
bool copy_hung_up(int fd);

#endif
