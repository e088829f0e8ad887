/* SPDX-License-Identifier: GPL-3.0-or-later */
/* qmp: the client against a server that behaves and one that does not. */
#include "unit.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/io.h"
#include "fake/qmp.h"
#include "qmp/commands.h"
#include "qmp/qmp.h"

/* What the client told the test. */
struct heard {
	struct qmp *q;
	int replies, code;
	uint64_t value;
	char text[256];
	int events;
	char event[64];
	uint64_t event_value;
	int closed, closed_code;
	char closed_text[256];
	bool free_on_reply, free_on_event, free_on_close, ask_on_close;
	int ask_result;
};

static void on_reply(int code, const cJSON *ret, const struct err *e, void *user_data)
{
	struct heard *h = user_data;

	h->replies++;
	h->code = code;
	h->value = json_u64_or(ret, "v", 0);
	(void)snprintf(h->text, sizeof(h->text), "%s", code ? e->text : "");
	if (h->free_on_reply)
		h->q = qmp_free(h->q);
}

static void on_event(const char *name, const cJSON *data, void *user_data)
{
	struct heard *h = user_data;

	h->events++;
	(void)snprintf(h->event, sizeof(h->event), "%s", name);
	h->event_value = json_u64_or(data, "v", 0);
	if (h->free_on_event)
		h->q = qmp_free(h->q);
}

static void on_closed(const struct err *why, void *user_data)
{
	struct heard *h = user_data;

	h->closed++;
	h->closed_code = why->code;
	(void)snprintf(h->closed_text, sizeof(h->closed_text), "%s", why->text);
	if (h->ask_on_close)
		h->ask_result = qmp_command(h->q, "stop", cJSON_CreateObject(), 10, on_reply, h);
	if (h->free_on_close)
		h->q = qmp_free(h->q);
}

struct bench {
	struct loop *l;
	struct fake_qmp f;
	struct heard h;
};

static void start_with(struct bench *b, uint64_t deadline_ms)
{
	struct qmp_callbacks cb = {on_event, on_closed, &b->h};
	int fd;

	memset(&b->h, 0, sizeof(b->h));
	ck_assert_int_eq(loop_new(&b->l), 0);
	fake_qmp_init(&b->f, &fd);
	ck_assert_int_eq(qmp_new(b->l, fd, deadline_ms, &cb, &b->h.q, NULL), 0);
}

static void start(struct bench *b)
{
	start_with(b, 5000);
	fake_qmp_shake(&b->f, b->l);
}

static void finish(struct bench *b)
{
	(void)qmp_free(b->h.q);
	fake_qmp_done(&b->f);
	loop_free(b->l);
}

static void ask(struct bench *b, const char *name, uint64_t deadline_ms)
{
	ck_assert_int_eq(qmp_command(b->h.q, name, NULL, deadline_ms, on_reply, &b->h), 0);
}

static void say(struct bench *b, const char *text)
{
	fake_qmp_say(&b->f, b->l, text);
}

static void hear(struct bench *b, const char *want)
{
	char line[512];

	fake_qmp_hear(&b->f, b->l, line, sizeof(line));
	ck_assert_str_eq(line, want);
}

/* Runs the loop until the counter has moved or a second has gone by. */
static void until(struct bench *b, const int *counter, int value)
{
	for (int i = 0; i < 1000 && *counter < value; i++)
		ck_assert_int_eq(loop_step(b->l, 1), 0);
	ck_assert_int_eq(*counter, value);
}

START_TEST(talks)
{
	struct bench b;
	cJSON *args = cJSON_CreateObject();

	start_with(&b, 5000);
	ck_assert_ptr_nonnull(cJSON_AddTrueToObject(args, "flat"));
	ck_assert_int_eq(qmp_command(b.h.q, "query-x", args, 1000, on_reply, &b.h), 0);
	fake_qmp_say(&b.f, b.l, FAKE_QMP_GREETING);
	hear(&b, "{\"execute\":\"qmp_capabilities\",\"id\":2}");
	ck_assert(fake_qmp_quiet(&b.f));
	say(&b, "{\"return\": {}, \"id\": 2}\r\n");
	hear(&b, "{\"execute\":\"query-x\",\"id\":1,\"arguments\":{\"flat\":true}}");
	say(&b, "{\"event\": \"RESUME\", \"data\": {\"v\": 3}}\r\n"
		"{\"return\": {\"v\": 4}, \"id\": 1}\r\n\r\n{\"event\": \"STOP\"}\r\n");
	ck_assert_int_eq(b.h.replies, 1);
	ck_assert_int_eq(b.h.code, 0);
	ck_assert_uint_eq(b.h.value, 4);
	ck_assert_int_eq(b.h.events, 2);
	ck_assert_str_eq(b.h.event, "STOP");
	ck_assert_uint_eq(b.h.event_value, 0);
	finish(&b);
	ck_assert_int_eq(b.h.closed, 0);
}
END_TEST

