/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How far a copy is: bytes and rate of the phase that a build is in. */
#ifndef CONTRACTOR_CLI_PROGRESS_H
#define CONTRACTOR_CLI_PROGRESS_H

#include "build.h"

/*
 * Looks at the disks and the last sample, shows the phase on the status line, and with --json tells
 * an event where something is copied. Called some times a second while a build runs; input_rw and
 * output are the disks' descriptors.
 */
void progress_tick(struct build *b, int input_rw, int output);

/* Pure: "copy-in 3.2 s, 120.0 MiB of 1.0 GiB, 45.1 MiB/s"; only the time where nothing is copied.
 */
char *progress_text(const struct build_progress *p, char *out, size_t size);

#endif
