/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An index over the list of source paths. */
#include "sources.h"

#include <errno.h>

#include "base/macro.h"

/* Component by component, which is the order of a walk: '/' is below all bytes. */
static int compare_paths(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	if (*a == *b)
		return 0;
	if (!*a || !*b)
		return *a ? 1 : -1;
	if (*a == '/' || *b == '/')
		return *a == '/' ? -1 : 1;
	return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
}

static int compare(const void *a, const void *b)
{
	return compare_paths(*(const char *const *)a, *(const char *const *)b);
}

int sources_init(struct sources *s, const char *list, size_t len)
{
	bool sorted = true;
	size_t n = 0;

	*s = (struct sources){0};
	while (len > 0 && list[len - 1] != '\0')
		len--;
	for (size_t at = 0; at < len; at++)
		n += list[at] == '\0';
	if (n == 0)
		return 0;
	s->paths = calloc(n, sizeof(*s->paths));
	if (!s->paths)
		return -ENOMEM;
	for (size_t at = 0; at < len; at += strlen(list + at) + 1) {
		s->paths[s->n++] = list + at;
		if (s->n > 1 && compare_paths(s->paths[s->n - 2], list + at) > 0)
			sorted = false;
	}
	/* it is in order as input_write_tree writes it; two builds' lists in one are not */
	if (!sorted)
		qsort(s->paths, s->n, sizeof(*s->paths), compare);
	return 0;
}

void sources_done(struct sources *s)
{
	free(s->paths);
	*s = (struct sources){0};
}

bool sources_have(const struct sources *s, const char *path)
{
	return s->n > 0 && bsearch(&path, s->paths, s->n, sizeof(*s->paths), compare) != NULL;
}