START_TEST(errors)
{
	static const struct {
		const char *text;
		int code;
	} t[] = {
		{"{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"d\"}, \"id\": 2}\n",
		 -ENOSYS},
		{"{\"error\": {\"class\": \"DeviceNotActive\", \"desc\": \"d\"}, \"id\": 3}\n",
		 -ENODEV},
		{"{\"error\": {\"class\": \"GenericError\", \"desc\": \"d\"}, \"id\": 4}\n", -EIO},
		{"{\"error\": {\"class\": 5, \"desc\": \"d\"}, \"id\": 5}\n", -EIO},
		{"{\"error\": {\"class\": \"GenericError\", \"desc\": \"d\"}}\n", -EIO},
	};
	struct bench b;

	start(&b);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		char line[256];

		ask(&b, "x", 1000);
		fake_qmp_hear(&b.f, b.l, line, sizeof(line));
		say(&b, t[i].text);
		ck_assert_int_eq(b.h.replies, (int)i + 1);
		ck_assert_int_eq(b.h.code, t[i].code);
		ck_assert_str_eq(b.h.text, "d");
	}
	/* an error that answers nothing is dropped */
	say(&b, t[4].text);
	ck_assert_int_eq(b.h.replies, (int)ARRAY_SIZE(t));
	ck_assert_int_eq(b.h.closed, 0);
	finish(&b);
}
END_TEST

START_TEST(wrong_ids)
{
	struct bench b;

	start(&b);
	ask(&b, "x", 1000);
	hear(&b, "{\"execute\":\"x\",\"id\":2}");
	say(&b, "{\"return\": {\"v\": 1}, \"id\": 1}\n{\"return\": {\"v\": 1}, \"id\": 3}\n"
		"{\"return\": {\"v\": 1}, \"id\": \"2\"}\n{\"return\": {\"v\": 1}, \"id\": -2}\n"
		"{\"return\": {\"v\": 1}, \"id\": 1e300}\n{\"return\": {\"v\": 1}}\n");
	ck_assert_int_eq(b.h.replies, 0);
	say(&b, "{\"return\": {\"v\": 9}, \"id\": 2}\n{\"return\": {\"v\": 8}, \"id\": 2}\n");
	ck_assert_int_eq(b.h.replies, 1);
	ck_assert_uint_eq(b.h.value, 9);
	finish(&b);
}
END_TEST

START_TEST(deadlines)
{
	struct bench b;

	start(&b);
	ask(&b, "slow", 20);
	ask(&b, "forever", UINT64_MAX);
	hear(&b, "{\"execute\":\"slow\",\"id\":2}");
	until(&b, &b.h.replies, 1);
	ck_assert_int_eq(b.h.code, -ETIMEDOUT);
	say(&b, "{\"return\": {\"v\": 1}, \"id\": 2}\n");
	ck_assert_int_eq(b.h.replies, 1);
	say(&b, "{\"return\": {\"v\": 2}, \"id\": 3}\n");
	ck_assert_int_eq(b.h.replies, 2);
	ck_assert_uint_eq(b.h.value, 2);
	finish(&b);
}
END_TEST

START_TEST(no_greeting)
{
	struct bench b;

	start_with(&b, 30);
	ask(&b, "x", 60000);
	until(&b, &b.h.closed, 1);
	ck_assert_int_eq(b.h.closed_code, -ETIMEDOUT);
	ck_assert_int_eq(b.h.replies, 1);
	ck_assert_int_eq(b.h.code, -ECONNRESET);
	finish(&b);

	/* a greeting, but no answer to qmp_capabilities */
	start_with(&b, 30);
	say(&b, FAKE_QMP_GREETING);
	until(&b, &b.h.closed, 1);
	ck_assert_int_eq(b.h.closed_code, -ETIMEDOUT);
	finish(&b);

	/* a command's own deadline holds while the greeting is awaited */
	start_with(&b, 60000);
	ask(&b, "x", 10);
	until(&b, &b.h.replies, 1);
	ck_assert_int_eq(b.h.code, -ETIMEDOUT);
	ck_assert_int_eq(b.h.closed, 0);
	fake_qmp_shake(&b.f, b.l);
	finish(&b);
}
END_TEST

