/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where an image is put together: a temporary folder, and namespaces in which its owner is root. */
#ifndef CONTRACTOR_IMAGE_SANDBOX_H
#define CONTRACTOR_IMAGE_SANDBOX_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct sandbox;

/* Where images are put together: $TMPDIR if that is an absolute path, or /var/tmp. */
const char *sandbox_parent(void);

/*
 * Makes a folder in sandbox_parent() and starts its keeper: a process that removes the folder,
 * and the files unlink[] (NULL-terminated, absolute paths, borrowed), once this process has ended
 * in whatever way. lock_fd (-1: none) stays open until then. The tools' output goes to log_fd.
 * -EPERM with the command that helps, when the user may not have namespaces with more than one
 * user; else 0 or a negative errno.
 */
int sandbox_new(const char *const *unlink, int lock_fd, int log_fd, struct sandbox **ret,
		struct err *e);

/* The folder's path, owned by the sandbox. */
const char *sandbox_path(const struct sandbox *s);

/*
 * Runs a program with `fd` (-1: none) as its descriptor 3 and waits for it; all that it starts ends
 * with it, or with this process. Its stdout is kept in *out (at most max bytes) or logged (NULL).
 * 0, -ECHILD when it exits otherwise, or a negative errno.
 */
int sandbox_run(struct sandbox *s, const char *const *argv, int fd, struct buf *out, size_t max,
		struct err *e);

/* What the file system at `path` has free for its user; UINT64_MAX if it does not say. */
uint64_t sandbox_space(const char *path);

/* Lets the keeper remove everything, and waits for it. Accepts NULL; returns NULL. */
struct sandbox *sandbox_free(struct sandbox *s);
CLEANUP_FUNC(sandbox_free, struct sandbox)

#endif
