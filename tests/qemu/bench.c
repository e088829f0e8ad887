/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Starting, stepping and questioning a QEMU in tests. */
#include "bench.h"

#include <check.h>
#include <fcntl.h>

#include "base/io.h"

static void on_event(const char *name, const cJSON *data, void *user_data)
{
	struct bench *b = user_data;
	const char *reason = json_str(data, "reason");
	size_t n = strlen(b->names);

	b->events++;
	(void)snprintf(b->names + n, sizeof(b->names) - n, "%s%s%s ", name, reason ? ":" : "",
		       reason ? reason : "");
	if (b->free_on_event)
		b->v = vm_free(b->v);
}

static void on_console(const char *data, size_t n, void *user_data)
{
	struct bench *b = user_data;

	b->console += n;
}

static void on_exited(int status, void *user_data)
{
	struct bench *b = user_data;

	b->exits++;
	b->status = status;
	if (b->free_on_exit)
		b->v = vm_free(b->v);
}

static void on_reply(int code, const cJSON *ret, const struct err *e, void *user_data)
{
	struct bench *b = user_data;

	b->replies++;
	b->code = code;
	b->ret = json_free(b->ret);
	if (code == 0)
		b->ret = cJSON_Duplicate(ret, 1);
	(void)snprintf(b->text, sizeof(b->text), "%s", e->text);
}

int bench_file(size_t size, bool read_only)
{
	char path[64];
	int fd = io_tmpfile("/tmp", NULL), again;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
	if (!read_only)
		return fd;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(again, 0);
	(void)close(fd);
	return again;
}

void bench_init(struct bench *b)
{
	*b = (struct bench){.disks = {bench_file(MIB, true), bench_file(MIB, false)}};
	b->s = (struct vm_start){
		.desc = {.arch = "x86_64",
			 .machine = VM_MACHINE_Q35,
			 .accel = VM_ACCEL_TCG,
			 .cpus = 2,
			 .memory = 128 * MIB,
			 .disks = {{"root", b->disks[0], true, 4096, 8192},
				   {"scratch", b->disks[1], false, 0, 0}},
			 .n_disks = 2,
			 .console_fd = -1,
			 .qmp_fd = -1,
			 .tap_fd = -1,
			 .tb_size = 32 * MIB,
			 .paused = true},
		.kernel = {.fd = -1},
		.initrd = {.fd = -1},
		.qmp_deadline_ms = BENCH_MS,
	};
	ck_assert_int_eq(loop_new(&b->l), 0);
}

void bench_done(struct bench *b)
{
	b->v = vm_free(b->v);
	b->l = loop_free(b->l);
	b->ret = json_free(b->ret);
	fd_close(&b->disks[0]);
	fd_close(&b->disks[1]);
}

void bench_start(struct bench *b)
{
	const struct vm_callbacks cb = {on_event, on_console, on_exited, b};
	struct err e = ERR_INIT;

	ck_assert_msg(vm_start(b->l, &b->s, &cb, &b->v, &e) == 0, "%s", e.text);
}

void bench_start_ready(struct bench *b)
{
	char text[512];

	bench_start(b);
	ck_assert_msg(bench_ask(b, "query-status", NULL) == 0, "%s; %s", b->text,
		      vm_end_text(b->v, text, sizeof(text)));
}

void bench_until(struct bench *b, const int *counter, int value)
{
	uint64_t end = io_now_ms() + BENCH_MS;

	while (*counter < value && io_now_ms() < end)
		ck_assert_int_eq(loop_step(b->l, 100), 0);
	ck_assert_msg(*counter == value, "%d instead of %d; events: %s", *counter, value, b->names);
}

void bench_until_console(struct bench *b, const char *text)
{
	uint64_t end = io_now_ms() + BENCH_MS;

	while (!strstr(buf_str(vm_console(b->v)), text) && io_now_ms() < end && !b->exits)
		ck_assert_int_eq(loop_step(b->l, 100), 0);
	ck_assert_msg(strstr(buf_str(vm_console(b->v)), text), "no \"%s\" in: %s", text,
		      buf_str(vm_console(b->v)));
}

int bench_ask_fd(struct bench *b, const char *name, cJSON *consume_args, int consume_fd)
{
	int n = b->replies;

	ck_assert_int_eq(qmp_command_fd(vm_qmp(b->v), name, consume_args, consume_fd, BENCH_MS,
					on_reply, b),
			 0);
	bench_until(b, &b->replies, n + 1);
	return b->code;
}

int bench_ask(struct bench *b, const char *name, cJSON *consume_args)
{
	return bench_ask_fd(b, name, consume_args, -1);
}

char *bench_proc(const struct bench *b, const char *name)
{
	struct buf text = {0};
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)vm_pid(b->v), name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_msg(fd >= 0, "%s", path);
	ck_assert_int_eq(io_read_all(fd, MIB, &text), 0);
	(void)close(fd);
	return buf_take(&text);
}
