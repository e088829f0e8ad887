/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Makes a Debian worker image from packages: mmdebstrap, mke2fs -d, and our initramfs. */
#ifndef CONTRACTOR_IMAGE_BUILD_H
#define CONTRACTOR_IMAGE_BUILD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct image_build {
	const char *output;	  /* path of the image; the manifest goes beside it */
	const char *suite;	  /* bookworm */
	const char *arch;	  /* Debian's name: amd64 */
	const char *include;	  /* comma-separated packages, "" for none */
	bool ansible;		  /* and those that a spec's play needs */
	const char *mirror;	  /* NULL: mmdebstrap's own default */
	const char *firmware_dir; /* where worker/init, stub, modules and fstab.* are */
	uint64_t size;		  /* at most, of the root file system in bytes */
	int log_fd;		  /* where the tools' output goes */
	/* told what is done now, a phrase without a full stop; may be NULL */
	void (*progress)(const char *what, void *user_data);
	void *user_data;
};

/*
 * Builds into files without a name and gives them theirs at the end, the manifest last; a second
 * build of the same output waits for a lock, and nothing is left of an interrupted one. The root
 * file system is as small as its content allows. 0 or a negative errno; -ECHILD when a tool failed
 * and its output says why.
 */
int image_build(const struct image_build *b, struct err *e);

#endif
