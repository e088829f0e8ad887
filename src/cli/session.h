/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The command line's side of one manager: from its start to its end message. */
#ifndef CONTRACTOR_CLI_SESSION_H
#define CONTRACTOR_CLI_SESSION_H

#include "build.h"
#include "kept.h"
#include "manager/order.h"

/* What one manager does: the play of a spec, or its build. Descriptors and rules are borrowed. */
struct session_job {
	enum order_template template; /* and its files, when it is not NONE */
	int memory, state;
	bool prepare; /* the play, whose changes are on the scratch disk afterwards */
	int input_rw; /* for the packer */
	/* the worker mounts its workspace, and returns what it changes; what there is of it, or
	 * NULL */
	const struct kept *kept;
	int input, output, scratch;
	int layer; /* what the play has prepared, -1: nothing */
	uint64_t scratch_full_at;
	const struct net_rule *rules; /* none: the worker has no network device */
	size_t n_rules;
	int files; /* of the play: a folder */
};

/*
 * Starts a manager, packs the input while the worker boots, shows and logs what comes, and returns
 * with b->verdict set as far as the worker decides it. What an earlier session of the build has
 * used (b->spent) counts for its limits. Bounded by the time limit, the boot deadline and the
 * manager's own deadlines together.
 */
void session_run(struct build *b, const struct session_job *job);

/*
 * session-home.c: b->manager and b->manager_fd, the image of a nested home, made now if need be. It
 * is looked for once in a build, whose sessions all use the same. 0 or a negative errno.
 */
int session_manager_image(struct build *b, struct err *e);

#define SESSION_WISH_MAX 120

/*
 * session-shell.c: the line by which the worker knows that, when and on what terminal it is to open
 * a shell, in out; NULL when nobody wants one.
 */
const char *session_shell_wish(const struct build *b, char out[SESSION_WISH_MAX]);

#endif
