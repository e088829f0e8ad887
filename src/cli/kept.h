/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The input disk of a workspace, kept from one build to the next, which writes what is new to it.
 */
#ifndef CONTRACTOR_CLI_KEPT_H
#define CONTRACTOR_CLI_KEPT_H

#include "base/buf.h"
#include "base/sha256.h"
#include "build.h"
#include "manager/order.h"

/* KEPT_INIT before use. */
struct kept {
	int store, lock;
	char key[SHA256_HEX_SIZE];
	int fd;			       /* the disk; -1: there was none, or none that is worth it */
	struct buf list;	       /* of its layers, for layer_below */
	char layers[ORDER_LAYERS_MAX]; /* where they are, as the worker is told */
	uint64_t end;		       /* where the next one goes */
};

#define KEPT_INIT                                 \
	{                                         \
		.store = -1, .lock = -1, .fd = -1 \
	}

/*
 * Takes the disk of the build's workspace out of the cache, if there is one; where it is damaged,
 * too large for what is in it, or not to be had, the reason is told and there is none.
 */
void kept_take(struct build *b, const char *cache, struct kept *ret);

/*
 * The build's workspace has been replaced, from what the files of `list` (b->base) have become
 * (struct output_laid each): puts the disk (input_rw, with b->layers on it) into the cache for the
 * next build. What goes wrong is told, and costs the next build time.
 */
void kept_put(struct build *b, struct kept *k, int input_rw, const char *laid, size_t laid_len);

void kept_done(struct kept *k);

#endif
