/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Two streams into one file, copies past them, and holes that stay holes. */
#include "erofs-out.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <sys/uio.h>

#include "base/io.h"

#define META_SIZE (256 * KIB) /* bytes of one write of inodes */
#define DATA_SIZE (1 * MIB)   /* bytes of one write of small files */
#define COPY_SIZE (1 * MIB)
/* A longer file goes on its own: the kernel may share or copy it without us. */
#define GATHER_MAX (128 * KIB)

int erofs_out_init(struct erofs_out *o, int fd, uint64_t base)
{
	*o = (struct erofs_out){.fd = fd, .base = base};
	o->meta = (struct erofs_stream){.data = malloc(META_SIZE), .size = META_SIZE};
	o->data = (struct erofs_stream){.data = malloc(DATA_SIZE), .size = DATA_SIZE};
	return o->meta.data && o->data.data ? 0 : -ENOMEM;
}

void erofs_out_done(struct erofs_out *o)
{
	free(o->meta.data);
	free(o->data.data);
	free(o->chunk);
	*o = (struct erofs_out){.fd = -1};
}

static int write_failed(const struct erofs_out *o, int code, struct err *e)
{
	char link[64], target[512];
	ssize_t n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", o->fd);
	n = readlink(link, target, sizeof(target) - 1);
	target[n > 0 ? n : 0] = '\0';
	return err_errno(e, code, "input disk: cannot write to %s", n > 0 ? target : "its file");
}

int erofs_out_write(const struct erofs_out *o, uint64_t at, const void *data, size_t len,
		    struct err *e)
{
	int r = io_pwrite_full(o->fd, data, len, o->base + at);

	return r < 0 ? write_failed(o, r, e) : 0;
}

static int became_shorter(const char *name, struct err *e)
{
	return err_set(e, -EIO, "%s: became shorter while it was read", name);
}

static int read_at(int fd, char *data, size_t len, uint64_t at, const char *name, struct err *e)
{
	ssize_t n = io_pread_full(fd, data, len, at);

	if (n < 0)
		return err_errno(e, (int)n, "%s: cannot read", name);
	return (size_t)n < len ? became_shorter(name, e) : 0;
}

int erofs_out_flush(struct erofs_out *o, struct erofs_stream *s, struct err *e)
{
	int r = erofs_out_write(o, s->at, s->data, s->used, e);

	s->at += s->used;
	s->used = 0;
	return r;
}

int erofs_out_room(struct erofs_out *o, struct erofs_stream *s, uint64_t at, size_t len, char **ret,
		   struct err *e)
{
	uint64_t end = s->at + s->used;
	int r;

	assert(len <= s->size);
	if (at < end || at - end >= EROFS_BLOCK || at + len - s->at > s->size) {
		assert(at % EROFS_BLOCK == 0);
		r = erofs_out_flush(o, s, e);
		if (r < 0)
			return r;
		s->at = end = at;
	}
	memset(s->data + s->used, 0, at - end);
	*ret = s->data + (at - s->at);
	s->used = at + len - s->at;
	return 0;
}

/* A stretch of a file's content, by the kernel or else by us. */
static int copy(struct erofs_out *o, int fd, uint64_t from, uint64_t end, uint64_t to,
		const char *name, struct err *e)
{
	while (from < end) {
		off_t in = (off_t)from, out = (off_t)(o->base + to);
		ssize_t n = copy_file_range(fd, &in, o->fd, &out, (size_t)MIN(end - from, GIB), 0);

		/* another file system, or one that cannot; what else it is will be known below */
		if (n <= 0)
			break;
		from += (uint64_t)n;
		to += (uint64_t)n;
	}
	if (from < end && !o->chunk) {
		o->chunk = malloc(COPY_SIZE);
		if (!o->chunk)
			return err_oom(e);
	}
	while (from < end) {
		size_t n = (size_t)MIN(end - from, COPY_SIZE);
		int r = read_at(fd, o->chunk, n, from, name, e);

		if (r == 0)
			r = erofs_out_write(o, to, o->chunk, n, e);
		if (r < 0)
			return r;
		from += n;
		to += n;
	}
	return 0;
}

/* Each stretch of data of the first `len` bytes; what is between stays as it is in the image: a
 * hole. */
static int copy_stretches(struct erofs_out *o, int fd, uint64_t at, uint64_t len, const char *name,
			  struct err *e)
{
	uint64_t from = 0, end;
	off_t data;
	int r = 0;

	while (r == 0 && from < len) {
		data = lseek(fd, (off_t)from, SEEK_DATA);
		if (data < 0 && errno == ENXIO)
			break; /* nothing but a hole up to the end */
		if (data < 0)
			return copy(o, fd, from, len, at + from, name, e); /* no such seek here */
		from = MIN((uint64_t)data, len);
		data = lseek(fd, (off_t)from, SEEK_HOLE);
		end = data < 0 ? len : MIN((uint64_t)data, len);
		r = copy(o, fd, from, end, at + from, name, e);
		from = end;
	}
	return r;
}

/* A small file: in one call as a rule. */
static int gather(struct erofs_out *o, int fd, uint64_t at, size_t len, char *tail, size_t tail_len,
		  const char *name, struct err *e)
{
	struct iovec iov[2] = {{.iov_len = len}, {.iov_base = tail, .iov_len = tail_len}};
	char *body = NULL;
	ssize_t n;
	int r;

	r = len > 0 ? erofs_out_room(o, &o->data, at, len, &body, e) : 0;
	if (r < 0)
		return r;
	iov[0].iov_base = body;
	n = preadv(fd, len > 0 ? iov : iov + 1, (len > 0) + (tail_len > 0), 0);
	if (n == (ssize_t)(len + tail_len))
		return 0;
	r = read_at(fd, body, len, 0, name, e);
	return r < 0 ? r : read_at(fd, tail, tail_len, len, name, e);
}

int erofs_out_file(struct erofs_out *o, int fd, const struct stat *st, uint64_t at, uint64_t len,
		   char *tail, size_t tail_len, const char *name, struct err *e)
{
	bool holes = (uint64_t)st->st_blocks * 512 < (uint64_t)st->st_size;
	struct stat now;
	int r;

	if (len + tail_len == 0)
		return 0;
	if (len == 0 || (len <= GATHER_MAX && !holes))
		return gather(o, fd, at, (size_t)len, tail, tail_len, name, e);
	r = holes ? copy_stretches(o, fd, at, len, name, e) : copy(o, fd, 0, len, at, name, e);
	if (r == 0 && tail_len > 0)
		return read_at(fd, tail, tail_len, len, name, e);
	/* what lies behind the end counts as a hole */
	if (r == 0 && holes) {
		if (fstat(fd, &now) < 0)
			return err_errno(e, -errno, "%s: cannot read", name);
		if (now.st_size < st->st_size)
			return became_shorter(name, e);
	}
	return r;
}

int erofs_out_end(struct erofs_out *o, uint64_t size, struct err *e)
{
	struct stat st;

	if (fstat(o->fd, &st) < 0)
		return write_failed(o, -errno, e);
	if ((uint64_t)st.st_size < o->base + size && ftruncate(o->fd, (off_t)(o->base + size)) < 0)
		return write_failed(o, -errno, e);
	return 0;
}
