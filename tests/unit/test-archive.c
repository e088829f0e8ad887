/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Input and output against disks that fill, files that change and an unpacker that dies. */
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "archive/input.h"
#include "scratch.h"

/* Input */

/* A source folder of `a` (n bytes) and `b`, and its tree struct. */
static struct input_tree make_source(size_t n)
{
	_cleanup_free_ char *text = malloc(n + 1);

	ck_assert_ptr_nonnull(text);
	memset(text, 'a', n);
	text[n] = '\0';
	put_folder("source");
	put_file("source/a", text);
	put_file("source/b", "b");
	return (struct input_tree){
		.workspace_fd = -1,
		.source_fd = open_at("source", O_RDONLY | O_DIRECTORY),
		.workspace_name = "ws",
		.source_name = "the/source",
	};
}

/*
 * Writes the tree into a pipe; once the first block is through, `act` runs, and the writer, which
 * the pipe has stopped, goes on after it.
 */
static int write_with(struct input_tree *t, void (*act)(void), struct err *e)
{
	struct input_result res = {0};
	char block[65536];
	int p[2], status;
	pid_t pid;
	int r;

	ck_assert_int_eq(pipe2(p, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		(void)close(p[1]);
		if (read(p[0], block, 1) == 1)
			act();
		while (read(p[0], block, sizeof(block)) > 0)
			;
		_exit(0);
	}
	(void)close(p[0]);
	r = input_write_tree(p[1], t, &res, e);
	(void)close(p[1]);
	(void)close(t->source_fd);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	buf_done(&res.sources);
	return r;
}

static void unlink_b(void)
{
	(void)unlinkat(top_fd, "source/b", 0);
}

static void shorten_a(void)
{
	int fd = openat(top_fd, "source/a", O_WRONLY | O_CLOEXEC);

	(void)!ftruncate(fd, 300000);
	(void)close(fd);
}

static void grow_a(void)
{
	int fd = openat(top_fd, "source/a", O_WRONLY | O_APPEND | O_CLOEXEC);

	(void)!write(fd, "more", 4);
	(void)close(fd);
}

START_TEST(input_vanishes)
{
	struct input_tree t = make_source(2 * MIB);
	struct err e = ERR_INIT;

	ck_assert_int_eq(write_with(&t, unlink_b, &e), -ENOENT);
	ck_assert_str_eq(e.text, "the/source/b: vanished while it was read");
}
END_TEST

START_TEST(input_shrinks)
{
	struct input_tree t = make_source(2 * MIB);
	struct err e = ERR_INIT;

	ck_assert_int_eq(write_with(&t, shorten_a, &e), -ESTALE);
	ck_assert_str_eq(e.text, "the/source/a: became shorter while it was read");
}
END_TEST

START_TEST(input_grows)
{
	struct input_tree t = make_source(2 * MIB);
	struct err e = ERR_INIT;

	ck_assert_msg(write_with(&t, grow_a, &e) == 0, "%s", e.text);
}
END_TEST

START_TEST(input_unreadable)
{
	struct input_tree t = make_source(10);
	struct input_result res = {0};
	struct err e = ERR_INIT;
	int fd = open_at("disk", O_RDWR | O_CREAT);

	ck_assert_int_eq(fchmodat(top_fd, "source/a", 0, 0), 0);
	if (geteuid() == 0) {
		ck_assert_int_eq(chmod(top, 0755), 0);
		ck_assert_int_eq(seteuid(65534), 0);
	}
	ck_assert_int_eq(input_write_tree(fd, &t, &res, &e), -EACCES);
	ck_assert_str_eq(e.text, "the/source/a: cannot read: Permission denied");
	if (getuid() == 0)
		ck_assert_int_eq(seteuid(0), 0);
	(void)close(fd);
	(void)close(t.source_fd);
}
END_TEST

START_TEST(input_disk_full)
{
	struct input_tree t = make_source(2 * MIB);
	struct input_result res = {0};
	struct err e = ERR_INIT;
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	ck_assert_int_eq(input_write_tree(fd, &t, &res, &e), -ENOSPC);
	ck_assert_msg(strstr(e.text, "/dev/full: No space left") != NULL, "%s", e.text);
	(void)close(fd);
	(void)close(t.source_fd);
}
END_TEST

START_TEST(input_too_deep)
{
	struct input_tree t = make_source(1);
	struct input_result res = {0};
	struct err e = ERR_INIT;
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	int fd = open_at("source", O_RDONLY | O_DIRECTORY);

	for (int i = 0; i < 70; i++) {
		int sub;

		ck_assert_int_eq(mkdirat(fd, "deep", 0755), 0);
		sub = openat(fd, "deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		(void)close(fd);
		fd = sub;
	}
	(void)close(fd);
	ck_assert_int_eq(input_write_tree(null, &t, &res, &e), -ENAMETOOLONG);
	ck_assert_msg(strstr(e.text, "64 folders deep") != NULL, "%s", e.text);
	(void)close(null);
	(void)close(t.source_fd);
}
END_TEST

START_TEST(input_head)
{
	static const char script[] = "#!/bin/sh\n";
	const struct input_file files[] = {{"driver", script, sizeof(script) - 1, 0755}};
	_cleanup_free_ char *big = calloc(1, MIB);
	const struct input_file too_big[] = {{"driver", big, MIB, 0755}};
	struct err e = ERR_INIT;
	int fd = open_at("disk", O_RDWR | O_CREAT);

	ck_assert_int_eq(input_write_head(fd, files, 1, &e), 0);
	ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), MIB);
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	ck_assert_int_eq(input_write_head(fd, too_big, 1, &e), -EFBIG);
	(void)close(fd);
}
END_TEST

