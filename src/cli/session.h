/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The command line's side of one manager: from its start to its end message. */
#ifndef CONTRACTOR_CLI_SESSION_H
#define CONTRACTOR_CLI_SESSION_H

#include "build.h"

struct session_files {
	int input_rw; /* for the packer */
	int input, output, scratch;
	uint64_t scratch_full_at;
};

/*
 * Starts a manager, packs the input while the worker boots, shows and logs what comes, and returns
 * with b->verdict set as far as the worker decides it. Bounded by the time limit, the boot deadline
 * and the manager's own deadlines together.
 */
void session_run(struct build *b, const struct session_files *files);

#endif
