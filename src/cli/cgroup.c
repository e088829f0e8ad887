/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Finding, making and removing the worker's cgroup. */
/*
 * By the rules of cgroup v2 (Documentation/admin-guide/cgroup-v2.rst, "Delegation") a process can
 * go to another cgroup when the user may write cgroup.procs there and in the nearest cgroup above
 * both; and one whose controllers are given to those below it holds no process of its own. So a
 * neighbour of the own cgroup is tried first. The other way, for a program that was started alone
 * in a cgroup (systemd-run --user --scope -p Delegate=yes), is to move aside and use the own one.
 */
#include "cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/num.h"

#define PERIOD_US 100000
#define PREFIX	  "contractor-"

static const char *const controllers[] = {"cpu", "memory", "pids"};

static int put(int dirfd, const char *name, const char *text)
{
	_cleanup_close_ int fd = openat(dirfd, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? -errno : io_write_full(fd, text, strlen(text));
}

static bool has_word(const char *words, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = words; (p = strstr(p, word)); p += n) {
		if ((p == words || strchr(" \n", p[-1])) && strchr(" \n", p[n]))
			return true;
	}
	return false;
}

/* How many of the controllers are named in a file of the folder. */
static unsigned count_controllers(const char *dir, const char *file)
{
	_cleanup_buf_ struct buf b = {0};
	char path[PATH_MAX + 32];
	unsigned n = 0;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, file);
	if (io_read_file(AT_FDCWD, path, 4096, &b, NULL) < 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(controllers); i++)
		n += has_word(buf_str(&b), controllers[i]);
	return n;
}

static bool may_fill(const char *dir)
{
	char procs[PATH_MAX + 32];

	(void)snprintf(procs, sizeof(procs), "%s/cgroup.procs", dir);
	return faccessat(AT_FDCWD, dir, W_OK, AT_EACCESS) == 0 &&
	       faccessat(AT_FDCWD, procs, W_OK, AT_EACCESS) == 0;
}

/* The path behind "0::" as a folder below root. */
static int find_own(const char *root, const char *self, char *out, size_t size)
{
	const char *p = strncmp(self, "0::/", 4) == 0 ? self : strstr(self, "\n0::/");
	size_t n, len;

	if (!p)
		return -ENOENT;
	p = strchr(p, '/');
	n = strcspn(p, "\n");
	while (n > 0 && p[n - 1] == '/')
		n--;
	/* "/.." leads out of what a container may see */
	if (memmem(p, n, "/..", 3))
		return -ENOENT;
	len = strlen(root);
	if (len + n >= size)
		return -ENAMETOOLONG;
	memcpy(out, root, len);
	memcpy(out + len, p, n);
	out[len + n] = '\0';
	return 0;
}

/* The nearest cgroup above `own`, not above root, that gives the most controllers. */
static bool find_above(const char *root, const char *own, char *out, size_t size)
{
	char at[PATH_MAX];
	unsigned most = 0;

	(void)snprintf(at, sizeof(at), "%s", own);
	while (strlen(at) > strlen(root)) {
		unsigned n;

		*strrchr(at, '/') = '\0';
		if (!may_fill(at))
			break;
		n = count_controllers(at, "cgroup.subtree_control");
		if (n > most) {
			most = n;
			(void)snprintf(out, size, "%s", at);
		}
	}
	return most > 0;
}

/* What a killed build has left: an empty cgroup named after a process that is no more. */
static void sweep(int dir)
{
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		uint64_t pid;

		if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) == 0 &&
		    parse_u64(entry->d_name + strlen(PREFIX), &pid) == 0 && pid <= INT32_MAX &&
		    pid > 0 && kill((pid_t)pid, 0) < 0 && errno == ESRCH)
			(void)unlinkat(dir, entry->d_name, AT_REMOVEDIR);
	}
	if (d)
		(void)closedir(d);
	else
		fd_close(&copy);
}

