/* SPDX-License-Identifier: GPL-3.0-or-later */
/* src/base: numbers, buffers, text, JSON, the loop and child processes. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/child.h"
#include "base/fds.h"
#include "base/io.h"
#include "base/json.h"
#include "base/loop.h"
#include "base/num.h"
#include "base/text.h"

START_TEST(u64)
{
	uint64_t v = 7;

	ck_assert_int_eq(parse_u64("18446744073709551615", &v), 0);
	ck_assert_uint_eq(v, UINT64_MAX);
	ck_assert_int_eq(parse_u64("18446744073709551616", &v), -ERANGE);
	ck_assert_int_eq(parse_u64("", &v), -EINVAL);
	ck_assert_int_eq(parse_u64("-1", &v), -EINVAL);
	ck_assert_int_eq(parse_u64("1 ", &v), -EINVAL);
	ck_assert_int_eq(parse_u64("18446744073709551609999", &v), -ERANGE);
	ck_assert_int_eq(parse_u64("/", &v), -EINVAL);
	ck_assert_int_eq(parse_u64(":", &v), -EINVAL);
	ck_assert_int_eq(parse_u64("1:", &v), -EINVAL);
	ck_assert_int_eq(parse_u64("1/", &v), -EINVAL);
	ck_assert_uint_eq(v, UINT64_MAX);
	ck_assert_int_eq(parse_u64("0", &v), 0);
	ck_assert_uint_eq(v, 0);
}
END_TEST

START_TEST(sizes)
{
	static const struct {
		const char *text;
		int r;
		uint64_t v;
	} t[] = {
		{"0", 0, 0},
		{"12", 0, 12},
		{"1kB", 0, 1000},
		{"1 KiB", 0, 1024},
		{"1.5GiB", 0, 1610612736},
		{"2G", 0, 2 * GIB},
		{"0.1 MB", 0, 100000},
		{"16777216TiB", -ERANGE, 0},
		{"16777215TiB", 0, 16777215 * (1024 * GIB)},
		{"18446744073709551615", 0, UINT64_MAX},
		{"18446744073709551616", -ERANGE, 0},
		{"18446744073709551615kB", -ERANGE, 0},
		{"3B", 0, 3},
		{"3 B", 0, 3},
		{"3KB", 0, 3000},
		{"3k", 0, 3072},
		{"3K", 0, 3072},
		{"3kiB", 0, 3072},
		{"3MB", 0, 3000000},
		{"3MiB", 0, 3 * MIB},
		{"3M", 0, 3 * MIB},
		{"3GB", 0, 3000000000},
		{"3TB", 0, 3000000000000},
		{"3TiB", 0, 3072 * GIB},
		{"3T", 0, 3072 * GIB},
		{"1.0", 0, 1},
		{"1.5", -EINVAL, 0},
		{"1.5B", -EINVAL, 0},
		{"0.0005kB", 0, 0},
		{"0.123456789987654321GB", 0, 123456789},
		{"1.x", -EINVAL, 0},
		{"1. 5G", -EINVAL, 0},
		{"1  G", -EINVAL, 0},
		{" 1G", -EINVAL, 0},
		{"1G ", -EINVAL, 0},
		{"1GiBs", -EINVAL, 0},
		{"G", -EINVAL, 0},
		{"1e3", -EINVAL, 0},
		{"1 ", -EINVAL, 0},
		{"1Q", -EINVAL, 0},
		{"1mb", -EINVAL, 0},
		{".5G", -EINVAL, 0},
		{"1.", -EINVAL, 0},
		{"", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"1.0000000009 kB", 0, 1000},
		{"99999999999999999999", -ERANGE, 0},
		{"1.5x", -EINVAL, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		uint64_t v = 0;

		ck_assert_msg(parse_size(t[i].text, &v) == t[i].r && v == t[i].v, "%s", t[i].text);
	}
}
END_TEST

START_TEST(rates)
{
	static const struct {
		const char *text;
		int r;
		uint64_t v;
	} t[] = {
		{"5MB/s", 0, 5000000},
		{"1.5 KiB/s", 0, 1536},
		{"7/s", 0, 7},
		{"5MB", -EINVAL, 0},
		{"/s", -EINVAL, 0},
		{"s", -EINVAL, 0},
		{"", -EINVAL, 0},
		{"5Mbit/s", -EINVAL, 0},
		{"5MB/min", -EINVAL, 0},
		{"16777216TiB/s", -ERANGE, 0},
		{"00000000000000000000000000000001/s", -EINVAL, 0},
		{"0000000000000000000000000000001/s", 0, 1},
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		uint64_t v = 0;

		ck_assert_msg(parse_rate(t[i].text, &v) == t[i].r && v == t[i].v, "%s", t[i].text);
	}
}
END_TEST

START_TEST(doubles)
{
	static const struct {
		const char *text;
		int r;
		const char *out;
	} t[] = {
		{"0", 0, "0.0"},
		{"-0.0", 0, "-0.0"},
		{"1", 0, "1.0"},
		{"1.", 0, "1.0"},
		{".5", 0, "0.5"},
		{"-1.5e-3", 0, "-0.0015"},
		{"1e+15", 0, "1000000000000000.0"},
		{"1E16", 0, "1e+16"},
		{"123456.789", 0, "123456.789"},
		{"0.0001", 0, "0.0001"},
		{"0.00001", 0, "1e-05"},
		{"0.1", 0, "0.1"},
		{"0.30000000000000004", 0, "0.30000000000000004"},
		{"9007199254740993", 0, "9007199254740992.0"},
		{"1.7976931348623157e308", 0, "1.7976931348623157e+308"},
		{"5e-324", 0, "5e-324"},
		{"1e-400", 0, "0.0"},
		{"1e309", -ERANGE, ""},
		{"-1e309", -ERANGE, ""},
		{"", -EINVAL, ""},
		{"-", -EINVAL, ""},
		{".", -EINVAL, ""},
		{"+1", -EINVAL, ""},
		{"1e", -EINVAL, ""},
		{"1e+", -EINVAL, ""},
		{"1e-", -EINVAL, ""},
		{"1 ", -EINVAL, ""},
		{"1.5.", -EINVAL, ""},
		{"0x1p3", -EINVAL, ""},
		{"inf", -EINVAL, ""},
		{"nan", -EINVAL, ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		char out[NUM_TEXT_MAX] = "";
		double v = 0;
		int r = parse_double(t[i].text, &v);

		if (r == 0)
			(void)format_double(v, out);
		ck_assert_msg(r == t[i].r && strcmp(out, t[i].out) == 0, "%s: %d %s", t[i].text, r,
			      out);
	}
}
END_TEST

START_TEST(durations)
{
	static const struct {
		const char *text;
		int r;
		uint64_t v;
	} t[] = {
		{"90s", 0, 90000},
		{"10min", 0, 600000},
		{"2h", 0, 7200000},
		{"1h30min", 0, 5400000},
		{"1h 5s", 0, 3605000},
		{"250ms", 0, 250},
		{"1.5s", 0, 1500},
		{"7", 0, 7000},
		{"5s1h", -EINVAL, 0},
		{"1s1s", -EINVAL, 0},
		{"1h30", -EINVAL, 0},
		{"s", -EINVAL, 0},
		{"", -EINVAL, 0},
		{"1y", -EINVAL, 0},
		{"99999999999999999d", -ERANGE, 0},
		{"1d2h3m4s5ms", 0, 93784005},
		{"213503982334d15h", -ERANGE, 0},
		{"99999999999999999999s", -ERANGE, 0},
		{"1. s", -EINVAL, 0},
		{"1h ", -EINVAL, 0},
		{"1 ", -EINVAL, 0},
		{"1ss", -EINVAL, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		uint64_t v = 0;

		ck_assert_msg(parse_duration(t[i].text, &v) == t[i].r && v == t[i].v, "%s",
			      t[i].text);
	}
}
END_TEST

START_TEST(formats)
{
	char out[NUM_TEXT_MAX];

	ck_assert_str_eq(format_size(1023, out), "1023 B");
	ck_assert_str_eq(format_size(0, out), "0 B");
	ck_assert_str_eq(format_size(1024, out), "1 KiB");
	ck_assert_str_eq(format_size(2 * GIB, out), "2 GiB");
	ck_assert_str_eq(format_size(GIB + GIB / 2, out), "1.5 GiB");
	ck_assert_str_eq(format_size(UINT64_MAX, out), "15.9 EiB");
	ck_assert_str_eq(format_duration(350, out), "0.35 s");
	ck_assert_str_eq(format_duration(12400, out), "12.4 s");
	ck_assert_str_eq(format_duration(119999, out), "119.9 s");
	ck_assert_str_eq(format_duration(185000, out), "3 min 05 s");
	ck_assert_str_eq(format_duration(7620000, out), "2 h 07 min");
}
END_TEST

START_TEST(buf_cap)
{
	struct buf b = {.cap = 10};

	ck_assert_int_eq(buf_puts(&b, "0123456789"), 0);
	ck_assert_int_eq(buf_putc(&b, 'x'), -E2BIG);
	ck_assert_str_eq(buf_str(&b), "0123456789");
	buf_drop(&b, 4);
	ck_assert_str_eq(buf_str(&b), "456789");
	ck_assert_int_eq(buf_printf(&b, "%d", 1234), 0);
	ck_assert_str_eq(buf_str(&b), "4567891234");
	buf_done(&b);
	ck_assert_str_eq(buf_str(&b), "");
}
END_TEST

START_TEST(escape)
{
	static const char in[] = "a\x1b[31m\r\n\xff\xc2\x9b\xc3\xa9\xe2\x80\xae\r";
	struct buf b = {0};
	char line[12];

	ck_assert_int_eq(text_escape(&b, in, sizeof(in) - 1), 0);
	ck_assert_str_eq(buf_str(&b), "a\\x1b[31m\n\\xff\\xc2\\x9b\xc3\xa9\\xe2\\x80\\xae\\x0d");
	buf_done(&b);
	ck_assert_str_eq(text_escape_line("one\ntwothree", 12, line, sizeof(line)), "one\\ntwo...");
	ck_assert_str_eq(text_escape_line("1234567\xc3\xa9z1234", 14, line, sizeof(line)),
			 "1234567...");
	ck_assert(text_is_utf8("\xed\x9f\xbf", 3));
	ck_assert(!text_is_utf8("\xed\xa0\x80", 3));
	ck_assert(!text_is_utf8("\xc0\xaf", 2));
}
END_TEST

START_TEST(nearest)
{
	static const char *const names[] = {"worker-image", "workspace", "build", "source"};

	ck_assert_str_eq(text_nearest("worker_image", names, 4), "worker-image");
	ck_assert_str_eq(text_nearest("biuld", names, 4), "build");
	ck_assert_ptr_null(text_nearest("limits", names, 4));
}
END_TEST

START_TEST(json)
{
	static const char text[] = "{\"a\": 9007199254740992, \"A\": -1, \"b\": 1.5, \"t\": true}";
	cJSON *j = NULL;
	uint64_t v = 0;

	ck_assert_int_eq(json_parse(text, sizeof(text) - 1, &j, NULL), 0);
	ck_assert_int_eq(json_u64(j, "a", &v), 0);
	ck_assert_uint_eq(v, 9007199254740992);
	ck_assert_int_eq(json_u64(j, "A", &v), -ERANGE);
	ck_assert_int_eq(json_u64(j, "b", &v), -EINVAL);
	ck_assert_int_eq(json_u64(j, "c", &v), -ENOENT);
	ck_assert(json_bool_or(j, "t", false));
	json_free(j);
	ck_assert_int_eq(json_parse("{} x", 4, &j, NULL), -EBADMSG);
	ck_assert_int_eq(json_parse("{} \n", 4, &j, NULL), 0);
	json_free(j);
	ck_assert_int_eq(json_parse("", 0, &j, NULL), -EBADMSG);
}
END_TEST

static void on_timer(struct loop_source *s, void *user_data)
{
	(void)loop_remove(s);
	loop_quit(user_data, 5);
}

static void on_child(struct loop_source *s, const siginfo_t *info, void *user_data)
{
	loop_quit(user_data, info->si_status);
}

START_TEST(loop)
{
	const char *const argv[] = {"sh", "-c", "exit 3", NULL};
	struct child_spec spec = {.path = "sh", .argv = argv};
	struct loop_source *s;
	struct loop *l;
	pid_t pid;

	ck_assert_int_eq(loop_new(&l), 0);
	ck_assert_int_eq(loop_add_timer(l, on_timer, l, &s), 0);
	ck_assert_int_eq(loop_timer_set(s, 0, 0), 0);
	ck_assert_int_eq(loop_run(l), 5);
	pid = child_spawn(&spec, NULL);
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(loop_add_child(l, pid, on_child, l, &s), 0);
	ck_assert_int_eq(loop_run(l), 3);
	loop_free(l);
}
END_TEST

START_TEST(child_fds)
{
	const char *const argv[] = {"sh", "-c", "ls /proc/self/fd | tr '\\n' ' '; cat <&9", NULL};
	struct buf b = {0};
	struct err e = ERR_INIT;
	int out[2], in[2], status;
	struct child_spec spec = {.path = "sh", .argv = argv};
	pid_t pid;

	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe(in), 0);
	/* targets that collide with sources */
	struct child_fd fds[] = {{out[1], 1}, {in[0], 9}};
	spec.fds = fds;
	spec.n_fds = 2;
	pid = child_spawn(&spec, &e);
	ck_assert_msg(pid > 0, "%s", e.text);
	ck_assert_int_eq(write(in[1], "hi", 2), 2);
	close(in[1]);
	close(in[0]);
	close(out[1]);
	ck_assert_int_eq(io_read_all(out[0], 1000, &b), 0);
	close(out[0]);
	ck_assert_int_eq(child_wait(pid, &status), 0);
	ck_assert_int_eq(status, 0);
	ck_assert_str_eq(buf_str(&b), "0 1 2 3 9 hi"); /* 3 is the folder that ls reads */
	buf_done(&b);
}
END_TEST

