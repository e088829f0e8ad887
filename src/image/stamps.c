/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The memory of content hashes: hashing a QEMU with its libraries costs 0.3 s, a stat nothing. */
/*
 * The file has one line for each: SHA-256, a space, device:inode:size:mtime:ctime (the times in
 * nanoseconds). The name is no part of it: who has the inode has the content.
 */
#include "stamps.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/io.h"

#define FILE_MAX     (1 * MIB)
#define LINE_MAX_LEN 256

struct stamps {
	char *path;
	struct buf known; /* the file as it was */
	struct buf asked; /* lines for what was asked now */
};

int stamps_load(const char *path, struct stamps **ret)
{
	_cleanup_(stamps_free_p) struct stamps *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->path = strdup(path);
	if (!s->path)
		return -ENOMEM;
	if (io_read_file(AT_FDCWD, path, FILE_MAX, &s->known, NULL) < 0)
		buf_done(&s->known);
	*ret = take_ptr(&s);
	return 0;
}

static uint64_t nanoseconds(const struct timespec *t)
{
	return (uint64_t)t->tv_sec * 1000000000U + (uint64_t)t->tv_nsec;
}

/* " device:...:ctime\n", as it ends a line. */
static void make_stamp(const struct stat *st, char out[LINE_MAX_LEN])
{
	(void)snprintf(out, LINE_MAX_LEN,
		       " %" PRIu64 ":%" PRIu64 ":%" PRIu64 ":%" PRIu64 ":%" PRIu64 "\n",
		       (uint64_t)st->st_dev, (uint64_t)st->st_ino, (uint64_t)st->st_size,
		       nanoseconds(&st->st_mtim), nanoseconds(&st->st_ctim));
}

/* The hash in front of the stamp, where there is one. */
static bool recall(const struct buf *known, const char *stamp, char out[SHA256_HEX_SIZE])
{
	const char *text = buf_str(known), *at = strstr(text, stamp), *hash;

	if (!at || at - text < SHA256_HEX_SIZE - 1)
		return false;
	hash = at - (SHA256_HEX_SIZE - 1);
	if (hash > text && hash[-1] != '\n')
		return false;
	memcpy(out, hash, SHA256_HEX_SIZE - 1);
	out[SHA256_HEX_SIZE - 1] = '\0';
	return strspn(out, "0123456789abcdef") == SHA256_HEX_SIZE - 1;
}

int stamps_hash(struct stamps *s, const char *file, char out[SHA256_HEX_SIZE], struct err *e)
{
	_cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char stamp[LINE_MAX_LEN];
	struct stat st;
	int r = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, -errno, "%s: cannot open", file);
	if (!S_ISREG(st.st_mode))
		return err_set(e, -EINVAL, "%s: is not a regular file", file);
	make_stamp(&st, stamp);
	if (!recall(&s->asked, stamp, out)) {
		if (!recall(&s->known, stamp, out))
			r = sha256_hex_of_fd(fd, out);
		if (r == 0)
			r = buf_printf(&s->asked, "%s%s", out, stamp);
	}
	return r < 0 ? err_errno(e, r, "%s: cannot read", file) : 0;
}

int stamps_save(const struct stamps *s, struct err *e)
{
	if (strcmp(buf_str(&s->known), buf_str(&s->asked)) == 0)
		return 0;
	return io_write_file_atomic(s->path, buf_str(&s->asked), s->asked.len, 0600, e);
}

struct stamps *stamps_free(struct stamps *s)
{
	if (!s)
		return NULL;
	free(s->path);
	buf_done(&s->known);
	buf_done(&s->asked);
	free(s);
	return NULL;
}
