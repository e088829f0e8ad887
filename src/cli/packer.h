/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Filling the input disk in a process of its own, while the worker boots. */
#ifndef CONTRACTOR_CLI_PACKER_H
#define CONTRACTOR_CLI_PACKER_H

#include "archive/input.h"
#include "base/loop.h"

struct packer;

/*
 * Called once: code 0, what was packed (borrowed) and where the archive ends on the disk, or a
 * negative errno and why.
 */
typedef void (*packer_done_fn)(int code, const struct input_result *result, uint64_t end,
			       const struct err *e, void *user_data);

/*
 * Forks and runs input_write_tree(fd, tree). The tree and its descriptors are borrowed for the call
 * only. 0 or a negative errno.
 */
int packer_start(struct loop *l, int fd, const struct input_tree *tree, packer_done_fn fn,
		 void *user_data, struct packer **ret, struct err *e);

/* Kills the process if it still runs. NULL is fine; returns NULL. */
struct packer *packer_free(struct packer *p);
CLEANUP_FUNC(packer_free, struct packer)

#endif
