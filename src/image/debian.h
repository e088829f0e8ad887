/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A Debian system, made of packages in a folder. */
#ifndef CONTRACTOR_IMAGE_DEBIAN_H
#define CONTRACTOR_IMAGE_DEBIAN_H

#include "build.h"
#include "sandbox.h"

/* Debian's and QEMU's names, what the kernel needs to be told, and its metapackage. */
struct debian_arch {
	const char *debian, *qemu, *cmdline, *kernel;
};

/*
 * Is this a request that can be met on this machine? The architecture in *ret; 0, -EINVAL (the
 * request), or -ENOENT (a tool that is missing, and its package).
 */
int debian_check(const struct image_build *b, const struct debian_arch **ret, struct err *e);

/* Makes the folder `tree` and the system in it. 0, -ECHILD (the log says why) or -errno. */
int debian_install(const struct image_build *b, const struct debian_arch *debian,
		   struct sandbox *sandbox, const char *tree, struct err *e);

#endif
