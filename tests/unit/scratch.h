/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A scratch folder around each test of the archive module, and small things to do in it. */
#ifndef CONTRACTOR_TESTS_SCRATCH_H
#define CONTRACTOR_TESTS_SCRATCH_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "archive/output.h"
#include "base/io.h"
#include "base/log.h"
#include "unit.h"

static _unused_ char top[64], mounted[128];
static int top_fd = -1;

static inline void make_top(void)
{
	(void)snprintf(top, sizeof(top), "/tmp/test-archive-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(top));
	top_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(top_fd, 0);
	log_setup("test", LOG_WARNING);
}

static inline void remove_top(void)
{
	struct err e = ERR_INIT;
	int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (mounted[0])
		ck_assert_int_eq(umount2(mounted, MNT_DETACH), 0);
	ck_assert_msg(output_remove_tree(tmp, top + strlen("/tmp/"), &e) == 0, "%s", e.text);
	(void)close(tmp);
	fd_close(&top_fd);
}

static inline void put_file(const char *path, const char *text)
{
	int fd = openat(top_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(io_write_full(fd, text, strlen(text)), 0);
	(void)close(fd);
}

static inline void put_folder(const char *path)
{
	ck_assert_int_eq(mkdirat(top_fd, path, 0755), 0);
}

static inline int open_at(const char *path, int flags)
{
	int fd = openat(top_fd, path, flags | O_CLOEXEC, 0600);

	ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
	return fd;
}

static inline bool is_there(const char *path)
{
	struct stat st;

	return fstatat(top_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static inline void write_proc(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	(void)close(fd);
}

/* A private mount in a user namespace, so that it needs no root and ends with the process. */
static inline void mount_small(const char *path, const char *options)
{
	unsigned int uid = getuid(), gid = getgid();
	char map[64];

	ck_assert_int_eq(unshare(CLONE_NEWUSER | CLONE_NEWNS), 0);
	write_proc("/proc/self/setgroups", "deny");
	(void)snprintf(map, sizeof(map), "%u %u 1", uid, uid);
	write_proc("/proc/self/uid_map", map);
	(void)snprintf(map, sizeof(map), "%u %u 1", gid, gid);
	write_proc("/proc/self/gid_map", map);
	/* the descriptor is of the mounts before */
	fd_close(&top_fd);
	top_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	(void)snprintf(mounted, sizeof(mounted), "%s/%s", top, path);
	ck_assert_msg(mount("none", mounted, "tmpfs", 0, options) == 0, "%s", strerror(errno));
}

static inline TCase *archive_case(Suite *s, const char *name)
{
	TCase *tc = unit_case(s, name);

	tcase_add_checked_fixture(tc, make_top, remove_top);
	tcase_set_timeout(tc, 100);
	return tc;
}

#endif
