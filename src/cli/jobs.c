/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Places in the queue as locked files, numbered under one more lock. */
#include "jobs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/num.h"

/* More builds than this at once are somebody's mistake. */
#define PLACES_MAX 4096

/* The numbers in the folder, in order. */
struct places {
	uint64_t number[PLACES_MAX];
	size_t n;
};

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int read_places(const char *dir, struct places *p, struct err *e)
{
	DIR *d = dir ? opendir(dir) : NULL;
	struct dirent *entry;

	p->n = 0;
	if (!d)
		return err_errno(e, -errno, "%s: cannot read the queue", dir);
	while ((entry = readdir(d)) && p->n < PLACES_MAX) {
		if (parse_u64(entry->d_name, &p->number[p->n]) == 0)
			p->n++;
	}
	(void)closedir(d);
	qsort(p->number, p->n, sizeof(p->number[0]), by_number);
	return 0;
}

static char *place_path(const char *dir, uint64_t number)
{
	char *path = NULL;

	return asprintf(&path, "%s/%" PRIu64, dir, number) < 0 ? NULL : path;
}

/* Numbers are given and dead places removed by one process at a time; that takes microseconds. */
static int lock_dir(const char *dir, struct err *e)
{
	_cleanup_free_ char *path = NULL;
	int fd;

	if (asprintf(&path, "%s/lock", dir) < 0) {
		path = NULL;
		return err_oom(e);
	}
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(e, -errno, "%s: cannot open", path);
	while (flock(fd, LOCK_EX) < 0) {
		if (errno == EINTR)
			continue;
		fd_close(&fd);
		return err_errno(e, -errno, "%s: cannot lock", path);
	}
	return fd;
}

/* True if somebody holds the place; the descriptor is the caller's in either case (-1: gone). */
static bool is_held(const char *path, int *ret_fd)
{
	*ret_fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (*ret_fd < 0)
		return false;
	return flock(*ret_fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

static int jobs_dir(const char *state_dir, char **ret, struct err *e)
{
	if (asprintf(ret, "%s/jobs", state_dir) < 0) {
		*ret = NULL;
		return err_oom(e);
	}
	return io_mkdir_p(*ret, 0700, e);
}

int jobs_enter(const char *state_dir, const char *id, struct jobs *ret, struct err *e)
{
	_cleanup_free_ struct places *p = malloc(sizeof(*p));
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int lock = -1;
	struct jobs j = JOBS_INIT;
	int r = p ? jobs_dir(state_dir, &j.dir, e) : err_oom(e);

	if (r == 0)
		r = lock = lock_dir(j.dir, e);
	if (r >= 0)
		r = read_places(j.dir, p, e);
	if (r == 0) {
		j.number = p->n ? p->number[p->n - 1] + 1 : 1;
		path = place_path(j.dir, j.number);
		j.fd = path ? open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;
		if (j.fd < 0)
			r = err_errno(e, path ? -errno : -ENOMEM, "%s: cannot enter the queue",
				      j.dir);
	}
	if (r == 0 && (flock(j.fd, LOCK_EX) < 0 || io_write_full(j.fd, id, strlen(id)) < 0))
		r = err_errno(e, -errno, "%s: cannot enter the queue", path);
	if (r < 0) {
		jobs_done(&j);
		return r;
	}
	*ret = j;
	return 0;
}

int jobs_before(const struct jobs *j, uint64_t *ret, struct err *e)
{
	_cleanup_free_ struct places *p = malloc(sizeof(*p));
	_cleanup_close_ int lock = -1;
	uint64_t before = 0;
	int r = p ? 0 : err_oom(e);

	if (r == 0)
		r = lock = lock_dir(j->dir, e);
	if (r >= 0)
		r = read_places(j->dir, p, e);
	for (size_t i = 0; r == 0 && i < p->n; i++) {
		_cleanup_free_ char *path = place_path(j->dir, p->number[i]);
		_cleanup_close_ int fd = -1;

		if (!path)
			return err_oom(e);
		if (!is_held(path, &fd))
			(void)unlink(path);
		else if (p->number[i] < j->number)
			before++;
	}
	if (r == 0)
		*ret = before;
	return r;
}

int jobs_list(const char *state_dir, struct buf *out, struct err *e)
{
	_cleanup_free_ struct places *p = malloc(sizeof(*p));
	_cleanup_free_ char *dir = NULL;
	int r = p ? jobs_dir(state_dir, &dir, e) : err_oom(e);

	if (r == 0)
		r = read_places(dir, p, e);
	for (size_t i = 0; r == 0 && i < p->n; i++) {
		_cleanup_free_ char *path = place_path(dir, p->number[i]);
		_cleanup_close_ int fd = -1;
		char id[32];
		ssize_t n;

		if (!path)
			return err_oom(e);
		if (!is_held(path, &fd))
			continue;
		n = read(fd, id, sizeof(id) - 1);
		if (n <= 0 || memchr(id, '\0', (size_t)n))
			continue;
		id[n] = '\0';
		r = buf_put(out, id, (size_t)n + 1);
	}
	return r;
}

void jobs_done(struct jobs *j)
{
	_cleanup_free_ char *path = j->fd >= 0 ? place_path(j->dir, j->number) : NULL;

	if (path)
		(void)unlink(path);
	fd_close(&j->fd);
	free(j->dir);
	*j = (struct jobs)JOBS_INIT;
}

uint64_t jobs_default(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1;
	return (uint64_t)MAX(CPU_COUNT(&set), 1);
}
