/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Waiting until fewer builds of this user run than may run at a time. */
#ifndef CONTRACTOR_CLI_TURN_H
#define CONTRACTOR_CLI_TURN_H

#include "build.h"

/*
 * Returns true when it is this build's turn: at once, or after a phase "queued" whose place in the
 * queue is told. False when it was interrupted or the queue cannot be read; b->verdict is set then.
 */
bool turn_wait(struct build *b);

#endif
