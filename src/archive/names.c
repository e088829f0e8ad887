/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading and sorting the names of a folder. */
#include "names.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

/* A folder of more names than these bytes hold is refused. */
#define NAMES_TEXT_MAX (1 * GIB)

void names_done(struct names *l)
{
	free(l->list);
	buf_done(&l->text);
	*l = (struct names){0};
}

static int add(struct names *l, const char *name, unsigned int in)
{
	size_t at = l->text.len;

	if (l->n == l->size) {
		size_t size = l->size ? l->size * 2 : 64;
		struct name *list = reallocarray(l->list, size, sizeof(*list));

		if (!list)
			return -ENOMEM;
		l->list = list;
		l->size = size;
	}
	l->text.cap = NAMES_TEXT_MAX;
	l->list[l->n++] = (struct name){.text = at, .in = in};
	return buf_put(&l->text, name, strlen(name) + 1);
}

int names_read(struct names *l, int dirfd, unsigned int in)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = 0;
	DIR *d;

	if (fd < 0)
		return -errno;
	d = fdopendir(fd);
	if (!d) {
		r = -errno;
		(void)close(fd);
		return r;
	}
	while (r == 0) {
		struct dirent *de;

		errno = 0;
		de = readdir(d);
		if (!de) {
			r = -errno;
			break;
		}
		if (strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0)
			r = add(l, de->d_name, in);
	}
	(void)closedir(d);
	return r;
}

static int compare(const void *a, const void *b, void *user_data)
{
	const char *text = user_data;

	return strcmp(text + ((const struct name *)a)->text, text + ((const struct name *)b)->text);
}

void names_sort(struct names *l)
{
	size_t kept = 0;

	if (l->n == 0)
		return;
	qsort_r(l->list, l->n, sizeof(*l->list), compare, l->text.data);
	for (size_t i = 1; i < l->n; i++) {
		if (strcmp(names_get(l, kept), names_get(l, i)) == 0)
			l->list[kept].in |= l->list[i].in;
		else
			l->list[++kept] = l->list[i];
	}
	l->n = kept + 1;
}
