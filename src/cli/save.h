/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The end of a build: what the worker returned becomes the workspace. */
#ifndef CONTRACTOR_CLI_SAVE_H
#define CONTRACTOR_CLI_SAVE_H

#include "build.h"
#include "disks.h"
#include "kept.h"

/*
 * Unpacks the output disk beside the workspace, over what the worker had mounted, if anything;
 * swaps the two; and keeps the input disk for the next build. A refusal becomes the verdict.
 */
void save_workspace(struct build *b, const struct disks *d, struct kept *k);

#endif
