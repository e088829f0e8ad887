/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The "newc" format, Documentation/driver-api/early-userspace/buffer-format.rst of Linux. */
/*
 *   "070701" ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize
 *   check     13 numbers of 8 hex digits each
 *   name NUL  padded with NULs to a multiple of 4 bytes, the header counted
 *   data      padded likewise
 *
 * The last entry is called TRAILER!!!.
 */
#include "cpio.h"

#include <errno.h>
#include <sys/stat.h>

#define CPIO_ALIGN 4

static int pad(struct cpio *c)
{
	int r = 0;

	while (r == 0 && c->out.len % CPIO_ALIGN != 0)
		r = buf_putc(&c->out, '\0');
	return r;
}

/* A device's number; 0:0 for all else. */
struct device {
	unsigned int major, minor;
};

static int add(struct cpio *c, const char *path, mode_t mode, struct device dev, const void *data,
	       size_t n)
{
	size_t name = strlen(path) + 1;
	int r;

	if (n > UINT32_MAX)
		return -E2BIG;
	r = buf_printf(&c->out, "070701%08X%08X%08X%08X%08X%08X%08zX%08X%08X%08X%08X%08zX%08X",
		       ++c->entries, (unsigned int)mode, 0, 0, S_ISDIR(mode) ? 2 : 1, 0, n, 0, 0,
		       dev.major, dev.minor, name, 0);
	if (r == 0)
		r = buf_put(&c->out, path, name);
	if (r == 0)
		r = pad(c);
	if (r == 0 && n > 0)
		r = buf_put(&c->out, data, n);
	return r == 0 ? pad(c) : r;
}

int cpio_add_dir(struct cpio *c, const char *path)
{
	return add(c, path, S_IFDIR | 0755, (struct device){0}, NULL, 0);
}

int cpio_add_file(struct cpio *c, const char *path, mode_t mode, const void *data, size_t n)
{
	return add(c, path, S_IFREG | mode, (struct device){0}, data, n);
}

int cpio_add_link(struct cpio *c, const char *path, const char *target)
{
	return add(c, path, S_IFLNK | 0777, (struct device){0}, target, strlen(target));
}

int cpio_add_char_device(struct cpio *c, const char *path, mode_t mode, unsigned int major,
			 unsigned int minor)
{
	return add(c, path, S_IFCHR | mode, (struct device){major, minor}, NULL, 0);
}

int cpio_end(struct cpio *c)
{
	return add(c, "TRAILER!!!", 0, (struct device){0}, NULL, 0);
}

void cpio_done(struct cpio *c)
{
	buf_done(&c->out);
	c->entries = 0;
}