START_TEST(child_errors)
{
	const char *const none[] = {"/nonexistent/program", NULL};
	const char *const fail[] = {"sh", "-c", "exit 9", NULL};
	const char *const dies[] = {"sh", "-c", "kill -9 $$", NULL};
	const char *const slow[] = {"sleep", "60", NULL};
	const char *const leaves[] = {"sh", "-c", "sleep 3 &", NULL};
	struct buf out = {0};
	struct err e = ERR_INIT;

	ck_assert_int_eq(child_run(none, NULL, 0, 60, &e), -ENOENT);
	ck_assert_ptr_nonnull(strstr(e.text, "/nonexistent/program"));
	ck_assert_int_eq(child_run(fail, NULL, 0, 60, &e), -ECHILD);
	ck_assert_str_eq(e.text, "sh: exit status 9");
	ck_assert_int_eq(child_run(dies, NULL, 0, 60, &e), -ECHILD);
	ck_assert_str_eq(e.text, "sh: killed by signal 9 (SIGKILL)");

	/* one that goes on, and one that leaves its stdout to another */
	ck_assert_int_eq(child_run(slow, NULL, 0, 1, &e), -ETIMEDOUT);
	ck_assert_str_eq(e.text, "sleep: has not ended after 1 s");
	ck_assert_int_eq(child_run(slow, &out, 100, 1, &e), -ETIMEDOUT);
	ck_assert_int_eq(child_run(leaves, &out, 100, 1, &e), -ETIMEDOUT);
	buf_done(&out);
}
END_TEST

