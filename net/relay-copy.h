/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One direction of a relayed connection: bytes from one socket to the other. */
#ifndef CONTRACTOR_NET_RELAY_COPY_H
#define CONTRACTOR_NET_RELAY_COPY_H

#include "relay-private.h"

/* At most RELAY_BUFFER bytes are held: in memory, or in a pipe once much has passed. */
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
void half_done(struct relay *r, struct half *h);

/*
 * Moves what can be moved now; sets *active_ms when something was. 0, -EDQUOT (the total is used
 * up and there was more), or another negative errno: the connection is at its end.
 */
int half_run(struct relay *r, const struct target *t, enum meter_dir d, struct half *h, int from,
	     int to, uint64_t *active_ms);

/* Whether it waits for the source, or for the other side. */
bool half_wants_input(const struct half *h);
bool half_wants_output(const struct half *h);

/* Gives an empty pipe back, for a connection that rests. */
void half_rest(struct relay *r, struct half *h);

#endif
