/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Makes a Debian worker image from packages: mmdebstrap, mke2fs -d, and our initramfs. */
#ifndef CONTRACTOR_IMAGE_BUILD_H
#define CONTRACTOR_IMAGE_BUILD_H

#include <stdint.h>

#include "base/err.h"

struct image_build {
	const char *output;	  /* path of the image; the manifest goes beside it */
	const char *suite;	  /* bookworm */
	const char *arch;	  /* Debian's name: amd64 */
	const char *include;	  /* comma-separated packages, "" for none */
	const char *mirror;	  /* NULL: mmdebstrap's own default */
	const char *firmware_dir; /* where worker/init, worker/stub and worker/modules are */
	uint64_t size;		  /* of the root file system in bytes */
	int log_fd;		  /* where the tools' output goes */
};

/*
 * Builds into temporary names beside the output and renames at the end; a second build of the same
 * output waits for a lock, and nothing is left of an interrupted one. 0 or a negative errno.
 */
int image_build(const struct image_build *b, struct err *e);

#endif
