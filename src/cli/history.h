/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The past and running builds of a user, as their folders tell of them. */
#ifndef CONTRACTOR_CLI_HISTORY_H
#define CONTRACTOR_CLI_HISTORY_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

/* Ids, oldest first; owned. */
struct history {
	char **id;
	size_t n;
};

/* One build. Owns all; HISTORY_BUILD_INIT. */
struct history_build {
	char id[32];
	char *dir;
	bool running;	 /* its process lives: queued or at work */
	cJSON *report;	 /* NULL: it has none (yet) */
	char *spec;	 /* the spec file, "" where nobody has written it down */
	char phase[16];	 /* the last one that was begun, "" for none */
	uint64_t began;	 /* seconds since 1970, 0: not known */
	uint64_t phased; /* when that phase began, likewise */
};

/* Reads the ids of all builds. No folder yet is an empty list. 0 or a negative errno. */
int history_list(const char *state_dir, struct history *ret, struct err *e);
void history_done(struct history *h);

/*
 * Finds the id that `word` means: a whole one or a beginning of one that is unique; NULL or "last"
 * the latest. Points into h. 0, or -ENOENT or -EINVAL with a sentence.
 */
int history_find(const struct history *h, const char *word, const char **ret, struct err *e);

/* Reads one build. 0, -ENOENT when it is gone, or a negative errno. */
int history_open(const char *state_dir, const char *id, struct history_build *ret, struct err *e);
void history_build_done(struct history_build *b);

/* "running", "queued", a verdict, or "killed": it ended without a report. */
const char *history_state(const struct history_build *b);

/* Removes the folder of a build that is not running. 0 or a negative errno. */
int history_remove(const char *state_dir, const char *id, struct err *e);

#endif
