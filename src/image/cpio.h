/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Writes the "newc" archives that Linux unpacks as its initramfs. */
#ifndef CONTRACTOR_IMAGE_CPIO_H
#define CONTRACTOR_IMAGE_CPIO_H

#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"

/* An archive that grows in memory; the same entries always give the same bytes. */
struct cpio {
	struct buf out;
	uint32_t entries;
};

/*
 * Appends a folder, a regular file of n bytes, a symbolic link, or a character device, owned by
 * root. A parent must come before what it holds. 0, -ENOMEM, or -E2BIG over the buffer's cap.
 */
int cpio_add_dir(struct cpio *c, const char *path);
int cpio_add_file(struct cpio *c, const char *path, mode_t mode, const void *data, size_t n);
int cpio_add_link(struct cpio *c, const char *path, const char *target);
int cpio_add_char_device(struct cpio *c, const char *path, mode_t mode, unsigned int major,
			 unsigned int minor);

/* Appends the trailer; the archive is then in c->out. 0, -ENOMEM or -E2BIG. */
int cpio_end(struct cpio *c);

void cpio_done(struct cpio *c);

#endif