START_TEST(protocol_errors)
{
	static const char *const first[] = {
		"garbage\n",	   "{\"return\": {}, \"id\": 1}\n", "{\"event\": \"STOP\"}\n",
		"\x00\xff\xfe{\n", "SSH-2.0-OpenSSH\r\n",
	};
	static const char *const later[] = {
		FAKE_QMP_GREETING,
		"{\"return\": {}\n",
		"{\"neither\": 1}\n",
		"\"\\ud800\"\n",
		"]\n",
	};
	struct bench b;

	for (size_t i = 0; i < ARRAY_SIZE(first) + ARRAY_SIZE(later); i++) {
		start_with(&b, 5000);
		if (i >= ARRAY_SIZE(first)) {
			fake_qmp_shake(&b.f, b.l);
			ask(&b, "x", 1000);
			say(&b, later[i - ARRAY_SIZE(first)]);
			ck_assert_int_eq(b.h.replies, 1);
			ck_assert_int_eq(b.h.code, -ECONNRESET);
		} else if (i == 3) {
			fake_qmp_say_n(&b.f, b.l, first[i], 5);
		} else {
			say(&b, first[i]);
		}
		ck_assert_msg(b.h.closed == 1, "%zu", i);
		ck_assert_int_eq(b.h.closed_code, -EBADMSG);
		ck_assert_int_eq(qmp_command(b.h.q, "x", NULL, 10, on_reply, &b.h), -ECONNRESET);
		finish(&b);
		ck_assert_int_eq(b.h.closed, 1);
	}
}
END_TEST

START_TEST(end_of_file)
{
	struct bench b;

	start(&b);
	ask(&b, "quit", 1000);
	hear(&b, "{\"execute\":\"quit\",\"id\":2}");
	/* the last words and the end come together, and the answer to the command never */
	say(&b, "{\"event\": \"SHUTDOWN\"}\n{\"retu");
	fd_close(&b.f.fd);
	until(&b, &b.h.closed, 1);
	ck_assert_int_eq(b.h.events, 1);
	ck_assert_int_eq(b.h.code, -ECONNRESET);
	ck_assert_int_eq(b.h.closed_code, -ECONNRESET);
	ck_assert_ptr_nonnull(strstr(b.h.closed_text, "middle of a line"));
	finish(&b);

	/* written to a peer that has gone: what it said before is still heard */
	start(&b);
	ck_assert_int_gt(send(b.f.fd, "{\"event\": \"STOP\"}\n", 18, 0), 0);
	fd_close(&b.f.fd);
	ask(&b, "x", 1000);
	until(&b, &b.h.closed, 1);
	ck_assert_int_eq(b.h.events, 1);
	ck_assert_int_eq(b.h.replies, 1);
	finish(&b);
}
END_TEST

START_TEST(half_lines)
{
	static const char text[] =
		"{\"return\": {\"v\": 4}, \"id\": 2}\r\n{\"event\": \"STOP\"}\r\n";
	struct bench b;

	start(&b);
	ask(&b, "x", 5000);
	hear(&b, "{\"execute\":\"x\",\"id\":2}");
	for (size_t i = 0; i + 1 < sizeof(text); i++)
		fake_qmp_say_n(&b.f, b.l, text + i, 1);
	ck_assert_int_eq(b.h.replies, 1);
	ck_assert_uint_eq(b.h.value, 4);
	ck_assert_int_eq(b.h.events, 1);
	finish(&b);
}
END_TEST