/* Wherever the descriptors end, the program runs or it is told that, and why, it could not. */
START_TEST(child_few_descriptors)
{
	const char *const argv[] = {"true", NULL};
	const struct child_fd fds[] = {{0, 0}, {1, 1}, {2, 2}};
	const struct child_spec spec = {.path = "true", .argv = argv, .fds = fds, .n_fds = 3};
	struct rlimit all, few;
	int told = 0, status = -1;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &all), 0);
	few = all;
	for (few.rlim_cur = 3; status != 0; few.rlim_cur++) {
		struct err e = ERR_INIT;
		pid_t pid;

		ck_assert_uint_lt(few.rlim_cur, 100);
		ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
		pid = child_spawn(&spec, &e);
		ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &all), 0);
		if (pid < 0) {
			ck_assert_msg(strstr(e.text, "Too many open files"), "%s", e.text);
			told++;
			continue;
		}
		ck_assert_int_eq(child_wait(pid, &status), 0);
		ck_assert_msg(status == 0, "status %d with %lu", status, few.rlim_cur);
	}
	ck_assert_int_gt(told, 3);
}
END_TEST

/* Three go over, one was asked for: the pipe has no other writer left when that one is closed. */
START_TEST(descriptors)
{
	int pair[2], p[2], got, none[2];
	char data[8] = "", byte;
	const struct iovec out = {(char[]){"seven.."}, 7}, in = {data, 4};

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	ck_assert_int_eq(pipe2(p, O_CLOEXEC | O_NONBLOCK), 0);
	ck_assert_int_eq(fds_send(pair[0], &out, 1, (int[]){p[1], p[1], p[1]}, 3, 0), 7);
	fd_close(&p[1]);
	ck_assert_int_eq(fds_receive(pair[1], &in, 1, &got, 1, MSG_TRUNC), 7);
	ck_assert_str_eq(data, "seve");
	ck_assert_int_eq(fcntl(got, F_GETFD), FD_CLOEXEC);
	ck_assert_int_eq(read(p[0], &byte, 1), -1);
	ck_assert_int_eq(errno, EAGAIN);
	fd_close(&got);
	ck_assert_int_eq(read(p[0], &byte, 1), 0);
	fd_close(&p[0]);

	ck_assert_int_eq(fds_send(pair[0], &out, 1, NULL, 0, 0), 7);
	ck_assert_int_eq(fds_receive(pair[1], &in, 1, none, 2, 0), 4);
	ck_assert(none[0] == -1 && none[1] == -1);
	ck_assert_int_eq(fds_receive(pair[1], &in, 1, none, 2, MSG_DONTWAIT), -EAGAIN);
	ck_assert_int_eq(fds_send(pair[0], &out, 1, none, FDS_MAX + 1, 0), -E2BIG);
	fd_close(&pair[1]);
	ck_assert_int_eq(fds_send(pair[0], &out, 1, NULL, 0, 0), -EPIPE);
	fd_close(&pair[0]);
}
END_TEST