/* Moves this process into a cgroup of its own, so that `own` may give controllers. */
static int move_aside(const char *own, pid_t pid, struct cgroup *c)
{
	_cleanup_close_ int dir = open(own, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char name[64], procs[96], text[32];
	unsigned given = 0;
	int r;

	if (dir < 0)
		return -errno;
	(void)snprintf(name, sizeof(name), PREFIX "cli-%d", (int)pid);
	(void)snprintf(procs, sizeof(procs), "%s/cgroup.procs", name);
	(void)snprintf(text, sizeof(text), "%d", (int)pid);
	if (mkdirat(dir, name, 0755) < 0 && errno != EEXIST)
		return -errno;
	r = put(dir, procs, text);
	for (size_t i = 0; i < ARRAY_SIZE(controllers) && r == 0; i++) {
		char on[16];

		(void)snprintf(on, sizeof(on), "+%s", controllers[i]);
		given += put(dir, "cgroup.subtree_control", on) == 0;
	}
	if (given > 0) {
		(void)snprintf(c->own, sizeof(c->own), "%s", own);
		return 0;
	}
	(void)put(dir, "cgroup.procs", text);
	(void)unlinkat(dir, name, AT_REMOVEDIR);
	return r < 0 ? r : -EBUSY;
}

static void move_back(struct cgroup *c, pid_t pid)
{
	_cleanup_close_ int dir = open(c->own, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char name[64], text[32];

	if (!c->own[0] || dir < 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(controllers); i++) {
		(void)snprintf(text, sizeof(text), "-%s", controllers[i]);
		(void)put(dir, "cgroup.subtree_control", text);
	}
	(void)snprintf(text, sizeof(text), "%d", (int)pid);
	(void)snprintf(name, sizeof(name), PREFIX "cli-%d", (int)pid);
	(void)put(dir, "cgroup.procs", text);
	(void)unlinkat(dir, name, AT_REMOVEDIR);
	c->own[0] = '\0';
}

static void set_walls(const struct cgroup_walls *w, struct cgroup *c)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "%" PRIu64 " %d", (uint64_t)w->cpus * PERIOD_US,
		       PERIOD_US);
	c->cpu = put(c->dir, "cpu.max", text) == 0;
	(void)snprintf(text, sizeof(text), "%" PRIu64, w->memory);
	c->memory = put(c->dir, "memory.max", text) == 0;
	(void)snprintf(text, sizeof(text), "%" PRIu64, w->pids);
	c->pids = put(c->dir, "pids.max", text) == 0;
	if (!c->cpu || !c->memory || !c->pids)
		(void)snprintf(c->why, sizeof(c->why), "it has no controller for%s%s%s",
			       c->cpu ? "" : " cpu.max", c->memory ? "" : " memory.max",
			       c->pids ? "" : " pids.max");
}

/* Makes the cgroup below `above`, with its walls, before anything is in it. */
static int make_below(const char *above, pid_t pid, const struct cgroup_walls *w, struct cgroup *c)
{
	_cleanup_close_ int dir = open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char name[64];
	int r;

	if (dir < 0)
		return -errno;
	sweep(dir);
	(void)snprintf(name, sizeof(name), PREFIX "%d", (int)pid);
	if ((size_t)snprintf(c->path, sizeof(c->path), "%s/%s", above, name) >= sizeof(c->path))
		return -ENAMETOOLONG;
	/* of this number only what a killed build has left can be there */
	if (mkdirat(dir, name, 0755) < 0 && errno != EEXIST)
		return -errno;
	c->dir = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	c->procs = c->dir < 0 ? -1 : openat(c->dir, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	if (c->procs < 0) {
		r = -errno;
		(void)unlinkat(dir, name, AT_REMOVEDIR);
		return r;
	}
	set_walls(w, c);
	return 0;
}

/* Whether a process of ours can really go there; it ends at once. */
static int try_entering(const struct cgroup *c)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(write(c->procs, "0", 1) == 1 ? 0 : errno);
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
}

void cgroup_make(const char *root, const char *self, pid_t pid, const struct cgroup_walls *w,
		 struct cgroup *c)
{
	char own[PATH_MAX], above[PATH_MAX], text[PATH_MAX + 32];
	int r;

	(void)snprintf(text, sizeof(text), "%s/cgroup.controllers", root);
	if (access(text, R_OK) < 0) {
		(void)snprintf(c->why, sizeof(c->why), "no cgroup v2 at %.200s", root);
		return;
	}
	if (find_own(root, self, own, sizeof(own)) < 0) {
		(void)snprintf(c->why, sizeof(c->why),
			       "this process is in no cgroup that can be seen here");
		return;
	}
	if (!find_above(root, own, above, sizeof(above))) {
		if (!may_fill(own) || count_controllers(own, "cgroup.controllers") == 0) {
			(void)snprintf(c->why, sizeof(c->why),
				       "no cgroup with controllers is delegated to this user");
			return;
		}
		r = move_aside(own, pid, c);
		if (r < 0) {
			(void)snprintf(c->why, sizeof(c->why),
				       "the delegated cgroup holds other processes (%s)",
				       strerror(-r));
			return;
		}
		(void)snprintf(above, sizeof(above), "%s", own);
	}
	r = make_below(above, pid, w, c);
	if (r == 0)
		r = try_entering(c);
	if (r < 0) {
		cgroup_done(c);
		c->path[0] = '\0';
		c->cpu = c->memory = c->pids = false;
		(void)snprintf(c->why, sizeof(c->why), "cannot make a cgroup and enter it: %s",
			       strerror(-r));
	}
}

uint64_t cgroup_oom_kills(const struct cgroup *c)
{
	_cleanup_buf_ struct buf b = {0};
	char number[32];
	const char *p;
	uint64_t n = 0;

	if (c->dir < 0 || io_read_file(c->dir, "memory.events", 4096, &b, NULL) < 0)
		return 0;
	p = strstr(buf_str(&b), "oom_kill ");
	if (!p)
		return 0;
	p += strlen("oom_kill ");
	(void)snprintf(number, sizeof(number), "%.*s", (int)strcspn(p, "\n"), p);
	return parse_u64(number, &n) == 0 ? n : 0;
}

void cgroup_done(struct cgroup *c)
{
	if (c->dir >= 0)
		(void)rmdir(c->path);
	fd_close(&c->procs);
	fd_close(&c->dir);
	move_back(c, getpid());
}
