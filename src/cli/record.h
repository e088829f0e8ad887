/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The folder that every build leaves: log, console, report.json. */
#ifndef CONTRACTOR_CLI_RECORD_H
#define CONTRACTOR_CLI_RECORD_H

#include "base/err.h"

/* Zero it, fds -1 (RECORD_INIT). Owns its strings and descriptors. */
struct record {
	char id[32]; /* 20261124-233257-1a2b3c: local time and a random part */
	char *dir;
	char *log_path, *console_path, *report_path;
	int log_fd;   /* locked: the build lives */
	int state_fd; /* lines of JSON: the spec, then each phase as it begins */
};

#define RECORD_INIT                          \
	{                                    \
		.log_fd = -1, .state_fd = -1 \
	}

/* Makes STATE/builds/ID (0700) with an empty log. 0 or a negative errno. */
int record_new(const char *state_dir, struct record *ret, struct err *e);
/* Writes down what is built, and each phase; a line that cannot be written is one less to show. */
void record_spec(const struct record *r, const char *spec);
void record_phase(const struct record *r, const char *phase);

void record_done(struct record *r);

#endif