START_TEST(files)
{
	char dir[] = "/tmp/contractor-test-XXXXXX", path[128], there[10];
	struct buf b = {0};
	struct err e = ERR_INIT;
	int fd;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	fd = io_tmpfile(dir, &e);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(io_pwrite_full(fd, "hello", 5, 3), 0);
	ck_assert_int_eq(io_pread_full(fd, there, sizeof(there), 4), 4);
	ck_assert_mem_eq(there, "ello", 4);
	ck_assert_int_eq(io_pread_full(fd, there, sizeof(there), 9), 0);
	close(fd);
	ck_assert_int_eq(io_pwrite_full(fd, "x", 1, 0), -EBADF);
	(void)snprintf(path, sizeof(path), "%s/a/b", dir);
	ck_assert_int_eq(io_mkdir_p(path, 0700, &e), 0);
	ck_assert_int_eq(io_mkdir_p(path, 0700, &e), 0);
	ck_assert_int_eq(io_read_file(AT_FDCWD, path, 10, &b, &e), -EISDIR);
	ck_assert_int_eq(rmdir(path), 0);
	ck_assert_int_eq(io_write_file_atomic(path, "hello", 5, 0600, &e), 0);
	ck_assert_int_eq(io_read_file(AT_FDCWD, path, 4, &b, &e), -EFBIG);
	ck_assert_int_eq(io_read_file(AT_FDCWD, path, 5, &b, &e), 0);
	ck_assert_str_eq(buf_str(&b), "hello");
	buf_done(&b);
	ck_assert_int_eq(unlink(path), 0);
	(void)snprintf(path, sizeof(path), "%s/a", dir);
	ck_assert_int_eq(rmdir(path), 0);
	ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("base");
	TCase *tc = unit_case(s, "base");

	tcase_add_test(tc, u64);
	tcase_add_test(tc, sizes);
	tcase_add_test(tc, rates);
	tcase_add_test(tc, doubles);
	tcase_add_test(tc, durations);
	tcase_add_test(tc, formats);
	tcase_add_test(tc, buf_cap);
	tcase_add_test(tc, escape);
	tcase_add_test(tc, nearest);
	tcase_add_test(tc, json);
	tcase_add_test(tc, loop);
	tcase_add_test(tc, child_fds);
	tcase_add_test(tc, child_errors);
	tcase_add_test(tc, child_few_descriptors);
	tcase_add_test(tc, files);
	tcase_add_test(tc, descriptors);
	return s;
}
