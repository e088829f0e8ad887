/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The list of undecided links: kind, path and target of each, NUL-terminated. */
#include "links.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <sys/syscall.h>

struct link {
	const char *path, *target;
	enum filter_link kind;
	bool there; /* what stands for it has not been removed or replaced */
};

int links_add(struct buf *links, enum filter_link kind, const char *path, const char *target)
{
	int r = buf_putc(links, kind == FILTER_LINK_CHECK ? 'c' : 'o');

	if (r == 0)
		r = buf_put(links, path, strlen(path) + 1);
	if (r == 0)
		r = buf_put(links, target, strlen(target) + 1);
	return r;
}

/* Reads the one at `at`; what is behind it. */
static const char *read_link(const char *at, struct link *ret)
{
	ret->kind = *at == 'c' ? FILTER_LINK_CHECK : FILTER_LINK_OUTSIDE;
	ret->path = at + 1;
	ret->target = ret->path + strlen(ret->path) + 1;
	return ret->target + strlen(ret->target) + 1;
}

/*
 * The last ones first: where a path comes twice the last link counts, and the one before it, like
 * one whose place something else has taken since, finds no placeholder any more.
 */
static int take_placeholders(struct place *place, struct link *l, size_t n)
{
	while (n-- > 0) {
		int r = place_unlink(place, l[n].path, LINKS_PLACEHOLDER);

		if (r < 0)
			return r;
		l[n].there = r > 0;
	}
	return 0;
}

/* True if the link at `path` would lead to something in the workspace, on the disk as it is. */
static bool leads_inside(const struct place *place, const char *path, const char *target)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC,
			       .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
	char full[FILTER_PATH_MAX + FILTER_TARGET_MAX + 2];
	const char *slash = strrchr(path, '/');
	int len = slash ? (int)(slash - path) + 1 : 0;
	_cleanup_close_ int fd = -1;

	(void)snprintf(full, sizeof(full), "%.*s%s", len, path, target);
	fd = (int)syscall(SYS_openat2, place->levels[0].fd, full, &how, sizeof(how));
	return fd >= 0;
}

static int settle(struct place *place, const struct link *l, struct buf *outside)
{
	const struct timespec now = {.tv_nsec = UTIME_NOW};

	if (l->kind == FILTER_LINK_CHECK && leads_inside(place, l->path, l->target))
		return place_symlink(place, l->path, l->target, &now);
	if (buf_put(outside, l->path, strlen(l->path) + 1) < 0 ||
	    buf_put(outside, l->target, strlen(l->target) + 1) < 0)
		return -ENOMEM;
	return 0;
}

int links_settle(const struct buf *links, struct place *place, struct buf *outside)
{
	_cleanup_free_ struct link *l = NULL;
	const char *at = links->data;
	size_t n = 0;
	int r;

	for (size_t i = 0; i < links->len; i++)
		n += links->data[i] == '\0';
	n /= 2;
	if (n == 0)
		return 0;
	l = calloc(n, sizeof(*l));
	if (!l)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		at = read_link(at, &l[i]);
	r = take_placeholders(place, l, n);
	for (size_t i = 0; i < n && r == 0; i++) {
		if (l[i].there)
			r = settle(place, &l[i], outside);
	}
	return r;
}
