/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Opens one name in one folder: never through a link, never another file system's root. */
#ifndef CONTRACTOR_ARCHIVE_BENEATH_H
#define CONTRACTOR_ARCHIVE_BENEATH_H

#include <sys/types.h>

/*
 * Opens `name`, which must be one component or ".", in dirfd: O_NOFOLLOW and O_CLOEXEC are added.
 * The descriptor, or a negative errno: -ELOOP or -ENOTDIR for a symlink, -EXDEV for a mount point.
 */
int beneath_open(int dirfd, const char *name, int flags, mode_t mode);

/* O_PATH on what has a path of several components below dirfd, likewise; -ENOSYS before Linux 5.6.
 */
int beneath_find(int dirfd, const char *path);

#endif
