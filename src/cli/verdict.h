/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How a build ended, in the words and exit codes that the user gets. */
#ifndef CONTRACTOR_CLI_VERDICT_H
#define CONTRACTOR_CLI_VERDICT_H

#include <stdbool.h>

#include "base/json.h"

/* The values are the exit status of `contractor build`. */
enum verdict_kind {
	VERDICT_BUILT = 0,
	VERDICT_FAILED = 1,
	VERDICT_USAGE = 2,
	VERDICT_LIMIT = 3,
	VERDICT_DENIED = 4,
	VERDICT_INFRASTRUCTURE = 5,
	VERDICT_INTERRUPTED = 130,
};

struct verdict {
	enum verdict_kind kind;
	int exit_code; /* of the build commands, -1: they did not end */
	char reason[ERR_TEXT_MAX];
	char limit[32];		       /* which, when kind is VERDICT_LIMIT */
	uint64_t granted, used, at_ms; /* of that limit; since the worker's start */
	bool cold;		       /* the template's fault: begin again without one */
	bool play;		       /* it is the play's, not the build's */
};

/* "built", "failed", "limit", "denied", "infrastructure", "interrupted", "usage". */
const char *verdict_name(enum verdict_kind k);

/*
 * Pure: the verdict of a manager's end message (run.c), as far as the manager can tell; hostile or
 * incomplete messages give VERDICT_INFRASTRUCTURE.
 */
struct verdict verdict_of_end(const cJSON *end);

/*
 * The same of a manager that ran a play: an exit status that is not 0 gives VERDICT_FAILED with the
 * task that failed, or VERDICT_INFRASTRUCTURE where it says that something could not be fetched.
 */
struct verdict verdict_of_play(const cJSON *end);

/*
 * The same of a manager that was to make a template (save) or use one: VERDICT_BUILT when it is
 * saved, and `cold` where the template is at fault.
 */
struct verdict verdict_of_template(const cJSON *end, bool save);

/* The verdict that a limit was met; `used` in the limit's own unit. */
struct verdict verdict_limit(const char *name, uint64_t granted, uint64_t used, uint64_t at_ms);

/* A verdict of our own making. */
struct verdict verdict_make(enum verdict_kind k, const char *fmt, ...) _printf_(2, 3);

#endif
