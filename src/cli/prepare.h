/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The prepare phase: a worker of its own runs the spec's play, and leaves a layer for the build's.
 */
#ifndef CONTRACTOR_CLI_PREPARE_H
#define CONTRACTOR_CLI_PREPARE_H

#include "build.h"

/*
 * The rules that hold in a phase. Where a play is run, each phase has a worker, and so a list, of
 * its own: prepare those of the spec that name it and, unless the spec says otherwise, those for
 * the image's package repositories; build those that name it. Else all of the spec's. The caller
 * frees *ret. 0 or a negative errno.
 */
int prepare_rules(const struct build *b, enum net_phase phase, struct net_rule **ret, size_t *ret_n,
		  struct err *e);

/*
 * Runs the play. True: *ret_layer is the disk that the build's worker has between the image and its
 * own changes, open for reading. False: b->verdict says why not.
 */
bool prepare_run(struct build *b, const char *cache, int *ret_layer);

#endif
