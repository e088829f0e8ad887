/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The base: what the worker had below its workspace, from the layers or from the workspace. */
#include "lay.h"

#include <errno.h>

#include "base/io.h"
#include "beneath.h"

/* Copies [at, at + n) of the base to offset `to` of fd. */
static int copy_stretch(struct extract *x, int fd, uint64_t at, uint64_t n, uint64_t to)
{
	while (n > 0) {
		ssize_t got = io_pread_full(x->job->base->fd, x->chunk, MIN(n, EXTRACT_CHUNK), at);
		int r;

		if (got <= 0)
			return err_errno(x->e, got < 0 ? (int)got : -EIO,
					 "cannot read the worker's layer");
		r = extract_count(x, 0, (uint64_t)got, 0);
		if (r == 0) {
			r = io_pwrite_full(fd, x->chunk, (size_t)got, to);
			r = r < 0 ? extract_write_failed(x, r) : 0;
		}
		if (r < 0)
			return r;
		at += (uint64_t)got;
		to += (uint64_t)got;
		n -= (uint64_t)got;
	}
	return 0;
}

/* Copies the present file of the base. Holes stay holes. */
int lay_content(struct extract *x, int fd)
{
	const struct erofs_place *p = &x->from->place;
	off_t at = (off_t)p->body, end = at + (off_t)p->body_len;
	int r = 0;

	while (r == 0 && at < end) {
		off_t data = at, hole = end;

		/* to look for holes costs as much as what is there, on some file systems */
		if (x->from->has_holes) {
			data = lseek(x->job->base->fd, at, SEEK_DATA);
			if (data < 0 && errno == ENXIO)
				break;
			hole = data < 0 ? data : lseek(x->job->base->fd, data, SEEK_HOLE);
			if (hole < 0)
				return err_errno(x->e, -errno, "cannot read the worker's layer");
			hole = MIN(hole, end);
		}
		if (data < end)
			r = copy_stretch(x, fd, (uint64_t)data, (uint64_t)(hole - data),
					 (uint64_t)data - p->body);
		at = hole;
	}
	if (r == 0)
		r = copy_stretch(x, fd, p->tail, p->tail_len, p->body_len);
	if (r == 0 && ftruncate(fd, (off_t)x->from->size) < 0)
		r = extract_write_failed(x, -errno);
	return r;
}

/* The copy in the workspace, open, when it is what unpacking would make now, or -1. */
static int open_copy(const struct extract *x, struct stat *st)
{
	const struct layer_entry *n = x->from;
	_cleanup_close_ int fd = -1;

	if (x->job->base->workspace_fd < 0 || !n->copy.valid)
		return -1;
	fd = beneath_find(x->job->base->workspace_fd, x->plan.path);
	if (fd < 0 || fstat(fd, st) < 0 || !S_ISREG(st->st_mode) || !layer_ident_is(&n->copy, st) ||
	    !layer_looks_like(n, st) || st->st_uid != geteuid() ||
	    (st->st_mode & 07777) != x->plan.mode)
		return -1;
	return take_fd(&fd);
}

/* What the present file of the base has become, and its bytes: what the sum is over `before`. */
int lay_note(struct extract *x, const struct stat *st, uint64_t before, bool is_link)
{
	x->laid_now = (struct output_laid){.dev = st->st_dev,
					   .ino = st->st_ino,
					   .seconds = st->st_ctim.tv_sec,
					   .nanoseconds = (uint32_t)st->st_ctim.tv_nsec,
					   .is_link = is_link};
	if (counted_add(&x->place.counted, st, x->ret->sums.data - before, is_link) < 0)
		return err_oom(x->e);
	return 0;
}

/* True when the present file of the base has become a link to its copy; its code is in *ret. */
bool lay_link(struct extract *x, uint64_t before, int *ret)
{
	struct stat st;
	_cleanup_close_ int fd = x->from ? open_copy(x, &st) : -1;

	if (fd < 0 || place_link(&x->place, &x->plan, fd) < 0)
		return false;
	*ret = extract_count(x, 0, MIN((uint64_t)st.st_size, (uint64_t)st.st_blocks * 512), 0);
	*ret = *ret < 0 ? *ret : lay_note(x, &st, before, true);
	return true;
}

/* Lays the base down: the limits are the result's, and what is too much may yet be removed. */
int lay_base(struct extract *x)
{
	const struct output_base *base = x->job->base;
	_cleanup_buf_ struct buf laid = {0};
	struct layer_entry n;
	size_t at = 0;
	int r = 0;

	x->allowed = (struct output_limits){UINT64_MAX, UINT64_MAX};
	laid.cap = OUTPUT_LAID_MAX;
	while (r == 0 && layer_next(base->list, base->len, &at, &n)) {
		const struct filter_entry fe = {.type = n.type,
						.path = n.path,
						.target = n.target,
						.mode = n.mode,
						.size = (int64_t)n.size};

		x->from = &n;
		x->mtime = n.mtime;
		x->laid_now = (struct output_laid){0};
		r = extract_put(x, &fe);
		if (r == 0 && buf_put(&laid, &x->laid_now, sizeof(x->laid_now)) < 0)
			r = err_oom(x->e);
	}
	x->from = NULL;
	if (r == 0 && base->laid_fd >= 0 && io_write_full(base->laid_fd, laid.data, laid.len) < 0)
		r = err_oom(x->e);
	if (r == 0 && at != base->len)
		r = err_set(x->e, -EBADMSG, "the list of the worker's layer is broken");
	x->allowed.bytes = filter_sum(x->job->limits.bytes, x->ret->sums.data);
	x->allowed.entries = filter_sum(x->job->limits.entries, x->ret->sums.entries);
	x->over = true;
	return r;
}
