/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Makes a worker image of a stock cloud image: its disk as it is, and a seed for its cloud-init. */
#ifndef CONTRACTOR_IMAGE_IMPORT_H
#define CONTRACTOR_IMAGE_IMPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct image_import {
	const char *input;	  /* a disk: qcow2 or raw, with a boot sector; only read */
	const char *output;	  /* path of the image; the manifest goes beside it */
	const char *firmware_dir; /* where worker/any-stub is */
	/* told what is done now, a phrase without a full stop, and whether it writes; may be NULL
	 */
	void (*progress)(const char *what, bool writes, void *user_data);
	void *user_data;
};

/*
 * Converts the disk by qemu-img, which is kept from the network and from other files' descriptors,
 * and puts the seed behind it. 0 or a negative errno; -EINVAL where the file is none of the kind,
 * -ENOPKG without qemu-img.
 */
int image_import(const struct image_import *i, struct err *e);

/*
 * A NoCloud seed, an ISO 9660 file system called "cidata", by which cloud-init runs the script at
 * each boot. 0 or a negative errno.
 */
int image_seed(const char *script, size_t len, struct buf *out, struct err *e);

#endif
