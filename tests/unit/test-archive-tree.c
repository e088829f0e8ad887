/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Removing and swapping of folders, and the guard that outlives its maker. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "archive/guard.h"
#include "scratch.h"

/* Removing and swapping */

START_TEST(remove_missing)
{
	struct err e = ERR_INIT;

	ck_assert_int_eq(output_remove_tree(top_fd, "none", &e), 0);
}
END_TEST

START_TEST(remove_file)
{
	struct err e = ERR_INIT;

	put_file("f", "x");
	ck_assert_int_eq(output_remove_tree(top_fd, "f", &e), -ENOTDIR);
	ck_assert_int_eq(symlinkat("/", top_fd, "l"), 0);
	ck_assert_int_eq(output_remove_tree(top_fd, "l", &e), -ENOTDIR);
	ck_assert(is_there("f") && is_there("l"));
}
END_TEST

/* Far deeper than a path can be, and than there are descriptors. */
START_TEST(remove_deep)
{
	struct err e = ERR_INIT;
	int fd, sub;

	put_folder("t");
	fd = open_at("t", O_RDONLY | O_DIRECTORY);
	for (int i = 0; i < 3000; i++) {
		ck_assert_int_eq(mkdirat(fd, "deeper-and-deeper", 0755), 0);
		sub = openat(fd, "deeper-and-deeper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		ck_assert_int_ge(sub, 0);
		(void)close(fd);
		fd = sub;
	}
	(void)close(fd);
	ck_assert_msg(output_remove_tree(top_fd, "t", &e) == 0, "%s", e.text);
	ck_assert(!is_there("t"));
}
END_TEST

/* Links out, closed folders, names like those of the removal itself. */
START_TEST(remove_awkward)
{
	struct err e = ERR_INIT;

	put_folder("out");
	put_file("out/keep", "x");
	put_folder("t");
	put_folder("t/.contractor-rm-0");
	put_file("t/.contractor-rm-0/f", "x");
	put_folder("t/closed");
	put_folder("t/closed/in");
	put_folder("t/closed/in/in");
	put_file("t/closed/in/in/f", "x");
	ck_assert_int_eq(symlinkat("../out", top_fd, "t/link"), 0);
	ck_assert_int_eq(symlinkat("../../out", top_fd, "t/closed/link"), 0);
	ck_assert_int_eq(linkat(top_fd, "out/keep", top_fd, "t/hard", 0), 0);
	ck_assert_int_eq(fchmodat(top_fd, "t/closed/in/in", 0, 0), 0);
	ck_assert_int_eq(fchmodat(top_fd, "t/closed/in", 0100, 0), 0);
	ck_assert_int_eq(fchmodat(top_fd, "t/closed", 0, 0), 0);
	ck_assert_int_eq(fchmodat(top_fd, "t", 0500, 0), 0);
	ck_assert_msg(output_remove_tree(top_fd, "t", &e) == 0, "%s", e.text);
	ck_assert(!is_there("t"));
	ck_assert(is_there("out/keep"));
}
END_TEST

START_TEST(swap_both)
{
	struct err e = ERR_INIT;

	put_folder("new");
	put_file("new/n", "x");
	put_folder("ws");
	put_file("ws/o", "x");
	ck_assert_int_eq(output_swap(top_fd, "new", "ws", &e), 0);
	ck_assert(is_there("ws/n") && is_there("new/o"));
}
END_TEST

START_TEST(swap_first)
{
	struct err e = ERR_INIT;

	put_folder("new");
	ck_assert_int_eq(output_swap(top_fd, "new", "ws", &e), 0);
	ck_assert(is_there("ws") && !is_there("new"));
	ck_assert_int_eq(output_swap(top_fd, "new", "ws", &e), -ENOENT);
	ck_assert(is_there("ws"));
}
END_TEST

/* Makes renameat2 fail like a file system that has no exchange; for the rest of this process. */
static void forbid_exchange(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_renameat2, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[4])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {.len = ARRAY_SIZE(code), .filter = code};

	ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	ck_assert_int_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog), 0);
}

