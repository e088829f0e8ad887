/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The distribution's kernel for virtual machines: fetched and unpacked, never installed. */
#ifndef CONTRACTOR_IMAGE_DEBIAN_KERNEL_H
#define CONTRACTOR_IMAGE_DEBIAN_KERNEL_H

#include <stdbool.h>

#include "base/err.h"

/*
 * The package (a .deb) in folder `dir`, malloc'ed into *ret: the one that is there, or, where there
 * is none or `again` is set, the newest from the sources that this machine's apt is configured
 * with, checked by its keys. Everything apt writes goes below `dir`; older packages there are
 * removed. Needs no root. 0, -ENOENT (no apt here, with what to do instead) or a negative errno.
 */
int debian_kernel_fetch(const char *dir, bool again, char **ret, struct err *e);

/*
 * Unpacks the package into the folder `into`. *ret_kernel and *ret_modules get the malloc'ed paths
 * of the kernel and of its folder of modules. 0 or a negative errno.
 */
int debian_kernel_unpack(const char *deb, const char *into, char **ret_kernel, char **ret_modules,
			 struct err *e);

/* Pure: the first dependency named linux-image-* in the text of `apt-cache depends`; or NULL. */
char *debian_kernel_package(const char *depends);

#endif
