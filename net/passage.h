/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The dialer's connections of which it has both ends: the worker's came with the request. */
#ifndef CONTRACTOR_NET_PASSAGE_H
#define CONTRACTOR_NET_PASSAGE_H

#include "base/loop.h"
#include "copy.h"
#include "dial.h"

#define PASSAGES_MAX 2048

struct passage;

struct passages {
	struct loop *loop;
	struct copier *copier; /* without limits: a relay that has some passes bytes by itself */
	int fd;		       /* to whom is told; borrowed */
	/* The worker's end has gone before there was a connection: calls passage_free(). */
	void (*hung_up)(void *owner);
	/* from here on its own */
	struct loop_source *timer;
	bool soon; /* the timer is set for a report */
	struct passage *list;
	size_t n;
};

/* Begins with the members above set. 0 or a negative errno. */
int passages_init(struct passages *all);

/* Resets all. */
void passages_done(struct passages *all);

/*
 * One that waits for its connection, under the request's id; `owner` is who is told of a hang-up.
 * consume_fd must be a TCP socket (-EBADF), which is all that is believed of it. 0, -EBUSY
 * (PASSAGES_MAX), or another negative errno.
 */
int passage_new(struct passages *all, uint32_t id, int consume_fd, void *owner,
		struct passage **ret);

/*
 * The connection is there: bytes pass from now on, and the passage is nobody's but the list's. The
 * reply is sent a little later, with what has passed until then.
 */
void passage_open(struct passage *p, const struct dial_reply *reply, int consume_fd);

/* Resets one that waits. Accepts NULL; returns NULL. */
struct passage *passage_free(struct passage *p);

/* Resets the open one of that id; its end is told. False: there is none. */
bool passages_cancel(struct passages *all, uint32_t id);

#endif
