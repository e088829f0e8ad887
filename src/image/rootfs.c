/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Collecting an initramfs' files, in an order that depends on their names alone. */
#include "rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "base/io.h"
#include "cpio.h"

#define FILE_MAX    (256 * MIB)
#define ARCHIVE_MAX (512 * MIB)

static struct rootfs_entry *find(const struct rootfs *f, const char *name)
{
	for (size_t i = 0; i < f->n; i++) {
		if (strcmp(f->v[i].name, name) == 0)
			return &f->v[i];
	}
	return NULL;
}

/* A new entry at the end; its strings are copies. */
static int add(struct rootfs *f, const struct rootfs_entry *like, const void *data, size_t n)
{
	const char *name = like->name + (like->name[0] == '/');
	struct rootfs_entry *v = find(f, name);

	if (v) {
		bool same =
			v->mode == like->mode && v->data.len == n &&
			(n == 0 || memcmp(v->data.data, data, n) == 0) &&
			strcmp(v->source ? v->source : "", like->source ? like->source : "") == 0;

		return same ? 0 : -EEXIST;
	}
	v = reallocarray(f->v, f->n + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	f->v = v;
	v += f->n++;
	*v = *like;
	v->data = (struct buf){0};
	v->name = strdup(name);
	v->source = like->source ? strdup(like->source) : NULL;
	if (!v->name || (like->source && !v->source))
		return -ENOMEM;
	return buf_put(&v->data, data, n);
}

int rootfs_add_file(struct rootfs *f, const char *name, mode_t mode, const char *source)
{
	return add(f,
		   &(struct rootfs_entry){.name = (char *)name,
					  .mode = S_IFREG | mode,
					  .source = (char *)source},
		   NULL, 0);
}

int rootfs_add_data(struct rootfs *f, const char *name, mode_t mode, const void *data, size_t n)
{
	return add(f, &(struct rootfs_entry){.name = (char *)name, .mode = S_IFREG | mode}, data,
		   n);
}

int rootfs_add_link(struct rootfs *f, const char *name, const char *target)
{
	return add(f, &(struct rootfs_entry){.name = (char *)name, .mode = S_IFLNK | 0777}, target,
		   strlen(target));
}

int rootfs_add_dir(struct rootfs *f, const char *name)
{
	return add(f, &(struct rootfs_entry){.name = (char *)name, .mode = S_IFDIR | 0755}, NULL,
		   0);
}

int rootfs_add_char_device(struct rootfs *f, const char *name, mode_t mode, unsigned int major,
			   unsigned int minor)
{
	return add(f,
		   &(struct rootfs_entry){.name = (char *)name,
					  .mode = S_IFCHR | mode,
					  .major = major,
					  .minor = minor},
		   NULL, 0);
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct rootfs_entry *)a)->name,
		      ((const struct rootfs_entry *)b)->name);
}

int rootfs_complete(struct rootfs *f)
{
	size_t n = f->n;

	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *name = strdup(f->v[i].name);
		char *slash;

		if (!name)
			return -ENOMEM;
		while ((slash = strrchr(name, '/'))) {
			int r;

			*slash = '\0';
			r = find(f, name) ? 0 : rootfs_add_dir(f, name);
			if (r < 0)
				return r;
		}
	}
	if (f->n > 0)
		qsort(f->v, f->n, sizeof(*f->v), compare);
	return 0;
}

static int pack_file(struct cpio *c, const struct rootfs_entry *v, struct err *e)
{
	_cleanup_buf_ struct buf content = {.cap = FILE_MAX};
	int r;

	if (!v->source)
		return cpio_add_file(c, v->name, v->mode & 07777, v->data.data, v->data.len);
	r = io_read_file(AT_FDCWD, v->source, FILE_MAX, &content, e);
	return r < 0 ? r : cpio_add_file(c, v->name, v->mode & 07777, content.data, content.len);
}

static int pack_entry(struct cpio *c, const struct rootfs_entry *v, struct err *e)
{
	switch (v->mode & S_IFMT) {
	case S_IFDIR:
		return cpio_add_dir(c, v->name);
	case S_IFLNK:
		return cpio_add_link(c, v->name, buf_str(&v->data));
	case S_IFCHR:
		return cpio_add_char_device(c, v->name, v->mode & 07777, v->major, v->minor);
	default:
		return pack_file(c, v, e);
	}
}

int rootfs_pack(const struct rootfs *f, struct buf *out, struct err *e)
{
	_cleanup_(cpio_done) struct cpio c = {.out.cap = ARCHIVE_MAX};
	int r = 0;

	for (size_t i = 0; i < f->n && r == 0; i++) {
		r = pack_entry(&c, &f->v[i], e);
		if (r < 0)
			return e && e->text[0] ? r
					       : err_errno(e, r, "cannot pack %s", f->v[i].name);
	}
	r = cpio_end(&c);
	if (r < 0)
		return err_errno(e, r, "cannot end the archive");
	*out = c.out;
	c.out = (struct buf){0};
	return 0;
}

void rootfs_done(struct rootfs *f)
{
	for (size_t i = 0; i < f->n; i++) {
		free(f->v[i].name);
		free(f->v[i].source);
		buf_done(&f->v[i].data);
	}
	free(f->v);
	*f = (struct rootfs){0};
}
