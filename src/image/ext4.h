/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A file system made of a folder, as small as its content allows. */
#ifndef CONTRACTOR_IMAGE_EXT4_H
#define CONTRACTOR_IMAGE_EXT4_H

#include <stdint.h>

#include "base/err.h"
#include "sandbox.h"

struct ext4_request {
	struct sandbox *sandbox;
	const char *tree; /* the folder; its owners as the sandbox sees them */
	int fd;		  /* the file, which is made anew */
	const char *dir;  /* where it is, for messages and for the space that is free */
	uint64_t max_size;
};

/* The size in bytes in *ret_size. 0, -ENOSPC, -ECHILD (the log says why) or a negative errno. */
int ext4_make(const struct ext4_request *q, uint64_t *ret_size, struct err *e);

#endif