/* Output */

/* An input disk's second archive, of a workspace with n files of 4 KiB, as what a worker returned.
 */
static int make_returned(int n)
{
	struct input_tree t = make_source(4096);
	struct input_result res = {0};
	struct err e = ERR_INIT;
	char name[64];
	int fd = open_at("disk", O_RDWR | O_CREAT);

	for (int i = 0; i < n; i++) {
		(void)snprintf(name, sizeof(name), "source/f%d", i);
		ck_assert_int_eq(linkat(top_fd, "source/a", top_fd, name, 0), 0);
	}
	ck_assert_msg(input_write_tree(fd, &t, &res, &e) == 0, "%s", e.text);
	buf_done(&res.sources);
	(void)close(t.source_fd);
	return fd;
}

static int extract(int fd, uint64_t deadline_ms, struct err *e)
{
	const struct output_limits limits = {.bytes = GIB, .entries = 1000000};
	struct output_result res = {0};
	const char *hit = "";
	int r = output_extract(fd, NULL, &limits, top_fd, "fresh", deadline_ms, &res, &hit, e);

	buf_done(&res.outside_links);
	(void)close(fd);
	return r;
}

START_TEST(output_works)
{
	struct err e = ERR_INIT;

	ck_assert_msg(extract(make_returned(20), 30000, &e) == 0, "%s", e.text);
	ck_assert(is_there("fresh/src/a") && is_there("fresh/src/f19"));
}
END_TEST

START_TEST(output_exists)
{
	struct err e = ERR_INIT;

	put_folder("fresh");
	put_file("fresh/mine", "x");
	ck_assert_int_eq(extract(make_returned(1), 30000, &e), -EEXIST);
	ck_assert(is_there("fresh/mine"));
}
END_TEST

START_TEST(output_deadline)
{
	struct err e = ERR_INIT;

	ck_assert_int_eq(extract(make_returned(20000), 1, &e), -ETIMEDOUT);
	ck_assert(!is_there("fresh"));
}
END_TEST

START_TEST(output_disk_full)
{
	struct err e = ERR_INIT;
	int fd = make_returned(200), mnt;
	struct output_result res = {0};
	const struct output_limits limits = {.bytes = GIB, .entries = 1000000};
	const char *hit;

	put_folder("mnt");
	mount_small("mnt", "nr_inodes=20");
	mnt = open_at("mnt", O_RDONLY | O_DIRECTORY);
	put_file("mnt/filler", "x");
	for (int i = 0; i < 16; i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "mnt/filler%d", i);
		put_file(name, "x");
	}
	ck_assert_int_eq(output_extract(fd, NULL, &limits, mnt, "fresh", 30000, &res, &hit, &e),
			 -ENOSPC);
	ck_assert(!is_there("mnt/fresh"));
	(void)close(mnt);
	(void)close(fd);
}
END_TEST

static bool is_unpacker(pid_t pid)
{
	char path[64], name[32] = "";
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		(void)!read(fd, name, sizeof(name) - 1);
	fd_close(&fd);
	return strncmp(name, "contractor-unp", 14) == 0;
}

/* Finds the unpacking process among the children of `parent` and sends it a signal. */
static void kill_unpacker(pid_t parent, int sig)
{
	char path[64];

	for (int i = 0; i < 5000; i++) {
		struct buf b = {0};
		struct err e = ERR_INIT;
		uint64_t pid = 0;

		(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", parent, parent);
		(void)io_read_file(AT_FDCWD, path, 4096, &b, &e);
		for (const char *s = buf_str(&b); *s; s++) {
			if (*s >= '0' && *s <= '9') {
				pid = pid * 10 + (uint64_t)(*s - '0');
				continue;
			}
			if (is_unpacker((pid_t)pid))
				(void)kill((pid_t)pid, sig);
			pid = 0;
		}
		buf_done(&b);
		(void)poll(NULL, 0, 1);
	}
}

START_TEST(output_unpacker_dies)
{
	struct err e = ERR_INIT;
	int fd = make_returned(20000), r;
	pid_t parent = getpid(), pid = fork();

	if (pid == 0) {
		kill_unpacker(parent, SIGSEGV);
		_exit(0);
	}
	r = extract(fd, 60000, &e);
	(void)kill(pid, SIGKILL);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_int_eq(r, -EBADMSG);
	ck_assert_msg(strstr(e.text, "SIGSEGV") != NULL, "%s", e.text);
	ck_assert(!is_there("fresh"));
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("archive");
	TCase *tc = archive_case(s, "input");

	tcase_add_test(tc, input_vanishes);
	tcase_add_test(tc, input_shrinks);
	tcase_add_test(tc, input_grows);
	tcase_add_test(tc, input_unreadable);
	tcase_add_test(tc, input_disk_full);
	tcase_add_test(tc, input_too_deep);
	tcase_add_test(tc, input_head);
	tc = archive_case(s, "output");
	tcase_add_test(tc, output_works);
	tcase_add_test(tc, output_exists);
	tcase_add_test(tc, output_deadline);
	tcase_add_test(tc, output_disk_full);
	tcase_add_test(tc, output_unpacker_dies);
	return s;
}