START_TEST(swap_without_exchange)
{
	struct err e = ERR_INIT;

	forbid_exchange();
	put_folder("new");
	put_file("new/n", "x");
	put_folder("ws");
	put_folder("ws/o");
	put_folder("ws/o/p");
	put_file("ws/o/p/f", "x");
	ck_assert_int_eq(output_swap(top_fd, "new", "ws", &e), 0);
	ck_assert(is_there("ws/n") && is_there("new/o") && !is_there("new.old"));
	ck_assert_msg(output_remove_tree(top_fd, "new", &e) == 0, "%s", e.text);
	ck_assert_int_eq(output_swap(top_fd, "gone", "ws", &e), -ENOENT);
	ck_assert(is_there("ws/n") && !is_there("gone.old"));
}
END_TEST

START_TEST(remove_mount_point)
{
	struct err e = ERR_INIT;

	put_folder("t");
	put_folder("t/d");
	put_folder("t/d/mnt");
	mount_small("t/d/mnt", "size=1m");
	put_file("t/d/mnt/keep", "x");
	ck_assert_int_eq(output_remove_tree(top_fd, "t", &e), -EXDEV);
	ck_assert_msg(strstr(e.text, "mnt: is a mount point") != NULL, "%s", e.text);
}
END_TEST

/* Guard */

START_TEST(guard_ends)
{
	struct guard *g = NULL;
	struct err e = ERR_INIT;

	ck_assert_msg(guard_new(top_fd, "fresh", -1, &g, &e) == 0, "%s", e.text);
	put_folder("fresh");
	put_file("fresh/f", "x");
	ck_assert_ptr_null(guard_free(g));
	ck_assert(!is_there("fresh"));
	ck_assert_ptr_null(guard_free(NULL));
}
END_TEST

/* The lock is held until the folder is gone, though the maker, which is killed, held it first. */
START_TEST(guard_outlives)
{
	int other, lock = open_at("lock", O_RDWR | O_CREAT), status;
	pid_t pid = fork();

	if (pid == 0) {
		struct guard *g = NULL;
		struct err e = ERR_INIT;
		pid_t bystander;

		(void)flock(lock, LOCK_EX);
		if (guard_new(top_fd, "fresh", lock, &g, &e) < 0)
			_exit(1);
		put_folder("fresh");
		for (int i = 0; i < 500; i++) {
			char name[32];

			(void)snprintf(name, sizeof(name), "fresh/f%d", i);
			put_file(name, "x");
		}
		/* someone else who holds the pipe must not keep the guard from its work */
		bystander = fork();
		if (bystander == 0) {
			(void)close(lock);
			(void)poll(NULL, 0, 3000);
			_exit(0);
		}
		(void)kill(getpid(), SIGKILL);
	}
	(void)close(lock);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status));
	other = open_at("lock", O_RDWR);
	ck_assert_int_eq(flock(other, LOCK_EX), 0);
	ck_assert(!is_there("fresh"));
	(void)close(other);
}
END_TEST

START_TEST(guard_ignores_signals)
{
	struct guard *g = NULL;
	struct err e = ERR_INIT;
	char path[64];
	struct buf b = {0};
	uint64_t pid = 0;

	ck_assert_int_eq(guard_new(top_fd, "fresh", -1, &g, &e), 0);
	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", getpid(), getpid());
	ck_assert_int_eq(io_read_file(AT_FDCWD, path, 4096, &b, &e), 0);
	for (const char *s = buf_str(&b); *s >= '0' && *s <= '9'; s++)
		pid = pid * 10 + (uint64_t)(*s - '0');
	buf_done(&b);
	ck_assert_uint_gt(pid, 1);
	ck_assert_int_eq(getsid((pid_t)pid), (pid_t)pid);
	(void)kill((pid_t)pid, SIGINT);
	(void)kill((pid_t)pid, SIGTERM);
	(void)kill((pid_t)pid, SIGHUP);
	put_folder("fresh");
	guard_free(g);
	ck_assert(!is_there("fresh"));
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("archive-tree");
	TCase *tc = archive_case(s, "tree");

	tcase_add_test(tc, remove_missing);
	tcase_add_test(tc, remove_file);
	tcase_add_test(tc, remove_deep);
	tcase_add_test(tc, remove_awkward);
	tcase_add_test(tc, remove_mount_point);
	tcase_add_test(tc, swap_both);
	tcase_add_test(tc, swap_first);
	tcase_add_test(tc, swap_without_exchange);
	tc = archive_case(s, "guard");
	tcase_add_test(tc, guard_ends);
	tcase_add_test(tc, guard_outlives);
	tcase_add_test(tc, guard_ignores_signals);
	return s;
}
