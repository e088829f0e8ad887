/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A process that outlives a killed caller just long enough to remove what the caller had begun. */
#ifndef CONTRACTOR_ARCHIVE_GUARD_H
#define CONTRACTOR_ARCHIVE_GUARD_H

#include "base/err.h"

struct guard;

/*
 * Starts the guard for the folder `name` in parent_fd. When the caller dies by whatever signal, the
 * guard removes the tree (if there) and exits; it ignores INT, TERM and HUP and is in a session of
 * its own. It keeps lock_fd (-1: none) open until it is through, so that a lock on it lasts as
 * long.
 */
int guard_new(int parent_fd, const char *name, int lock_fd, struct guard **ret, struct err *e);

/* Removes the tree if it is there, ends the guard and waits for it. Accepts NULL; returns NULL. */
struct guard *guard_free(struct guard *g);
CLEANUP_FUNC(guard_free, struct guard)

#endif
