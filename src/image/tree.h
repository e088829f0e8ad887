/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An unpacked root file system: paths in it are looked up as its own programs would see them. */
#ifndef CONTRACTOR_IMAGE_TREE_H
#define CONTRACTOR_IMAGE_TREE_H

#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "manifest.h"

/* open(2) with `root` as the root folder, also for absolute links. A descriptor or -errno. */
int tree_open(int root, const char *path, int flags, mode_t mode);

/* Reads a regular file of at most max bytes. 0 or a negative errno, the path in e. */
int tree_read(int root, const char *path, size_t max, struct buf *out, struct err *e);

/* Makes the folder, its parents too; 0 also if it is there. */
int tree_mkdir(int root, const char *path, struct err *e);

/* Writes a file anew, its folder being there. 0 or a negative errno. */
int tree_write(int root, const char *path, mode_t mode, const void *data, size_t n, struct err *e);

/*
 * The release of the kernel that is installed in the tree: a folder of /lib/modules for which there
 * is a /boot/vmlinuz-RELEASE. malloc'ed in *ret. 0 or a negative errno.
 */
int tree_kernel_release(int root, char **ret, struct err *e);

/* Puts the installed packages and the package manager's repositories into m. 0 or -errno. */
int tree_packages(int root, struct manifest *m, struct err *e);

#endif
