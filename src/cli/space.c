/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Disks are holes until a build fills them: the room is counted at the start, and then watched. */
#include "space.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/num.h"

#define RESERVE_MAX   (256 * MIB)
#define RESERVE_SHARE 20

static int read_free(struct space_fs *f)
{
	struct statvfs v;

	if (statvfs(f->path, &v) < 0)
		return -errno;
	f->total = (uint64_t)v.f_blocks * v.f_frsize;
	f->free = (uint64_t)v.f_bavail * v.f_frsize;
	return 0;
}

int space_look(const struct space_use *uses, size_t n, struct space *ret, struct err *e)
{
	struct space s = {.n = 0};

	for (size_t i = 0; i < n; i++) {
		struct stat st;
		size_t at = 0;
		int r;

		if (stat(uses[i].path, &st) < 0)
			return err_errno(e, -errno, "%s", uses[i].path);
		while (at < s.n && s.fs[at].dev != st.st_dev)
			at++;
		if (at == SPACE_MAX)
			return err_set(e, -E2BIG, "too many file systems");
		if (at == s.n) {
			s.fs[s.n++] = (struct space_fs){.path = uses[i].path, .dev = st.st_dev};
			r = read_free(&s.fs[at]);
			if (r < 0)
				return err_errno(e, r, "%s: cannot see how much is free",
						 uses[i].path);
		}
		s.fs[at].worst = uses[i].worst > UINT64_MAX - s.fs[at].worst
					 ? UINT64_MAX
					 : s.fs[at].worst + uses[i].worst;
	}
	*ret = s;
	return 0;
}

void space_refresh(struct space *s)
{
	for (size_t i = 0; i < s->n; i++)
		(void)read_free(&s->fs[i]);
}

uint64_t space_reserve(const struct space_fs *f)
{
	return MIN(f->total / RESERVE_SHARE, RESERVE_MAX);
}

int space_check(const struct space *s, struct err *e)
{
	char left[NUM_TEXT_MAX], reserve[NUM_TEXT_MAX];

	for (size_t i = 0; i < s->n; i++) {
		const struct space_fs *f = &s->fs[i];

		if (f->free < space_reserve(f))
			return err_set(
				e, -ENOSPC,
				"%s: only %s are free on this disk of the host, and %s of it "
				"are left alone by builds; make room there, or move the folder",
				f->path, format_size(f->free, left),
				format_size(space_reserve(f), reserve));
	}
	return 0;
}

const struct space_fs *space_worst(const struct space *s, struct err *e)
{
	char left[NUM_TEXT_MAX], worst[NUM_TEXT_MAX];

	for (size_t i = 0; i < s->n; i++) {
		const struct space_fs *f = &s->fs[i];
		uint64_t reserve = space_reserve(f);

		if (f->free >= reserve && f->worst <= f->free - reserve)
			continue;
		err_set(e, -ENOSPC,
			"%s: has %s free, and a build that uses all it was granted needs %s there; "
			"it "
			"is stopped before the disk is full",
			f->path, format_size(f->free, left), format_size(f->worst, worst));
		return f;
	}
	return NULL;
}
