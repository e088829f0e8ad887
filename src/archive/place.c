/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The writer's side of unpacking: a stack of open folders, and openat2 for each step down. */
#include "place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "beneath.h"

static int push(struct place *p, int fd, size_t len)
{
	struct place_level *l = &p->levels[p->n];
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	*l = (struct place_level){.fd = fd,
				  .len = len,
				  .mtime = st.st_mtim,
				  .mode = st.st_mode & 0777};
	p->n++;
	return 0;
}

/* Leaves the innermost folder. Its time is as it was when it was entered, or as its entry said. */
static int pop(struct place *p)
{
	struct place_level *l = &p->levels[--p->n];
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, l->mtime};
	int r = 0;

	/* not before: until then nobody else shall see into a tree that may yet be refused */
	if (p->n == 0 && fchmod(l->fd, l->mode) < 0)
		r = -errno;
	if (futimens(l->fd, times) < 0 && r == 0)
		r = -errno;
	fd_close(&l->fd);
	return r;
}

int place_init(struct place *p, int root_fd)
{
	int fd, r;

	p->n = 0;
	p->path[0] = '\0';
	p->implied = 0;
	p->counted = (struct counted){0};
	fd = openat(root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = push(p, fd, 0);
	if (r < 0)
		(void)close(fd);
	return r;
}

int place_finish(struct place *p)
{
	int r = 0;

	while (p->n > 0) {
		int r2 = pop(p);

		r = r < 0 ? r : r2;
	}
	return r;
}

void place_done(struct place *p)
{
	while (p->n > 0)
		fd_close(&p->levels[--p->n].fd);
	counted_done(&p->counted);
}

/* True if the first `len` bytes of `path` are the folder `l`, or it lies above them. */
static bool is_above(const struct place *p, const struct place_level *l, const char *path,
		     size_t len)
{
	if (l->len == 0)
		return true;
	return len >= l->len && memcmp(p->path, path, l->len) == 0 &&
	       (len == l->len || path[l->len] == '/');
}

/* Opens the folder `name` in the innermost one and enters it; `make`: makes it when it is missing.
 */
static int step_down(struct place *p, const char *name, size_t len, bool make)
{
	struct place_level *in = &p->levels[p->n - 1];
	int fd, r;

	fd = beneath_open(in->fd, name, O_RDONLY | O_DIRECTORY, 0);
	if (fd == -ENOENT && make) {
		if (mkdirat(in->fd, name, 0755) < 0)
			return -errno;
		p->implied++;
		fd = beneath_open(in->fd, name, O_RDONLY | O_DIRECTORY, 0);
	}
	if (fd < 0)
		return fd;
	r = push(p, fd, len);
	if (r < 0)
		(void)close(fd);
	return r;
}

/* Goes to the folder that is the first `len` bytes of `path` (0: the top). */
static int go_to(struct place *p, const char *path, size_t len, bool make)
{
	char name[FILTER_NAME_MAX + 1];
	int r;

	while (!is_above(p, &p->levels[p->n - 1], path, len)) {
		r = pop(p);
		if (r < 0)
			return r;
	}
	for (size_t at = p->levels[p->n - 1].len; at < len;) {
		size_t start = at > 0 ? at + 1 : 0, end = start;

		while (end < len && path[end] != '/')
			end++;
		if (end - start > FILTER_NAME_MAX || p->n >= ARRAY_SIZE(p->levels))
			return -ENAMETOOLONG; /* the filter has seen to it that this cannot be */
		memcpy(name, path + start, end - start);
		name[end - start] = '\0';
		r = step_down(p, name, end, make);
		if (r < 0)
			return r;
		memcpy(p->path + at, path + at, end - at);
		p->path[end] = '\0';
		at = end;
	}
	return 0;
}

/* Goes to the folder of `path`; its last component in *ret_name, the folder in *ret_fd. */
static int find_parent(struct place *p, const char *path, bool make, int *ret_fd,
		       const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	int r = go_to(p, path, slash ? (size_t)(slash - path) : 0, make);

	if (r < 0)
		return r;
	*ret_fd = p->levels[p->n - 1].fd;
	*ret_name = slash ? slash + 1 : path;
	return 0;
}

static int go_to_parent(struct place *p, const char *path, int *ret_fd, const char **ret_name)
{
	return find_parent(p, path, true, ret_fd, ret_name);
}

/* The same, without making what is missing: -ENOENT. */
static int go_to_parent_there(struct place *p, const char *path, int *ret_fd, const char **ret_name)
{
	return find_parent(p, path, false, ret_fd, ret_name);
}

int place_folder(struct place *p, const struct filter_plan *plan, const struct timespec *mtime)
{
	struct place_level *l;
	bool made = false;
	const char *name;
	int fd, r;

	if (plan->path[0]) {
		r = go_to_parent(p, plan->path, &fd, &name);
		if (r < 0)
			return r;
		made = mkdirat(fd, name, plan->mode) == 0;
		if (!made && errno != EEXIST)
			return -errno;
	}
	r = go_to(p, plan->path, strlen(plan->path), true);
	if (r < 0)
		return r;
	l = &p->levels[p->n - 1];
	/* a second entry of the same folder, or of one that had to be made without */
	if (l->mode != plan->mode && p->n > 1 && fchmod(l->fd, plan->mode) < 0)
		return -errno;
	l->mode = plan->mode;
	l->mtime = *mtime;
	return made ? 0 : 1;
}

int place_file(struct place *p, const struct filter_plan *plan, int *ret_fd)
{
	const char *name;
	int dirfd, r;

	r = go_to_parent(p, plan->path, &dirfd, &name);
	if (r < 0)
		return r;
	r = beneath_open(dirfd, name, O_WRONLY | O_CREAT | O_EXCL, plan->mode);
	if (r < 0)
		return r;
	*ret_fd = r;
	return 0;
}

int place_link(struct place *p, const struct filter_plan *plan, int fd)
{
	const char *name;
	char self[64];
	int dirfd, r;

	r = go_to_parent(p, plan->path, &dirfd, &name);
	if (r < 0)
		return r;
	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, self, dirfd, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

int place_symlink(struct place *p, const char *path, const char *target,
		  const struct timespec *mtime)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, *mtime};
	const char *name;
	int dirfd, r;

	r = go_to_parent(p, path, &dirfd, &name);
	if (r < 0)
		return r;
	if (symlinkat(target, dirfd, name) < 0)
		return -errno;
	return utimensat(dirfd, name, times, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

/* The folder of a hard link's target, opened anew: the way to it must be there already. */
static int open_target_folder(const struct place *p, const char *path, const char **ret_name)
{
	_cleanup_close_ int fd = beneath_open(p->levels[0].fd, ".", O_RDONLY | O_DIRECTORY, 0);
	char name[FILTER_NAME_MAX + 1];
	const char *slash;

	while (fd >= 0 && (slash = strchr(path, '/'))) {
		size_t n = (size_t)(slash - path);
		int sub;

		memcpy(name, path, n);
		name[n] = '\0';
		sub = beneath_open(fd, name, O_RDONLY | O_DIRECTORY, 0);
		if (sub < 0)
			return sub;
		(void)close(fd);
		fd = sub;
		path = slash + 1;
	}
	*ret_name = path;
	return take_fd(&fd);
}

int place_hardlink(struct place *p, const struct filter_plan *plan)
{
	_cleanup_close_ int from = -1;
	const char *name, *target;
	struct stat st;
	int dirfd, r;

	r = go_to_parent(p, plan->path, &dirfd, &name);
	if (r < 0)
		return r;
	from = open_target_folder(p, plan->target, &target);
	if (from < 0)
		return from;
	if (fstatat(from, target, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EPERM;
	return linkat(from, target, dirfd, name, 0) < 0 ? -errno : 0;
}

int place_unlink(struct place *p, const char *path, const char *target)
{
	char there[FILTER_TARGET_MAX + 1];
	const char *name;
	ssize_t n;
	int dirfd, r;

	r = go_to_parent_there(p, path, &dirfd, &name);
	if (r < 0)
		return r == -ENOENT || r == -ENOTDIR || r == -ELOOP ? 0 : r;
	n = readlinkat(dirfd, name, there, sizeof(there));
	if (n < 0)
		return errno == ENOENT || errno == EINVAL ? 0 : -errno;
	if ((size_t)n != strlen(target) || memcmp(there, target, (size_t)n) != 0)
		return 0;
	return unlinkat(dirfd, name, 0) < 0 ? -errno : 1;
}

static void count_gone(struct place *p, const struct stat *st, struct filter_sums *gone)
{
	uint64_t data;

	gone->entries++;
	if (!S_ISREG(st->st_mode) || !counted_take(&p->counted, st, &data))
		return;
	gone->apparent += (uint64_t)st->st_size;
	gone->data += data;
}

/* Something in the folder dirfd that is no folder, or is an empty one. */
static int remove_one(struct place *p, int dirfd, const char *name, const struct stat *st,
		      struct filter_sums *gone)
{
	if (unlinkat(dirfd, name, S_ISDIR(st->st_mode) ? AT_REMOVEDIR : 0) < 0)
		return -errno;
	count_gone(p, st, gone);
	return 0;
}

static int remove_tree(struct place *p, int dirfd, const char *name, unsigned depth,
		       struct filter_sums *gone);

/* Removes all that is in the folder: what getdents gives first, until it gives nothing more. */
static int empty_folder(struct place *p, int fd, unsigned depth, struct filter_sums *gone)
{
	_Alignas(struct dirent64) char names[4096];
	bool found;

	do {
		ssize_t n = lseek(fd, 0, SEEK_SET) < 0 ? -1 : getdents64(fd, names, sizeof(names));

		if (n < 0)
			return -errno;
		found = false;
		for (ssize_t at = 0; at < n;) {
			const struct dirent64 *ent = (const struct dirent64 *)(names + at);
			int r = 0;

			if (strcmp(ent->d_name, ".") != 0 && strcmp(ent->d_name, "..") != 0) {
				found = true;
				r = remove_tree(p, fd, ent->d_name, depth, gone);
			}
			if (r < 0)
				return r;
			at += ent->d_reclen;
		}
	} while (found);
	return 0;
}

/* No deeper than what place makes, which is no deeper than the filter allows. */
static int remove_tree(struct place *p, int dirfd, const char *name, unsigned depth,
		       struct filter_sums *gone)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return remove_one(p, dirfd, name, &st, gone);
	if (depth == 0)
		return -ENAMETOOLONG;
	fd = beneath_open(dirfd, name, O_RDONLY | O_DIRECTORY, 0);
	r = fd < 0 ? fd : empty_folder(p, fd, depth - 1, gone);
	return r < 0 ? r : remove_one(p, dirfd, name, &st, gone);
}

int place_remove(struct place *p, const char *path, struct filter_sums *gone)
{
	const char *name;
	int dirfd, r;

	r = go_to_parent_there(p, path, &dirfd, &name);
	return r < 0 ? r : remove_tree(p, dirfd, name, FILTER_DEPTH_MAX + 1, gone);
}
