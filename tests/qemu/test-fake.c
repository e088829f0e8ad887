/* SPDX-License-Identifier: GPL-3.0-or-later */
/* vm_start with programs in QEMU's place that misbehave: shell scripts, in the real jail. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/io.h"
#include "bench.h"
#include "unit.h"

/* In QEMU 3 is QMP, 4 the console; this answers until qmp_capabilities is through. */
#define HANDSHAKE \
	"echo '{\"QMP\": {}}' >&3; read -r line <&3; echo '{\"return\": {}, \"id\": 1}' >&3; "

struct script {
	char dir[64], path[128];
};

static void script_init(struct script *s, const char *text)
{
	struct buf b = {0};

	(void)snprintf(s->dir, sizeof(s->dir), "/tmp/contractor-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(s->dir));
	(void)snprintf(s->path, sizeof(s->path), "%s/qemu", s->dir);
	ck_assert_int_eq(buf_printf(&b, "#!/usr/bin/sh\n%s\n", text), 0);
	ck_assert_int_eq(io_write_file_atomic(s->path, b.data, b.len, 0700, NULL), 0);
	ck_assert_int_eq(setenv("CONTRACTOR_QEMU", s->path, 1), 0);
	buf_done(&b);
}

static void script_done(struct script *s)
{
	ck_assert_int_eq(unlink(s->path), 0);
	ck_assert_int_eq(rmdir(s->dir), 0);
}

/* Runs the script to its end, which must come; bench and script are the caller's to end. */
static void run(struct bench *b, struct script *s, const char *text)
{
	script_init(s, text);
	bench_init(b);
	b->s.qmp_deadline_ms = 300;
	b->s.cpu_time_ms = 1;
	bench_start(b);
	bench_until(b, &b->exits, 1);
}

static void done(struct bench *b, struct script *s)
{
	bench_done(b);
	script_done(s);
}

static void expect_end(struct bench *b, const char *want)
{
	char text[512];

	ck_assert_str_eq(vm_end_text(b->v, text, sizeof(text)), want);
}

START_TEST(ends)
{
	struct script s;
	struct bench b;

	run(&b, &s, "exit 3");
	ck_assert_int_eq(b.status, 3 << 8);
	expect_end(&b, "exit status 3");
	done(&b, &s);

	run(&b, &s, "echo 'first line' >&2; printf 'no \\033[31mluck' >&2; exit 1");
	expect_end(&b, "exit status 1 (no \\x1b[31mluck)");
	done(&b, &s);

	/* a page of a mapped file is not there, as where its disk is full; 6 is a disk */
	run(&b, &s,
	    "exec python3 -c 'import mmap, os\n"
	    "os.ftruncate(6, 4096)\n"
	    "m = mmap.mmap(6, 4096)\n"
	    "os.ftruncate(6, 0)\n"
	    "m[0]'");
	expect_end(&b, "killed by signal 7 (SIGBUS), no space left for the file behind its memory");
	done(&b, &s);
}
END_TEST

START_TEST(silent)
{
	struct script s;
	struct bench b;

	/* it is killed before it can see the end of QMP, so that it always ends in one way */
	run(&b, &s, "read -r line <&3; exit 7");
	ck_assert(WIFSIGNALED(b.status) && WTERMSIG(b.status) == SIGKILL);
	expect_end(&b, "killed by signal 9 (SIGKILL); QEMU sent no QMP greeting within its "
		       "deadline");
	done(&b, &s);

	/* it hangs up, and stays */
	run(&b, &s, "exec 3>&-; read -r line <&4");
	expect_end(&b, "killed by signal 9 (SIGKILL)");
	done(&b, &s);
}
END_TEST

START_TEST(garbage)
{
	struct script s;
	struct bench b;

	run(&b, &s, "echo garbage >&3; while read -r line <&3; do :; done; exit 7");
	ck_assert(WIFSIGNALED(b.status) && WTERMSIG(b.status) == SIGKILL);
	expect_end(&b, "killed by signal 9 (SIGKILL); QMP: not JSON, at byte 0");
	done(&b, &s);
}
END_TEST

START_TEST(last_words)
{
	struct script s;
	struct bench b;

	/* events and console bytes that come with the end are told before it */
	run(&b, &s, HANDSHAKE "echo '{\"event\": \"SHUTDOWN\"}' >&3; echo bye >&4; exit 0");
	ck_assert_str_eq(b.names, "SHUTDOWN ");
	ck_assert_str_eq(buf_str(vm_console(b.v)), "bye\n");
	done(&b, &s);
}
END_TEST

START_TEST(long_console)
{
	struct script s;
	struct bench b;

	run(&b, &s,
	    HANDSHAKE "i=0; while [ $i -lt 3000 ]; do echo 0123456789 >&4; i=$((i + 1)); "
		      "done; echo end >&4; exit 0");
	ck_assert_uint_eq(b.console, 3000 * 11 + 4);
	ck_assert_uint_eq(vm_console(b.v)->len, 16 * KIB);
	ck_assert_str_eq(buf_str(vm_console(b.v)) + 16 * KIB - 15, "0123456789\nend\n");
	done(&b, &s);
}
END_TEST

START_TEST(cpu_wall)
{
	struct script s;
	struct bench b;

	/* it is the first of its pid namespace, which no ordinary signal kills: this one does */
	run(&b, &s, "trap '' XCPU; " HANDSHAKE "while :; do :; done");
	ck_assert(WIFSIGNALED(b.status) && WTERMSIG(b.status) == SIGKILL);
	done(&b, &s);
}
END_TEST

START_TEST(file_wall)
{
	struct script s;
	struct stat st;
	struct bench b;

	/* 5 is the read-only disk, 6 the other; SIGXFSZ does not reach the first of a namespace */
	script_init(&s,
		    "i=0; while echo 0123456789 >&6; do i=$((i + 1)); done 2>/dev/null; exit 9");
	bench_init(&b);
	ck_assert_int_eq(ftruncate(b.disks[1], 0), 0);
	b.s.file_size = 4096;
	bench_start(&b);
	bench_until(&b, &b.exits, 1);
	ck_assert_int_eq(b.status, 9 << 8);
	ck_assert_int_eq(fstat(b.disks[1], &st), 0);
	ck_assert_int_eq(st.st_size, 4096);
	done(&b, &s);
}
END_TEST

START_TEST(no_escape)
{
	struct script s;
	struct bench b;

	/* what it may not: write anywhere, see the host, gain anything */
	run(&b, &s,
	    "for f in /x /usr/x /dev/x /etc/x /etc/ld.so.cache /usr/bin/env $0; do "
	    "	if { echo >>$f; } 2>/dev/null; then exit 10; fi; "
	    "done; "
	    "for f in /home /root /proc /sys /run /var /etc/passwd /etc/hostname; do "
	    "	[ ! -e $f ] || exit 11; "
	    "done; "
	    "set -- /tmp/*; [ $# = 1 ] || exit 11; " /* this script's folder */
	    "[ $$ = 1 ] || exit 16; "
	    "exit 0");
	ck_assert_int_eq(b.status, 0);
	done(&b, &s);

	/* programs in its place, for there is no second process */
	run(&b, &s, "exec /usr/bin/id -u");
	expect_end(&b, "exit status 0 (1000)");
	done(&b, &s);
	run(&b, &s, "exec /usr/bin/uname -n");
	expect_end(&b, "exit status 0 (worker)");
	done(&b, &s);
	run(&b, &s, "exec /usr/bin/unshare -U /usr/bin/true");
	ck_assert_int_eq(b.status, 1 << 8);
	done(&b, &s);
}
END_TEST

START_TEST(one_process)
{
	struct script s;
	struct bench b;

	run(&b, &s, "(exit 0); exit 9");
	ck_assert_int_eq(b.status, 2 << 8);
	done(&b, &s);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("qemu-fake");
	TCase *tc = unit_case(s, "qemu-fake");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, ends);
	tcase_add_test(tc, silent);
	tcase_add_test(tc, garbage);
	tcase_add_test(tc, last_words);
	tcase_add_test(tc, long_console);
	tcase_add_test(tc, cpu_wall);
	tcase_add_test(tc, file_wall);
	tcase_add_test(tc, no_escape);
	tcase_add_test(tc, one_process);
	return s;
}
