/* SPDX-License-Identifier: GPL-3.0-or-later */
/* src/manager: frames, orders, the guest's lines, limits. */
#include "unit.h"

#include <errno.h>
#include <sys/socket.h>

#include "manager/ctl.h"
#include "manager/limits.h"
#include "manager/proto.h"

START_TEST(frames)
{
	struct buf b = {0};
	struct proto_frame f;
	ssize_t n;

	ck_assert_int_eq(proto_encode(&b, PROTO_LOG, "hello", 5), 0);
	ck_assert_uint_eq(b.len, 13);
	for (size_t i = 0; i < b.len; i++)
		ck_assert_int_eq(proto_decode(b.data, i, &f), 0);
	n = proto_decode(b.data, b.len, &f);
	ck_assert_int_eq(n, 13);
	ck_assert_int_eq(f.type, PROTO_LOG);
	ck_assert_uint_eq(f.len, 5);
	ck_assert_int_eq(memcmp(f.data, "hello", 5), 0);
	buf_done(&b);
}
END_TEST

START_TEST(bad_frames)
{
	static const char bad[][8] = {
		{0, 0, 0, 0, 0, 0, 0, 0}, /* type 0 */
		{0, 0, 0, 0, 9, 0, 0, 0}, /* unknown type */
		{0, 0, 0, 0, 1, 1, 0, 0}, /* filler */
		{0, 1, 0, 1, 1, 0, 0, 0}, /* over 64 KiB */
		{-1, -1, -1, -1, 1, 0, 0, 0},
	};
	struct proto_frame f;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_int_eq(proto_decode(bad[i], 8, &f), -EBADMSG);
}
END_TEST

struct seen {
	struct buf text;
	int closed;
	int code;
};

static void on_frame(const struct proto_frame *f, void *user_data)
{
	struct seen *s = user_data;

	(void)buf_printf(&s->text, "%d:%zu ", f->type, f->len);
}

static void on_closed(int code, const struct err *e, void *user_data)
{
	struct seen *s = user_data;

	s->closed++;
	s->code = code;
}

