/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whole reads and writes, unnamed and atomically replaced files. */
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <time.h>

/* Each at the descriptor's position, or, if `at` is not NULL, at that offset. */
static ssize_t read_full(int fd, void *data, size_t n, const uint64_t *at)
{
	size_t done = 0;

	while (done < n) {
		char *to = (char *)data + done;
		ssize_t r =
			at ? pread(fd, to, n - done, (off_t)(*at + done)) : read(fd, to, n - done);

		if (r == 0)
			break;
		if (r < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		done += (size_t)r;
	}
	return (ssize_t)done;
}

static int write_full(int fd, const void *data, size_t n, const uint64_t *at)
{
	size_t done = 0;

	while (done < n) {
		const char *from = (const char *)data + done;
		ssize_t r = at ? pwrite(fd, from, n - done, (off_t)(*at + done))
			       : write(fd, from, n - done);

		if (r < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		done += (size_t)r;
	}
	return 0;
}

ssize_t io_read_full(int fd, void *data, size_t n)
{
	return read_full(fd, data, n, NULL);
}

int io_write_full(int fd, const void *data, size_t n)
{
	return write_full(fd, data, n, NULL);
}

ssize_t io_pread_full(int fd, void *data, size_t n, uint64_t at)
{
	return read_full(fd, data, n, &at);
}

int io_pwrite_full(int fd, const void *data, size_t n, uint64_t at)
{
	return write_full(fd, data, n, &at);
}

/* One read. 1, 0 at the end, or a negative errno. */
static int read_more(int fd, size_t max, struct buf *out)
{
	ssize_t n;
	int r = buf_reserve(out, 4096);

	if (r < 0)
		return r;
	do
		n = read(fd, out->data + out->len, out->size - out->len - 1);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 ? -errno : 0;
	out->len += (size_t)n;
	out->data[out->len] = '\0';
	return out->len > max ? -EFBIG : 1;
}

int io_read_all(int fd, size_t max, struct buf *out)
{
	int r;

	do
		r = read_more(fd, max, out);
	while (r > 0);
	return r;
}

int io_read_all_until(int fd, size_t max, struct buf *out, uint64_t end)
{
	int r;

	do {
		r = io_wait_until(fd, end);
		if (r == 0)
			r = read_more(fd, max, out);
	} while (r > 0);
	return r;
}

int io_wait_until(int fd, uint64_t end)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint64_t now;

	while ((now = io_now_ms()) < end) {
		if (poll(&p, 1, (int)MIN(end - now, (uint64_t)INT_MAX)) > 0)
			return 0;
	}
	return -ETIMEDOUT;
}

int io_read_file(int dirfd, const char *path, size_t max, struct buf *out, struct err *e)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r;

	/* O_NONBLOCK: a FIFO of that name must not hang us; it is refused just below. */
	fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return err_errno(e, -errno, "%s: cannot open", path);
	if (fstat(fd, &st) < 0)
		return err_errno(e, -errno, "%s: cannot stat", path);
	if (S_ISDIR(st.st_mode))
		return err_set(e, -EISDIR, "%s: is a folder, not a file", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, -EINVAL, "%s: is not a regular file", path);
	if ((uint64_t)st.st_size > max)
		return err_set(e, -EFBIG, "%s: is larger than the %zu bytes allowed", path, max);
	r = io_read_all(fd, max, out);
	if (r < 0)
		return err_errno(e, r, "%s: cannot read", path);
	return 0;
}

int io_tmpfile(const char *dir, struct err *e)
{
	char path[PATH_MAX];
	int fd;

	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fd;
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
		return err_errno(e, -errno, "%s: cannot make a temporary file", dir);
	if ((size_t)snprintf(path, sizeof(path), "%s/.tmp-XXXXXX", dir) >= sizeof(path))
		return err_errno(e, -ENAMETOOLONG, "%s", dir);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, -errno, "%s: cannot make a temporary file", dir);
	(void)unlink(path);
	return fd;
}

int io_write_file_atomic(const char *path, const void *data, size_t n, mode_t mode, struct err *e)
{
	char tmp[PATH_MAX];
	_cleanup_close_ int fd = -1;
	int r;

	if ((size_t)snprintf(tmp, sizeof(tmp), "%s.XXXXXX", path) >= sizeof(tmp))
		return err_errno(e, -ENAMETOOLONG, "%s", path);
	fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, -errno, "%s: cannot write", path);
	r = io_write_full(fd, data, n);
	if (r == 0 && fchmod(fd, mode) < 0)
		r = -errno;
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r == 0 && rename(tmp, path) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlink(tmp);
		return err_errno(e, r, "%s: cannot write", path);
	}
	return 0;
}

int io_mkdir_p(const char *path, mode_t mode, struct err *e)
{
	char part[PATH_MAX];
	size_t n = strlen(path);

	if (n == 0 || n >= sizeof(part))
		return err_errno(e, -ENAMETOOLONG, "%s", path);
	memcpy(part, path, n + 1);
	for (size_t i = 1; i <= n; i++) {
		if (part[i] != '/' && part[i] != '\0')
			continue;
		part[i] = '\0';
		if (mkdir(part, mode) < 0 && errno != EEXIST) {
			struct stat st;
			int code = -errno;

			/* a read-only parent refuses before it says that the folder is there */
			if (stat(part, &st) < 0 || !S_ISDIR(st.st_mode))
				return err_errno(e, code, "%s: cannot make the folder", part);
		}
		part[i] = path[i];
	}
	return 0;
}

int io_set_nonblock(int fd, int on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	flags = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
	return fcntl(fd, F_SETFL, flags) < 0 ? -errno : 0;
}

int io_set_cloexec(int fd, int on)
{
	return fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0) < 0 ? -errno : 0;
}

uint64_t io_now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}
