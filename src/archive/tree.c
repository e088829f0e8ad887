/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whole trees: swapping two folders and removing one, without following anything. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "base/text.h"
#include "beneath.h"
#include "output.h"

/* What a removal knows; `top` is the folder that goes, all else hangs directly below it. */
struct removal {
	int top;
	uint64_t next; /* for names of folders that were moved up */
	bool found;    /* the present pass over `top` met something */
	struct err *e;
};

static int failed(struct removal *rm, int code, const char *what, const char *name)
{
	char text[300];

	if (code == -EXDEV)
		return err_set(rm->e, code, "%s: is a mount point; unmount it first",
			       text_escape_line(name, strlen(name), text, sizeof(text)));
	return err_errno(rm->e, code, "%s: cannot %s",
			 text_escape_line(name, strlen(name), text, sizeof(text)), what);
}

/* The folder `name` itself, never another file system's root, made readable; or a negative errno.
 */
static int open_folder(int dirfd, const char *name)
{
	_cleanup_close_ int fd = -1;
	char link[64];
	struct stat st;
	int r;

	fd = beneath_open(dirfd, name, O_PATH | O_DIRECTORY, 0);
	if (fd < 0)
		return take_fd(&fd);
	if (fstat(fd, &st) < 0)
		return -errno;
	if ((st.st_mode & 0700) != 0700) {
		(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		if (chmod(link, 0700) < 0)
			return -errno;
	}
	r = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return r < 0 ? -errno : r;
}

/* A folder with something in it goes up to `top`, so that depth costs neither stack nor fds. */
static int move_up(struct removal *rm, int dirfd, const char *name)
{
	char target[64];
	int fd = open_folder(dirfd, name); /* a folder that moves must be writable: its ".." */

	if (fd < 0)
		return failed(rm, fd, "open the folder", name);
	(void)close(fd);
	for (;;) {
		(void)snprintf(target, sizeof(target), ".contractor-rm-%llu",
			       (unsigned long long)rm->next++);
		if (renameat2(dirfd, name, rm->top, target, RENAME_NOREPLACE) == 0)
			return 0;
		if (errno == EINVAL || errno == ENOSYS) { /* no such flag on this file system */
			if (faccessat(rm->top, target, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
				continue;
			if (renameat(dirfd, name, rm->top, target) == 0)
				return 0;
		}
		if (errno != EEXIST && errno != ENOTEMPTY)
			return failed(rm, -errno, "move the folder", name);
	}
}

static int remove_entry(struct removal *rm, int dirfd, const struct dirent *de);

/* Empties one folder that hangs below `top`. */
static int empty_folder(struct removal *rm, int dirfd)
{
	DIR *d = fdopendir(dirfd);
	struct dirent *de;
	int r = 0;

	if (!d) {
		r = -errno;
		(void)close(dirfd);
		return failed(rm, r, "read the folder", ".");
	}
	for (;;) {
		errno = 0;
		de = readdir(d);
		if (!de) {
			if (errno)
				r = failed(rm, -errno, "read the folder", ".");
			break;
		}
		if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
			continue;
		r = remove_entry(rm, dirfd, de);
		if (r < 0)
			break;
	}
	(void)closedir(d);
	return r;
}

/* Removes a file, or an empty folder; another folder is emptied here in `top`, else moved there. */
static int remove_entry(struct removal *rm, int dirfd, const struct dirent *de)
{
	int fd, r;

	rm->found = true;
	if (de->d_type != DT_DIR) {
		if (unlinkat(dirfd, de->d_name, 0) == 0 || errno == ENOENT)
			return 0;
		if (errno != EISDIR && errno != EPERM)
			return failed(rm, -errno, "remove", de->d_name);
	}
	if (unlinkat(dirfd, de->d_name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (errno == ENOTDIR)
		return failed(rm, -EPERM, "remove", de->d_name);
	if (errno != ENOTEMPTY && errno != EEXIST)
		return failed(rm, errno == EBUSY ? -EXDEV : -errno, "remove", de->d_name);
	if (dirfd != rm->top)
		return move_up(rm, dirfd, de->d_name);
	fd = open_folder(dirfd, de->d_name);
	if (fd < 0)
		return fd == -ENOENT ? 0 : failed(rm, fd, "open the folder", de->d_name);
	r = empty_folder(rm, fd);
	if (r == 0 && unlinkat(dirfd, de->d_name, AT_REMOVEDIR) < 0 && errno != ENOENT &&
	    errno != ENOTEMPTY)
		r = failed(rm, -errno, "remove the folder", de->d_name);
	return r;
}

int output_remove_tree(int parent_fd, const char *name, struct err *e)
{
	_cleanup_close_ int top = -1;
	struct removal rm = {.e = e};
	int fd, r;

	top = open_folder(parent_fd, name);
	if (top == -ENOENT)
		return 0;
	rm.top = top;
	if (top == -ENOTDIR || top == -ELOOP)
		return err_set(e, -ENOTDIR, "%s: is not a folder", name);
	if (top < 0)
		return failed(&rm, top, "remove the folder", name);
	/*
	 * Folders that move up may or may not be met by the pass that moves them, and a process
	 * that is about to die may still add files: until nothing is left.
	 */
	do {
		rm.found = false;
		fd = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			return failed(&rm, -errno, "open the folder", name);
		r = empty_folder(&rm, rm.top = fd);
		rm.top = top;
		if (r < 0)
			return err_wrap(e, "%s", name);
	} while (rm.found);
	if (unlinkat(parent_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return failed(&rm, -errno, "remove the folder", name);
	return 0;
}

/* Where the file system cannot exchange: aside, in, and back again when the second step fails. */
static int swap_by_renames(int parent_fd, const char *fresh, const char *name, struct err *e)
{
	char aside[300];
	int code;

	if ((size_t)snprintf(aside, sizeof(aside), "%s.old", fresh) >= sizeof(aside))
		return err_errno(e, -ENAMETOOLONG, "%s", fresh);
	if (renameat(parent_fd, name, parent_fd, aside) < 0)
		return err_errno(e, -errno, "%s: cannot move the old folder aside", name);
	if (renameat(parent_fd, fresh, parent_fd, name) < 0) {
		code = -errno;
		if (renameat(parent_fd, aside, parent_fd, name) < 0)
			return err_errno(e, code,
					 "%s: cannot put the new folder in place, and the old one "
					 "is left as %s",
					 name, aside);
		return err_errno(e, code, "%s: cannot put the new folder in place", name);
	}
	if (renameat(parent_fd, aside, parent_fd, fresh) < 0)
		return err_errno(e, -errno, "%s: the old folder is left as %s", name, aside);
	return 0;
}

int output_swap(int parent_fd, const char *fresh, const char *name, struct err *e)
{
	struct stat st;

	if (renameat2(parent_fd, fresh, parent_fd, name, RENAME_EXCHANGE) == 0)
		return 0;
	if (errno != ENOENT && errno != EINVAL && errno != ENOSYS)
		return err_errno(e, -errno, "%s: cannot put the new folder in place", name);
	if (fstatat(parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return swap_by_renames(parent_fd, fresh, name, e);
	if (errno != ENOENT)
		return err_errno(e, -errno, "%s: cannot look at the old folder", name);
	if (renameat(parent_fd, fresh, parent_fd, name) < 0)
		return err_errno(e, -errno, "%s: cannot put the new folder in place", name);
	return 0;
}
