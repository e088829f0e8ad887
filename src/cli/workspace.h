/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The local workspace folder: its lock, what is remembered of it, and the swap of a new one. */
#ifndef CONTRACTOR_CLI_WORKSPACE_H
#define CONTRACTOR_CLI_WORKSPACE_H

#include <stdbool.h>
#include <sys/types.h>

#include "archive/guard.h"
#include "base/buf.h"
#include "base/err.h"

/* Owns all; WORKSPACE_INIT before use. */
struct workspace {
	char *path;	/* absolute */
	char *name;	/* last component */
	char *state;	/* STATE/workspaces/KEY: sources, outside-links, lock */
	char fresh[64]; /* the name under which a new tree grows beside the old one */
	int parent_fd;
	int lock_fd;
	int fd;				   /* the present folder, -1 when there is none yet */
	struct buf sources, outside_links; /* as the last build left them */
	struct guard *guard;
};

#define WORKSPACE_INIT                                   \
	{                                                \
		.parent_fd = -1, .lock_fd = -1, .fd = -1 \
	}

/* What is called while another build holds the lock; wait_s seconds are allowed in all. */
typedef void (*workspace_wait_fn)(const char *path, void *user_data);

/*
 * Opens the workspace at `path`: parent folders are made, the lock is taken (waiting at most
 * wait_s seconds; the lock goes with its holder, however that ends), the remembered lists are read,
 * and the guard is set. 0, -EBUSY, or a negative errno.
 */
int workspace_open(const char *path, const char *state_dir, unsigned wait_s,
		   workspace_wait_fn waiting, void *user_data, struct workspace *ret,
		   struct err *e);

/*
 * Whether the folder is still in its place. One that was moved away meanwhile is somebody's own: it
 * will not be removed, and must have no file in common with the new one.
 */
bool workspace_is_there(const struct workspace *w);

/*
 * Puts the tree that stands at `fresh` in the workspace's place and remembers the lists. The old
 * tree is removed by workspace_done. 0 or a negative errno, the old workspace then whole.
 */
int workspace_replace(struct workspace *w, const struct buf *sources,
		      const struct buf *outside_links, struct err *e);

/* Removes the old tree now, and waits for it. */
void workspace_settle(struct workspace *w);

void workspace_done(struct workspace *w);

#endif
