/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The input disk: what goes into the worker, written straight to a descriptor. */
#ifndef CONTRACTOR_ARCHIVE_INPUT_H
#define CONTRACTOR_ARCHIVE_INPUT_H

#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "layer.h"

/*
 * Layout of the disk:
 *
 *   offset 0      first archive: contractor/driver, contractor/recipe, contractor/env, ...
 *                 with its end-of-archive marker, at most INPUT_HEAD_SIZE bytes
 *   offset 1 MiB  workspace/..., the source being workspace/src/...: a second archive, or, for
 *                 workers that can mount it, a layer (layer.h)
 *
 * A tar reader that starts at 0 stops at the first marker, so a stub needs no more than
 * `tar -xf DISK`. Both are POSIX pax; the length of the whole is a multiple of 512 bytes.
 */
#define INPUT_HEAD_SIZE (1 * MIB)

struct input_file {
	const char *name; /* below contractor/ */
	const void *data;
	size_t len;
	mode_t mode;
};

/* A file or folder that is left out of the source wherever it is met (image, workspace, cache). */
struct input_skip {
	dev_t dev;
	ino_t ino;
};

struct input_tree {
	int workspace_fd;	    /* folder of the saved workspace, or -1 for none */
	int source_fd;		    /* folder of the source */
	const char *workspace_name; /* for messages */
	const char *source_name;
	const struct input_skip *skip;
	size_t n_skip;
	const char *old_sources; /* paths that input_write_tree gave for earlier builds, or "" */
	size_t old_sources_len;
	const char *outside_links; /* likewise from output_extract: links to put back in */
	size_t outside_links_len;
};

struct input_result {
	struct buf sources; /* paths of the source, NUL-terminated each; the caller's */
	uint64_t entries;
	uint64_t bytes;	  /* of file content */
	uint64_t skipped; /* sockets, FIFOs and devices, which are left out with a warning */
	/* of input_write_layer; the list, as layer_next reads it, is the caller's */
	uint64_t layer_size, surprises;
	struct buf list;
};

/* Frees what is the caller's. */
void input_result_done(struct input_result *res);

/* Writes the first archive and seeks fd to INPUT_HEAD_SIZE. 0 or a negative errno. */
int input_write_head(int fd, const struct input_file *files, size_t n, struct err *e);

/*
 * Writes the second archive at fd's position: workspace/ and workspace/src/ always; the workspace,
 * but under src/ only what is neither in the source now nor was in it at the last build; and the
 * source. A folder of both is one folder; of anything else the source's takes the place, of
 * whatever type. In the order of a walk that sorts each folder by bytes; uid and gid 0. Links that
 * led outside are put back at the end where nothing has taken their place.
 *
 * A file that cannot be read, vanishes or shrinks while it is read is an error that names it; so is
 * a path that output_extract would refuse for its length or depth. Sockets, FIFOs and devices are
 * left out with a warning. -ENOSPC names the file behind the descriptor. 0 or a negative errno.
 */
int input_write_tree(int fd, const struct input_tree *t, struct input_result *ret, struct err *e);

/*
 * The same as a layer, at offset `at` of fd, where that must be a hole; fd's position is not used.
 * With something below (or NULL) the layer has what is not as that says; then its size may be 0.
 * -EOPNOTSUPP where the tree has hard links among its files, or large holes.
 */
int input_write_layer(int fd, uint64_t at, const struct layer_below *below,
		      const struct input_tree *t, struct input_result *ret, struct err *e);

#endif
