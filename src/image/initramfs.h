/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The worker's initramfs: our init, a static busybox and the kernel modules that it loads. */
#ifndef CONTRACTOR_IMAGE_INITRAMFS_H
#define CONTRACTOR_IMAGE_INITRAMFS_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * Makes the archive in `out` from the tree `root`, in which the kernel `release` and busybox-static
 * are installed, and from the files of firmware_fd (init, fstab.*, modules). The same input gives
 * the same bytes. *ret_layers tells whether a worker that boots it can mount layers, which needs
 * the kernel's erofs. 0 or a negative errno.
 */
int initramfs_build(int root, const char *release, int firmware_fd, struct buf *out,
		    bool *ret_layers, struct err *e);

/*
 * Pure: which modules to load, from modules.dep's text and the list of wanted ones (a name a line,
 * # begins a comment). `ret_load` gets their names on one line, `ret_dep` the lines of modules.dep
 * for them and all that they need, sorted; files ending .ko.xz, .ko.zst or .ko.gz there lose the
 * last ending. A wanted module that modules.dep lacks is built in, or of another architecture, and
 * left out. 0, -EBADMSG (a file that modules.dep names as needed but has no line for) or -ENOMEM.
 */
int initramfs_modules(const char *dep, const char *wanted, struct buf *ret_load,
		      struct buf *ret_dep, struct err *e);

/*
 * Pure: true if a kernel has the module: `load` is what initramfs_modules gave, `builtin` the text
 * of modules.builtin.
 */
bool initramfs_has(const char *load, const char *builtin, const char *name);

#endif
