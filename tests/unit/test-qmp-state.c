/* SPDX-License-Identifier: GPL-3.0-or-later */
/* qmp: the sequences that save and load a machine's state. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>

#include "fake/qmp.h"
#include "qmp/state.h"

struct bench {
	struct loop *l;
	struct fake_qmp f;
	struct qmp *q;
	struct qmp_state *s;
	int fd, done, code;
	char text[256];
	bool free_when_done;
};

static void on_event(const char *name, const cJSON *data, void *user_data)
{
	struct bench *b = user_data;

	qmp_state_event(b->s, name, data);
}

static void on_closed(const struct err *why, void *user_data)
{
}

static void on_done(int code, const struct err *e, void *user_data)
{
	struct bench *b = user_data;

	b->done++;
	b->code = code;
	(void)snprintf(b->text, sizeof(b->text), "%.255s", code ? e->text : "");
	if (b->free_when_done)
		b->s = qmp_state_free(b->s);
}

static void start(struct bench *b)
{
	const struct qmp_callbacks cb = {on_event, on_closed, b};
	int fd;

	*b = (struct bench){.fd = open("/dev/null", O_RDWR | O_CLOEXEC)};
	ck_assert_int_ge(b->fd, 0);
	ck_assert_int_eq(loop_new(&b->l), 0);
	fake_qmp_init(&b->f, &fd);
	ck_assert_int_eq(qmp_new(b->l, fd, 5000, &cb, &b->q, NULL), 0);
	fake_qmp_shake(&b->f, b->l);
}

static void end(struct bench *b)
{
	b->q = qmp_free(b->q);
	b->s = qmp_state_free(b->s);
	fake_qmp_done(&b->f);
	b->l = loop_free(b->l);
	(void)close(b->fd);
}

/* Hears a command, and answers it with a "return" or an "error" member. */
static void expect(struct bench *b, const char *command, const char *answer)
{
	char line[512], word[64], reply[256];
	const char *id;

	fake_qmp_hear(&b->f, b->l, line, sizeof(line));
	(void)snprintf(word, sizeof(word), "\"%s\"", command);
	ck_assert_msg(strstr(line, word) != NULL, "%s, not %s", line, command);
	id = strstr(line, "\"id\":");
	ck_assert_ptr_nonnull(id);
	(void)snprintf(reply, sizeof(reply), "{%s, %.*s}\r\n", answer, (int)strcspn(id, ",}"), id);
	fake_qmp_say(&b->f, b->l, reply);
}

#define RETURN "\"return\": {}"
#define MOVED  "{\"event\": \"MIGRATION\", \"data\": {\"status\": \"completed\"}}\r\n"

static void run_until_done(struct bench *b)
{
	for (int i = 0; i < 100 && !b->done; i++)
		ck_assert_int_eq(loop_step(b->l, 50), 0);
}

START_TEST(saves)
{
	struct bench b;

	start(&b);
	ck_assert_int_eq(qmp_state_save(b.q, b.fd, 5000, on_done, &b, &b.s), 0);
	expect(&b, "stop", RETURN);
	expect(&b, "x-ignore-shared", RETURN);
	expect(&b, "getfd", RETURN);
	ck_assert_int_ge(b.f.got_fd, 0);
	expect(&b, "fd:state", RETURN);
	fake_qmp_say(&b.f, b.l, MOVED);
	run_until_done(&b);
	ck_assert_int_eq(b.done, 1);
	ck_assert_int_eq(b.code, 0);
	end(&b);
}
END_TEST

/* The event may come before the reply, and the state settles after both. */
START_TEST(loads)
{
	struct bench b;

	start(&b);
	ck_assert_int_eq(qmp_state_load(b.q, b.fd, 5000, on_done, &b, &b.s), 0);
	expect(&b, "events", RETURN);
	expect(&b, "getfd", RETURN);
	fake_qmp_say(&b.f, b.l, MOVED);
	expect(&b, "migrate-incoming", RETURN);
	fake_qmp_say(&b.f, b.l, MOVED);
	expect(&b, "query-status", "\"return\": {\"status\": \"inmigrate\"}");
	expect(&b, "query-status", "\"return\": {\"status\": \"paused\"}");
	ck_assert_int_eq(b.done, 0);
	expect(&b, "cont", RETURN);
	run_until_done(&b);
	ck_assert_int_eq(b.done, 1);
	ck_assert_int_eq(b.code, 0);
	end(&b);
}
END_TEST

START_TEST(refused)
{
	struct bench b;

	start(&b);
	b.free_when_done = true;
	ck_assert_int_eq(qmp_state_save(b.q, b.fd, 5000, on_done, &b, &b.s), 0);
	expect(&b, "stop", RETURN);
	expect(&b, "x-ignore-shared",
	       "\"error\": {\"class\": \"GenericError\", \"desc\": \"no such capability\"}");
	run_until_done(&b);
	ck_assert_int_eq(b.code, -EIO);
	ck_assert_str_eq(b.text, "migrate-set-capabilities: no such capability");
	end(&b);
}
END_TEST

START_TEST(fails)
{
	struct bench b;

	start(&b);
	b.free_when_done = true;
	ck_assert_int_eq(qmp_state_load(b.q, b.fd, 5000, on_done, &b, &b.s), 0);
	expect(&b, "events", RETURN);
	expect(&b, "getfd", RETURN);
	expect(&b, "migrate-incoming", RETURN);
	fake_qmp_say(&b.f, b.l,
		     "{\"event\": \"MIGRATION\", \"data\": {\"status\": \"failed\"}}\r\n");
	run_until_done(&b);
	ck_assert_int_eq(b.code, -EIO);
	ck_assert_ptr_nonnull(strstr(b.text, "migrate-incoming"));
	end(&b);
}
END_TEST

/* Freed at any time, with a command on its way or not. */
START_TEST(freed_early)
{
	struct bench b;

	start(&b);
	ck_assert_int_eq(qmp_state_save(b.q, b.fd, 5000, on_done, &b, &b.s), 0);
	expect(&b, "stop", RETURN);
	b.s = qmp_state_free(b.s);
	end(&b);
	ck_assert_int_eq(b.done, 0);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("qmp-state");
	TCase *tc = unit_case(s, "qmp-state");

	tcase_add_test(tc, saves);
	tcase_add_test(tc, loads);
	tcase_add_test(tc, refused);
	tcase_add_test(tc, fails);
	tcase_add_test(tc, freed_early);
	return s;
}
