/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The events of a build for programs: with --json, one JSON object a line on stdout. */
#ifndef CONTRACTOR_CLI_EVENTS_H
#define CONTRACTOR_CLI_EVENTS_H

#include "build.h"

/*
 * Each prints one event as events.schema.json describes it, and does nothing without --json. What
 * comes from the worker is escaped as it is for a terminal.
 */

/* The record is made: where log, report and workspace are. */
void events_start(struct build *b);

/* The build waits for others to end: its place in the queue, from 1. */
void events_queued(struct build *b, uint64_t place, uint64_t running);

void events_worker(struct build *b);
void events_phase(struct build *b, const struct build_phase *p);
void events_progress(struct build *b, const struct build_progress *p);
void events_sample(struct build *b, const struct limits_sample *s);
void events_denied(struct build *b, const struct build_denied *d);

/* The last one: verdict and report. */
void events_end(struct build *b);

#endif
