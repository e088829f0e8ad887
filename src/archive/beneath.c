/* SPDX-License-Identifier: GPL-3.0-or-later */
/* openat2 with all that it can refuse, and what stands in for it where it is missing. */
#include "beneath.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/macro.h"

/*
 * Before Linux 5.6, under an old container's system call filter and under valgrind. For a single
 * component O_NOFOLLOW says the same; a bind mount of the same file system is not seen.
 */
static int open_plain(int dirfd, const char *name, int flags, mode_t mode)
{
	_cleanup_close_ int fd = openat(dirfd, name, flags, mode);
	struct stat in, st;

	if (fd < 0)
		return -errno;
	if (fstat(dirfd, &in) < 0 || fstat(fd, &st) < 0)
		return -errno;
	return in.st_dev == st.st_dev ? take_fd(&fd) : -EXDEV;
}

int beneath_open(int dirfd, const char *name, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (unsigned int)(flags | O_NOFOLLOW | O_CLOEXEC),
		.mode = flags & O_CREAT ? mode : 0,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
			   RESOLVE_NO_XDEV,
	};
	int fd;

	assert(!strchr(name, '/') && strcmp(name, "..") != 0);
	fd = (int)syscall(SYS_openat2, dirfd, name, &how, sizeof(how));
	if (fd >= 0)
		return fd;
	if (errno == ENOSYS || errno == EPERM)
		return open_plain(dirfd, name, flags | O_NOFOLLOW | O_CLOEXEC, mode);
	return -errno;
}

int beneath_find(int dirfd, const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |
			   RESOLVE_NO_XDEV,
	};
	int fd = (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}
