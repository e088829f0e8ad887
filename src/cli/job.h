/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A session's job in the words of the manager and of the packer. */
#ifndef CONTRACTOR_CLI_JOB_H
#define CONTRACTOR_CLI_JOB_H

#include "archive/input.h"
#include "manager/order.h"
#include "session.h"

/* The order, with what the build has left of its limits. It borrows the rules of the job. */
void job_order(const struct build *b, const struct session_job *job, struct order *o);

/* The manager VM around the worker is, or becomes, a template's: else the worker alone, if at all.
 */
bool job_keeps_home(const struct build *b, const struct session_job *job);

/* What is left of the times and of the log, into an order. */
void job_limits_left(const struct build *b, struct order *o);

/* The workspace, the image and the cache. */
#define JOB_SKIP_MAX 3

/*
 * What goes into the worker: the build's workspace and source, or the files of its play. `skip` has
 * room for what is left out; both are borrowed by *t, as is all that the build owns.
 */
void job_tree(const struct build *b, const struct session_job *job, struct input_tree *t,
	      struct input_skip skip[JOB_SKIP_MAX]);

/* What is left of network.bandwidth's total; 0: there is none. */
uint64_t job_total(const struct build *b);

/* Adds what earlier sessions of the build have used to a sample of the present one. */
void job_add_spent(const struct build *b, struct limits_sample *s);

/* A limit's verdict in the figures of the whole build, not of its last session. */
void job_count_spent(const struct build *b, struct verdict *v);

#endif
