/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Filling the input disk in a process of its own, while the worker boots. */
#ifndef CONTRACTOR_CLI_PACKER_H
#define CONTRACTOR_CLI_PACKER_H

#include "archive/input.h"
#include "base/loop.h"

struct packer;

/* The workspace as a layer, where on the disk it begins, and what is below it. */
struct packer_layer {
	uint64_t at;
	struct layer_below below;
};

/*
 * Called once: code 0, what was packed (borrowed, or taken and zeroed) and where the archive ends
 * on the disk, or a negative errno and why. For code 0 the error's text says why there is no layer.
 */
typedef void (*packer_done_fn)(int code, struct input_result *result, uint64_t end,
			       const struct err *e, void *user_data);

/*
 * Forks and runs input_write_tree(fd, tree), or input_write_layer if layer is not NULL. The tree
 * and its descriptors are borrowed for the call only. 0 or a negative errno.
 */
int packer_start(struct loop *l, int fd, const struct input_tree *tree,
		 const struct packer_layer *layer, packer_done_fn fn, void *user_data,
		 struct packer **ret, struct err *e);

/* Kills the process if it still runs. NULL is fine; returns NULL. */
struct packer *packer_free(struct packer *p);
CLEANUP_FUNC(packer_free, struct packer)

#endif
