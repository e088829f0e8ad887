/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The workspace: one build at a time, and a swap that is whole before and after. */
#include "workspace.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "archive/output.h"
#include "base/io.h"
#include "base/sha256.h"
#include "paths.h"

#define LIST_MAX (256 * MIB)

static void on_alarm(int sig)
{
}

/* Takes the lock; SIGALRM interrupts the wait, once more each second in case one came too early. */
static int take_lock(struct workspace *w, unsigned wait_s, workspace_wait_fn waiting,
		     void *user_data, struct err *e)
{
	const struct itimerval tick = {{1, 0}, {1, 0}}, off = {0};
	struct sigaction sa = {.sa_handler = on_alarm}, old;
	uint64_t end = io_now_ms() + wait_s * 1000ULL;
	int r = 0;

	if (flock(w->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return err_errno(e, -errno, "%s: cannot lock the workspace", w->path);
	if (wait_s > 0) {
		waiting(w->path, user_data);
		(void)sigaction(SIGALRM, &sa, &old);
		(void)setitimer(ITIMER_REAL, &tick, NULL);
		while ((r = flock(w->lock_fd, LOCK_EX)) < 0 && errno == EINTR && io_now_ms() < end)
			;
		r = r < 0 ? -errno : 0;
		(void)setitimer(ITIMER_REAL, &off, NULL);
		(void)sigaction(SIGALRM, &old, NULL);
		if (r == 0)
			return 0;
	}
	return err_set(e, -EBUSY,
		       "%s: another build has held this workspace for %u s; wait for it, or give "
		       "--lock-wait a longer time",
		       w->path, wait_s);
}

static int read_list(const struct workspace *w, const char *name, struct buf *out, struct err *e)
{
	_cleanup_free_ char *path = paths_join(w->state, name);
	int r;

	if (!path)
		return err_oom(e);
	out->cap = LIST_MAX;
	r = io_read_file(AT_FDCWD, path, LIST_MAX, out, e);
	return r == -ENOENT ? 0 : r;
}

static int write_list(const struct workspace *w, const char *name, const struct buf *list,
		      struct err *e)
{
	_cleanup_free_ char *path = paths_join(w->state, name);

	if (!path)
		return err_oom(e);
	return io_write_file_atomic(path, list->data, list->len, 0600, e);
}

/* Splits the path, resolving the parent, so that one folder has one name (and one lock). */
static int resolve(struct workspace *w, const char *path, struct err *e)
{
	_cleanup_free_ char *for_dir = strdup(path), *for_base = strdup(path);
	char real[PATH_MAX];
	const char *dir, *base;
	int r;

	if (!for_dir || !for_base)
		return err_oom(e);
	dir = dirname(for_dir);
	base = basename(for_base);
	if (strcmp(base, ".") == 0 || strcmp(base, "..") == 0 || strcmp(base, "/") == 0)
		return err_set(e, -EINVAL,
			       "workspace: %s: needs a folder name of its own at the end; it is "
			       "replaced as a whole by each build",
			       path);
	r = io_mkdir_p(dir, 0777, e);
	if (r < 0)
		return err_wrap(e, "workspace");
	if (!realpath(dir, real))
		return err_errno(e, -errno, "workspace: %s", dir);
	w->parent_fd = open(real, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (w->parent_fd < 0)
		return err_errno(e, -errno, "workspace: %s", dir);
	w->path = paths_join(strcmp(real, "/") == 0 ? "" : real, base);
	w->name = strdup(base);
	return w->path && w->name ? 0 : err_oom(e);
}

static int open_state(struct workspace *w, const char *state_dir, struct err *e)
{
	char key[SHA256_HEX_SIZE];
	_cleanup_free_ char *lock = NULL;
	int r;

	assert(w->path); /* resolve() has set it */
	sha256_hex_of(w->path, strlen(w->path), key);
	if (asprintf(&w->state, "%s/workspaces/%.32s", state_dir, key) < 0) {
		w->state = NULL;
		return err_oom(e);
	}
	r = io_mkdir_p(w->state, 0700, e);
	if (r < 0)
		return r;
	lock = paths_join(w->state, "lock");
	if (!lock)
		return err_oom(e);
	w->lock_fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (w->lock_fd < 0)
		return err_errno(e, -errno, "%s: cannot open", lock);
	/* one name for each workspace: what a killed build left is found and removed by the next */
	(void)snprintf(w->fresh, sizeof(w->fresh), ".contractor-%.16s", key);
	return 0;
}

int workspace_open(const char *path, const char *state_dir, unsigned wait_s,
		   workspace_wait_fn waiting, void *user_data, struct workspace *ret, struct err *e)
{
	struct workspace w = WORKSPACE_INIT;
	int r = resolve(&w, path, e);

	if (r == 0)
		r = open_state(&w, state_dir, e);
	if (r == 0)
		r = take_lock(&w, wait_s, waiting, user_data, e);
	if (r == 0)
		r = output_remove_tree(w.parent_fd, w.fresh, e);
	if (r == 0)
		r = guard_new(w.parent_fd, w.fresh, w.lock_fd, &w.guard, e);
	if (r == 0) {
		w.fd = openat(w.parent_fd, w.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (w.fd < 0 && errno != ENOENT)
			r = err_errno(e, -errno, "workspace: %s: must be a folder", w.path);
	}
	if (r == 0)
		r = read_list(&w, "sources", &w.sources, e);
	if (r == 0)
		r = read_list(&w, "outside-links", &w.outside_links, e);
	if (r < 0) {
		workspace_done(&w);
		return r;
	}
	*ret = w;
	return 0;
}

bool workspace_is_there(const struct workspace *w)
{
	struct stat mine, there;

	return w->fd >= 0 && fstat(w->fd, &mine) == 0 &&
	       fstatat(w->parent_fd, w->name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	       mine.st_dev == there.st_dev && mine.st_ino == there.st_ino;
}

int workspace_replace(struct workspace *w, const struct buf *sources,
		      const struct buf *outside_links, struct err *e)
{
	_cleanup_buf_ struct buf both = {.cap = 2 * LIST_MAX};
	int r;

	/*
	 * Killed between the swap and the lists, the next build must still know of every file that
	 * was once a source: both lists stand together until the swap is through.
	 */
	r = buf_put(&both, w->sources.data, w->sources.len);
	if (r == 0)
		r = buf_put(&both, sources->data, sources->len);
	if (r < 0)
		return err_oom(e);
	r = write_list(w, "sources", &both, e);
	if (r == 0)
		r = output_swap(w->parent_fd, w->fresh, w->name, e);
	if (r == 0)
		r = write_list(w, "sources", sources, e);
	if (r == 0)
		r = write_list(w, "outside-links", outside_links, e);
	return r;
}

void workspace_settle(struct workspace *w)
{
	w->guard = guard_free(w->guard);
}

void workspace_done(struct workspace *w)
{
	w->guard = guard_free(w->guard);
	fd_close(&w->fd);
	fd_close(&w->parent_fd);
	fd_close(&w->lock_fd);
	buf_done(&w->sources);
	buf_done(&w->outside_links);
	free(w->path);
	free(w->name);
	free(w->state);
	*w = (struct workspace)WORKSPACE_INIT;
}