START_TEST(long_lines)
{
	_cleanup_free_ char *fill = malloc(MIB);
	struct bench b;

	memset(fill, 'x', MIB);
	/* 15 MiB are a line */
	start(&b);
	ask(&b, "x", 20000);
	hear(&b, "{\"execute\":\"x\",\"id\":2}");
	say(&b, "{\"return\": {\"v\": 5, \"s\": \"");
	for (int i = 0; i < 15; i++)
		fake_qmp_say_n(&b.f, b.l, fill, MIB);
	say(&b, "\"}, \"id\": 2}\n");
	until(&b, &b.h.replies, 1);
	ck_assert_uint_eq(b.h.value, 5);
	/* a line without end is cut off at the cap */
	for (int i = 0; i < 20 && !b.h.closed; i++)
		fake_qmp_say_n(&b.f, b.l, fill, MIB);
	ck_assert_int_eq(b.h.closed, 1);
	ck_assert_int_eq(b.h.closed_code, -E2BIG);
	finish(&b);
}
END_TEST

START_TEST(descriptor)
{
	_cleanup_close_ int fd = io_tmpfile("/tmp", NULL);
	struct stat want, got;
	struct bench b;

	ck_assert_int_eq(fstat(fd, &want), 0);
	start(&b);
	ask(&b, "before", 1000);
	ck_assert_int_eq(qmp_command_fd(b.h.q, "add-fd", NULL, take_fd(&fd), 1000, on_reply, &b.h),
			 0);
	ask(&b, "after", 1000);
	hear(&b, "{\"execute\":\"before\",\"id\":2}");
	/* it waits for the answers before it, and keeps what comes after it waiting */
	ck_assert_int_eq(loop_step(b.l, 5), 0);
	ck_assert(fake_qmp_quiet(&b.f));
	say(&b, "{\"return\": {}, \"id\": 2}\n");
	hear(&b, "{\"execute\":\"add-fd\",\"id\":3}");
	ck_assert_int_ge(b.f.got_fd, 0);
	ck_assert_int_eq(fstat(b.f.got_fd, &got), 0);
	ck_assert(got.st_ino == want.st_ino && got.st_dev == want.st_dev);
	ck_assert(fake_qmp_quiet(&b.f));
	say(&b, "{\"return\": {}, \"id\": 3}\n");
	hear(&b, "{\"execute\":\"after\",\"id\":4}");
	finish(&b);
	ck_assert_int_eq(b.h.replies, 3);
	ck_assert_int_eq(b.h.code, -ECANCELED);
}
END_TEST

START_TEST(full_socket)
{
	char *big = malloc(MIB + 1);
	cJSON *args = cJSON_CreateObject();
	struct bench b;
	size_t got = 0;

	memset(big, 'y', MIB);
	big[MIB] = '\0';
	ck_assert_ptr_nonnull(cJSON_AddStringToObject(args, "s", big));
	start(&b);
	/* more than the socket holds: it is cut short by its deadline, the line is still ended */
	ck_assert_int_eq(qmp_command(b.h.q, "big", args, 20, on_reply, &b.h), 0);
	ask(&b, "small", 5000);
	until(&b, &b.h.replies, 1);
	ck_assert_int_eq(b.h.code, -ETIMEDOUT);
	while (!memchr(big, '\n', got)) {
		ssize_t n = recv(b.f.fd, big, MIB, MSG_DONTWAIT);

		got = n > 0 ? (size_t)n : 0;
		ck_assert_int_eq(loop_step(b.l, 1), 0);
	}
	ck_assert_ptr_nonnull(memmem(big, got, "\"}}\n", 4));
	if (big[got - 1] == '\n' && !memmem(big, got, "small", 5))
		hear(&b, "{\"execute\":\"small\",\"id\":3}");
	say(&b, "{\"return\": {\"v\": 7}, \"id\": 3}\n");
	ck_assert_uint_eq(b.h.value, 7);
	finish(&b);
	free(big);
}
END_TEST

