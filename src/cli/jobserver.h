/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The jobserver of GNU make: processors that nobody else of the same make uses now. */
#ifndef CONTRACTOR_CLI_JOBSERVER_H
#define CONTRACTOR_CLI_JOBSERVER_H

#include <stdbool.h>
#include <stdint.h>

#define JOBSERVER_TOKENS_MAX 255

/* Tokens taken from make; given back by jobserver_done. Zeroed with JOBSERVER_INIT. */
struct jobserver {
	int read_fd, write_fd;
	char token[JOBSERVER_TOKENS_MAX];
	uint64_t n;
};

#define JOBSERVER_INIT                        \
	{                                     \
		.read_fd = -1, .write_fd = -1 \
	}

/* How make says where its jobserver is: two descriptors, or the path of a FIFO. */
struct jobserver_auth {
	int read_fd, write_fd; /* -1 where there is a path */
	char path[4096];
};

/* Pure: finds the last --jobserver-auth= (or --jobserver-fds=) in MAKEFLAGS. */
bool jobserver_parse(const char *makeflags, struct jobserver_auth *ret);

/*
 * Takes as many tokens as are free now, at most `max`, without waiting. A process that make has
 * started holds one that it need not take. False when make has no jobserver that can be reached.
 */
bool jobserver_take(const char *makeflags, uint64_t max, struct jobserver *ret);

void jobserver_done(struct jobserver *j);

#endif
