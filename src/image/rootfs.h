/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The list of files that an initramfs is made of, and its archive. */
#ifndef CONTRACTOR_IMAGE_ROOTFS_H
#define CONTRACTOR_IMAGE_ROOTFS_H

#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

struct rootfs_entry {
	char *name;		   /* without a leading slash */
	mode_t mode;		   /* with the type */
	char *source;		   /* a regular file's path here, or NULL: its content is in data */
	struct buf data;	   /* content, or a link's target */
	unsigned int major, minor; /* of a character device */
};

/* Zeroed: empty. */
struct rootfs {
	struct rootfs_entry *v;
	size_t n;
};

/*
 * Each adds one entry; a leading slash of the name is dropped. Adding a file a second time with the
 * same source does nothing. 0, -EEXIST (another entry has the name) or -ENOMEM.
 */
int rootfs_add_file(struct rootfs *f, const char *name, mode_t mode, const char *source);
int rootfs_add_data(struct rootfs *f, const char *name, mode_t mode, const void *data, size_t n);
int rootfs_add_link(struct rootfs *f, const char *name, const char *target);
int rootfs_add_dir(struct rootfs *f, const char *name);
int rootfs_add_char_device(struct rootfs *f, const char *name, mode_t mode, unsigned int major,
			   unsigned int minor);

/* Adds the folders that entries lie in, and sorts: each folder before what is in it. 0 or -ENOMEM.
 */
int rootfs_complete(struct rootfs *f);

/* The newc archive of a completed list. 0 or a negative errno with the file's name. */
int rootfs_pack(const struct rootfs *f, struct buf *out, struct err *e);

void rootfs_done(struct rootfs *f);

#endif