START_TEST(freed_inside)
{
	struct bench b;

	start(&b);
	b.h.free_on_reply = true;
	ask(&b, "x", 5000);
	ask(&b, "y", 5000);
	hear(&b, "{\"execute\":\"x\",\"id\":2}");
	say(&b,
	    "{\"return\": {}, \"id\": 2}\n{\"event\": \"STOP\"}\n{\"return\": {}, \"id\": 3}\n");
	ck_assert_ptr_null(b.h.q);
	ck_assert_int_eq(b.h.replies, 2);
	ck_assert_int_eq(b.h.code, -ECANCELED);
	ck_assert_int_eq(b.h.events, 0);
	finish(&b);

	start(&b);
	b.h.free_on_event = true;
	ask(&b, "x", 5000);
	say(&b, "{\"event\": \"STOP\"}\n{\"event\": \"STOP\"}\n");
	ck_assert_ptr_null(b.h.q);
	ck_assert_int_eq(b.h.events, 1);
	ck_assert_int_eq(b.h.code, -ECANCELED);
	finish(&b);

	start(&b);
	b.h.free_on_close = b.h.ask_on_close = true;
	fd_close(&b.f.fd);
	until(&b, &b.h.closed, 1);
	ck_assert_ptr_null(b.h.q);
	ck_assert_int_eq(b.h.ask_result, -ECONNRESET);
	finish(&b);

	start(&b);
	b.h.free_on_reply = true;
	ask(&b, "x", 10);
	ask(&b, "y", 10);
	until(&b, &b.h.replies, 2);
	ck_assert_ptr_null(b.h.q);
	finish(&b);
}
END_TEST

#define NODE(name, rd, wr, high)                                                      \
	"{\"node-name\":\"" name "\",\"stats\":{\"rd_bytes\":" rd ",\"wr_bytes\":" wr \
	",\"wr_highest_offset\":" high "}}"

static void on_stats(int code, const struct qmp_blockstats *stats, const struct err *e,
		     void *user_data)
{
	struct heard *h = user_data;

	h->replies++;
	h->code = code;
	h->value = stats ? stats->nodes[0].rd_bytes : 0;
	ck_assert((code == 0) == (stats != NULL));
	(void)snprintf(h->text, sizeof(h->text), "%s", e->text);
}

START_TEST(typed)
{
	struct bench b;

	start(&b);
	ck_assert_int_eq(qmp_query_blockstats(b.h.q, 1000, on_stats, &b.h), 0);
	hear(&b, "{\"execute\":\"query-blockstats\",\"id\":2}");
	say(&b, "{\"return\": [" NODE("root", "77", "0", "0") "], \"id\": 2}\n");
	ck_assert_int_eq(b.h.code, 0);
	ck_assert_uint_eq(b.h.value, 77);
	ck_assert_int_eq(qmp_query_blockstats(b.h.q, 1000, on_stats, &b.h), 0);
	hear(&b, "{\"execute\":\"query-blockstats\",\"id\":3}");
	say(&b, "{\"return\": {}, \"id\": 3}\n");
	ck_assert_int_eq(b.h.code, -EBADMSG);
	ck_assert_str_eq(b.h.text, "query-blockstats: the answer is not a list");
	ck_assert_int_eq(qmp_query_blockstats(b.h.q, 20, on_stats, &b.h), 0);
	until(&b, &b.h.replies, 3);
	ck_assert_int_eq(b.h.code, -ETIMEDOUT);
	hear(&b, "{\"execute\":\"query-blockstats\",\"id\":4}");
	ck_assert_int_eq(qmp_query_vcpus(b.h.q, 1000, NULL, NULL), 0);
	hear(&b, "{\"execute\":\"query-cpus-fast\",\"id\":5}");
	ck_assert_int_eq(qmp_query_stat(b.h.q, "exits", 1000, NULL, NULL), 0);
	hear(&b, "{\"execute\":\"query-stats\",\"id\":6,\"arguments\":{\"providers\":["
		 "{\"provider\":\"kvm\",\"names\":[\"exits\"]}],\"target\":\"vcpu\"}}");
	ck_assert_int_eq(qmp_quit(b.h.q, 1000, NULL, NULL), 0);
	fd_close(&b.f.fd);
	until(&b, &b.h.closed, 1);
	ck_assert_int_eq(qmp_query_blockstats(b.h.q, 1000, on_stats, &b.h), -ECONNRESET);
	ck_assert_int_eq(b.h.replies, 3);
	finish(&b);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("qmp");
	TCase *tc = unit_case(s, "qmp");

	tcase_add_test(tc, talks);
	tcase_add_test(tc, errors);
	tcase_add_test(tc, wrong_ids);
	tcase_add_test(tc, deadlines);
	tcase_add_test(tc, no_greeting);
	tcase_add_test(tc, protocol_errors);
	tcase_add_test(tc, end_of_file);
	tcase_add_test(tc, half_lines);
	tcase_add_test(tc, long_lines);
	tcase_add_test(tc, descriptor);
	tcase_add_test(tc, full_socket);
	tcase_add_test(tc, freed_inside);
	tcase_add_test(tc, typed);
	return s;
}