START_TEST(connection)
{
	struct seen seen[2] = {0};
	struct proto_conn *c[2];
	struct loop *l;
	char big[150000] = {0};
	int fds[2];

	ck_assert_int_eq(loop_new(&l), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	for (int i = 0; i < 2; i++) {
		const struct proto_callbacks cb = {on_frame, on_closed, NULL, &seen[i]};

		ck_assert_int_eq(proto_conn_new(l, fds[i], &cb, &c[i]), 0);
	}
	ck_assert_int_eq(proto_send(c[0], PROTO_LOG, big, sizeof(big)), 0);
	ck_assert_int_eq(proto_send_json(c[0], cJSON_CreateObject()), 0);
	for (int i = 0; i < 50; i++)
		ck_assert_int_eq(loop_step(l, 0), 0);
	ck_assert_str_eq(buf_str(&seen[1].text), "2:65536 2:65536 2:18928 1:2 ");
	ck_assert_int_eq(proto_send(c[1], PROTO_CONTROL, "x", 1), 0);
	ck_assert_int_eq(proto_flush(c[1], 1000), 0);
	c[1] = proto_conn_free(c[1]);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(loop_step(l, 0), 0);
	ck_assert_str_eq(buf_str(&seen[0].text), "1:1 ");
	ck_assert_int_eq(seen[0].closed, 1);
	ck_assert_int_eq(seen[0].code, 0);
	ck_assert_int_eq(proto_send(c[0], PROTO_LOG, "x", 1), -EPIPE);
	proto_conn_free(c[0]);
	loop_free(l);
	buf_done(&seen[0].text);
	buf_done(&seen[1].text);
}
END_TEST

static const struct order sample_order = {
	.template = ORDER_TEMPLATE_USE,
	.arch = "x86_64",
	.machine = VM_MACHINE_Q35,
	.force_tcg = true,
	.cpus = 3,
	.memory = GIB,
	.cmdline = "console=ttyS0 \"quoted\"",
	.root = {0, 1ULL << 40},
	.kernel = {1ULL << 40, 5},
	.initrd = {(1ULL << 40) + 5, 6},
	.seed = {1ULL << 41, 7},
	.boot_ms = 1,
	.time_ms = 2,
	.cpu_time_ms = 3,
	.disk = 4,
	.disk_full_at = 4,
	.output = 5,
	.log = 6,
	.nice = -3,
	.io = VM_IO_IDLE,
};

START_TEST(orders)
{
	cJSON *j = order_to_json(&sample_order);
	struct order o;
	struct err e = ERR_INIT;
	char *text = json_print(j);
	cJSON *back;

	ck_assert_int_eq(json_parse(text, strlen(text), &back, &e), 0);
	memset(&o, 0, sizeof(o));
	ck_assert_msg(order_from_json(back, &o, &e) == 0, "%s", e.text);
	ck_assert_str_eq(o.arch, "x86_64");
	ck_assert_str_eq(o.cmdline, sample_order.cmdline);
	ck_assert_int_eq(o.template, ORDER_TEMPLATE_USE);
	ck_assert_int_eq(o.machine, VM_MACHINE_Q35);
	ck_assert_uint_eq(o.kernel.offset, 1ULL << 40);
	ck_assert_uint_eq(o.seed.offset, 1ULL << 41);
	ck_assert_uint_eq(o.seed.size, 7);
	ck_assert_uint_eq(o.log, 6);
	ck_assert_int_eq(o.nice, -3);
	ck_assert_int_eq(o.io, VM_IO_IDLE);
	ck_assert(o.force_tcg);
	cJSON_ReplaceItemInObjectCaseSensitive(back, "template", cJSON_CreateString("hold"));
	ck_assert_int_eq(order_from_json(back, &o, &e), 0);
	ck_assert_int_eq(o.template, ORDER_TEMPLATE_HOLD);
	cJSON_ReplaceItemInObjectCaseSensitive(back, "memory", cJSON_CreateNumber(-1));
	ck_assert_int_eq(order_from_json(back, &o, &e), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(e.text, "memory"));
	cJSON_ReplaceItemInObjectCaseSensitive(back, "machine", cJSON_CreateString("pc"));
	ck_assert_int_eq(order_from_json(back, &o, &e), -EBADMSG);
	cJSON_ReplaceItemInObjectCaseSensitive(back, "machine", cJSON_CreateString("q35"));
	cJSON_ReplaceItemInObjectCaseSensitive(back, "io", cJSON_CreateString("fast"));
	ck_assert_int_eq(order_from_json(back, &o, &e), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(e.text, "io is unknown"));
	json_free(back);
	json_free(j);
	free(text);
}
END_TEST

static int say(struct ctl_state *s, const char *line)
{
	enum ctl_what what;
	int r = ctl_line(s, line, strlen(line), &what, NULL);

	return r < 0 ? r : (int)what;
}

START_TEST(guest_lines)
{
	struct ctl_state s = {0};

	ck_assert_int_eq(say(&s, "phase build"), -EBADMSG);
	ck_assert_int_eq(say(&s, "ready 2"), -EBADMSG);
	ck_assert_int_eq(say(&s, "ready 1"), CTL_SAYS_PHASE);
	ck_assert_int_eq(say(&s, "ready 1"), -EBADMSG);
	ck_assert_int_eq(say(&s, "phase copy-in"), CTL_SAYS_PHASE);
	ck_assert_int_eq(say(&s, "exit 0"), -EBADMSG);
	ck_assert_int_eq(say(&s, "phase build"), CTL_SAYS_PHASE);
	ck_assert_int_eq(say(&s, "phase copy-out"), -EBADMSG);
	ck_assert_int_eq(say(&s, "exit 256"), -EBADMSG);
	ck_assert_int_eq(say(&s, "exit -1"), -EBADMSG);
	ck_assert_int_eq(say(&s, "exit 7"), CTL_SAYS_EXIT);
	ck_assert_int_eq(say(&s, "exit 0"), -EBADMSG);
	ck_assert_int_eq(s.exit_code, 7);
	ck_assert_int_eq(say(&s, "phase copy-out"), CTL_SAYS_PHASE);
	ck_assert_int_eq(say(&s, "done"), CTL_SAYS_PHASE);
	ck_assert_int_eq(say(&s, "done"), -EBADMSG);
	ck_assert_int_eq(s.phase, CTL_DONE);
}
END_TEST

static void begin_build(struct ctl_state *s)
{
	*s = (struct ctl_state){0};
	ck_assert_int_eq(say(s, "ready 1"), CTL_SAYS_PHASE);
	ck_assert_int_eq(say(s, "phase shell"), -EBADMSG);
	ck_assert_int_eq(say(s, "phase copy-in"), CTL_SAYS_PHASE);
	ck_assert_int_eq(say(s, "phase shell"), -EBADMSG);
	ck_assert_int_eq(say(s, "phase build"), CTL_SAYS_PHASE);
}

START_TEST(shell_lines)
{
	struct ctl_state s;

	begin_build(&s); /* in the place of the build commands */
	ck_assert_int_eq(say(&s, "phase shell"), CTL_SAYS_PHASE);
	ck_assert_str_eq(ctl_phase_name(s.phase), "shell");
	ck_assert_int_eq(say(&s, "phase shell"), -EBADMSG);
	ck_assert_int_eq(say(&s, "phase copy-out"), -EBADMSG);
	ck_assert_int_eq(say(&s, "exit 3"), CTL_SAYS_EXIT);
	ck_assert_int_eq(say(&s, "phase copy-out"), CTL_SAYS_PHASE);
	ck_assert_int_eq(say(&s, "phase shell"), -EBADMSG);

	begin_build(&s); /* after they have failed */
	ck_assert_int_eq(say(&s, "exit 7"), CTL_SAYS_EXIT);
	ck_assert_int_eq(say(&s, "phase shell"), CTL_SAYS_PHASE);
	ck_assert_int_eq(say(&s, "exit 0"), -EBADMSG);
	ck_assert_int_eq(say(&s, "phase copy-out"), CTL_SAYS_PHASE);
	ck_assert_int_eq(s.exit_code, 7);
}
END_TEST

START_TEST(play_lines)
{
	struct ctl_state s = {.prepare = true};

	ck_assert_int_eq(say(&s, "ready 1"), CTL_SAYS_PHASE);
	ck_assert_int_eq(say(&s, "phase copy-in"), -EBADMSG);
	ck_assert_int_eq(say(&s, "error task too early"), CTL_SAYS_ERROR);
	ck_assert_int_eq(say(&s, "phase prepare"), CTL_SAYS_PHASE);
	ck_assert_str_eq(ctl_phase_name(s.phase), "prepare");
	ck_assert_int_eq(say(&s, "done"), -EBADMSG);
	ck_assert_int_eq(say(&s, "exit 2"), CTL_SAYS_EXIT);
	ck_assert_int_eq(say(&s, "exit 0"), -EBADMSG);
	ck_assert_int_eq(say(&s, "error fetch apt: \x1b[1m"), CTL_SAYS_TASK);
	ck_assert_str_eq(s.error_word, "fetch");
	ck_assert_str_eq(s.error_text, "apt: \\x1b[1m");
	ck_assert_int_eq(say(&s, "error disk-full"), CTL_SAYS_ERROR);
	ck_assert_int_eq(say(&s, "phase build"), -EBADMSG);
	ck_assert_int_eq(say(&s, "phase copy-in"), -EBADMSG);
	ck_assert_int_eq(say(&s, "done"), CTL_SAYS_PHASE);
	s = (struct ctl_state){0};
	ck_assert_int_eq(say(&s, "ready 1"), CTL_SAYS_PHASE);
	ck_assert_int_eq(say(&s, "phase prepare"), -EBADMSG);
}
END_TEST

START_TEST(hostile_lines)
{
	struct ctl_state s = {0};
	enum ctl_what what;
	char longline[CTL_LINE_MAX + 2];

	memset(longline, 'x', sizeof(longline));
	ck_assert_int_eq(ctl_line(&s, longline, CTL_LINE_MAX + 1, &what, NULL), -EBADMSG);
	ck_assert_int_eq(ctl_line(&s, "ready 1\0", 8, &what, NULL), -EBADMSG);
	ck_assert_int_eq(say(&s, "error disk-full"), -EBADMSG); /* too early */
	ck_assert_int_eq(say(&s, "ready 1"), CTL_SAYS_PHASE);
	ck_assert_int_eq(say(&s, "error "), -EBADMSG);
	ck_assert_int_eq(say(&s, "error UP x"), -EBADMSG);
	ck_assert_int_eq(say(&s, "error disk-full tar: \x1b[31mno"), CTL_SAYS_ERROR);
	ck_assert_str_eq(s.error_word, "disk-full");
	ck_assert_str_eq(s.error_text, "tar: \\x1b[31mno");
	ck_assert_int_eq(say(&s, ""), -EBADMSG);
}
END_TEST

START_TEST(limits)
{
	struct limits_sample s = {.at_ms = 2, .cpu_ms = 3, .log = 6}, peak = {.log = 9};
	struct limits_hit hit;

	ck_assert(!limits_over(&sample_order, &s, &hit));
	s.log = 7;
	ck_assert(limits_over(&sample_order, &s, &hit));
	ck_assert_str_eq(hit.name, "log");
	s.at_ms = 3;
	ck_assert(limits_over(&sample_order, &s, &hit));
	ck_assert_str_eq(hit.name, "time");
	s.cpu_ms = 4;
	ck_assert(limits_over(&sample_order, &s, &hit));
	ck_assert_str_eq(hit.name, "cpu-time");
	ck_assert_uint_eq(hit.granted, 3);
	ck_assert_uint_eq(hit.used, 4);
	s.disk = 4;
	ck_assert(limits_over(&sample_order, &s, &hit));
	ck_assert_str_eq(hit.name, "disk");
	limits_peak(&peak, &s);
	ck_assert_uint_eq(peak.log, 9);
	ck_assert_uint_eq(peak.cpu_ms, 4);
}
END_TEST

/* However busy all vCPUs and one thread more are, the next poll comes before the time is gone. */
START_TEST(polls)
{
	struct order o = {.cpus = 3, .cpu_time_ms = 8000};
	struct limits_sample s = {0};

	ck_assert_uint_eq(limits_poll_ms(&o, &s), 250);
	s.cpu_ms = 7000;
	ck_assert_uint_eq(limits_poll_ms(&o, &s), 250);
	s.cpu_ms = 7600;
	ck_assert_uint_eq(limits_poll_ms(&o, &s), 100);
	s.cpu_ms = 7999;
	ck_assert_uint_eq(limits_poll_ms(&o, &s), 10);
	s.cpu_ms = 9000;
	ck_assert_uint_eq(limits_poll_ms(&o, &s), 10);
}
END_TEST

START_TEST(samples)
{
	struct limits_sample s = {.at_ms = 1,
				  .cpu_ms = 2,
				  .memory = 3,
				  .disk = 4,
				  .output = 5,
				  .log = 6,
				  .read = 20,
				  .written = 21,
				  .up = 7,
				  .down = 8,
				  .kvm_exits = 9,
				  .disks = {{10, 11}, {12, 13}, {14, 15}, {16, 1ULL << 50}},
				  .vcpu_ms = {18, 19},
				  .n_vcpus = 2},
			     back, peak = {0};
	cJSON *j = cJSON_CreateObject(), *text;
	char *printed;

	limits_sample_to_json(&s, j);
	printed = json_print(j);
	json_free(j);
	ck_assert_int_eq(json_parse(printed, strlen(printed), &text, NULL), 0);
	limits_sample_from_json(text, &back);
	ck_assert_int_eq(memcmp(&s, &back, sizeof(s)), 0);
	limits_peak(&peak, &s);
	ck_assert_int_eq(memcmp(&s, &peak, sizeof(s)), 0);
	cJSON_ReplaceItemInObjectCaseSensitive(text, "disks", cJSON_CreateNumber(1));
	cJSON_ReplaceItemInObjectCaseSensitive(text, "vcpus-ms", cJSON_CreateString("x"));
	cJSON_ReplaceItemInObjectCaseSensitive(text, "memory", cJSON_CreateNumber(-1));
	limits_sample_from_json(text, &back);
	ck_assert_uint_eq(back.at_ms, 1);
	ck_assert_uint_eq(back.memory, 0);
	ck_assert_uint_eq(back.n_vcpus, 0);
	ck_assert_uint_eq(back.disks[LIMITS_DISK_SCRATCH].written, 0);
	json_free(text);
	free(printed);
	text = cJSON_CreateObject();
	j = cJSON_AddArrayToObject(text, "vcpus-ms");
	for (int i = 0; i < 300; i++)
		cJSON_AddItemToArray(j, cJSON_CreateNumber(i ? i : -1));
	limits_sample_from_json(text, &back);
	ck_assert_uint_eq(back.n_vcpus, LIMITS_VCPUS_MAX);
	ck_assert_uint_eq(back.vcpu_ms[0], 0);
	ck_assert_uint_eq(back.vcpu_ms[31], 31);
	json_free(text);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("manager");
	TCase *tc = unit_case(s, "manager");

	tcase_add_test(tc, frames);
	tcase_add_test(tc, bad_frames);
	tcase_add_test(tc, connection);
	tcase_add_test(tc, orders);
	tcase_add_test(tc, guest_lines);
	tcase_add_test(tc, play_lines);
	tcase_add_test(tc, shell_lines);
	tcase_add_test(tc, hostile_lines);
	tcase_add_test(tc, limits);
	tcase_add_test(tc, polls);
	tcase_add_test(tc, samples);
	return s;
}
