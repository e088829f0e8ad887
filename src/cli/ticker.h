/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The live line of a long job that keeps this process busy: a child draws it. */
#ifndef CONTRACTOR_CLI_TICKER_H
#define CONTRACTOR_CLI_TICKER_H

#include <stdbool.h>
#include <sys/types.h>

struct ticker {
	pid_t pid; /* 0: lines only, as without a terminal */
	int fd;
	const char *dir; /* borrowed, until ticker_stop */
};

#define TICKER_INIT                \
	{                          \
		.pid = 0, .fd = -1 \
	}

/*
 * Where stderr is a terminal, starts the child; `dir` is on the file system whose bytes it counts.
 * Without a child ticker_say prints plain lines.
 */
void ticker_start(struct ticker *t, const char *dir);

/*
 * The next step of the job, a phrase: it goes on until the next one, or the end. Where it writes,
 * what the file system has grown by is shown; others may write there too.
 */
void ticker_say(struct ticker *t, const char *what, bool writes);

/* Ends the line; idempotent. */
void ticker_stop(struct ticker *t);

#endif
