/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The command line's pure parts: verdicts, and packages in a play. */
#include "unit.h"

#include <errno.h>

#include "cli/bar.h"
#include "cli/play.h"
#include "cli/space.h"
#include "cli/verdict.h"

static struct verdict of(const char *text)
{
	cJSON *j = NULL;
	struct verdict v;

	ck_assert_int_eq(json_parse(text, strlen(text), &j, NULL), 0);
	v = verdict_of_end(j);
	json_free(j);
	return v;
}

START_TEST(limit_verdicts)
{
	struct verdict v = verdict_limit("cpu-time", 5000, 5120, 3000);

	ck_assert_int_eq(v.kind, VERDICT_LIMIT);
	ck_assert_str_eq(v.reason, "the build is over its limit of cpu-time: granted 5.00 s, used "
				   "5.12 s, after 3.00 s");
	v = verdict_limit("files", 200000, 200001, 61000);
	ck_assert_str_eq(v.reason, "the build is over its limit of files: granted 200000, used "
				   "200001, after 61.0 s");
	ck_assert_uint_eq(v.at_ms, 61000);
	v = verdict_limit("\x1b[31m", 1, 2, 3);
	ck_assert_str_eq(v.limit, "\\x1b[31m");
}
END_TEST

START_TEST(bars)
{
	char text[BAR_TEXT_MAX], value[NUM_TEXT_MAX];

	ck_assert_uint_eq(bar_share(0, 0), 0);
	ck_assert_uint_eq(bar_share(0, 1), 1000);
	ck_assert_uint_eq(bar_share(3, 1), 333);
	ck_assert_uint_eq(bar_share(1, UINT64_MAX), UINT64_MAX / 1000);
	ck_assert_str_eq(bar_value("time", 1500, value), "1.50 s");
	ck_assert_str_eq(bar_value("files", 1500, value), "1500");
	ck_assert_str_eq(bar_value("memory", 2 * GIB, value), "2 GiB");
	ck_assert_str_eq(bar_value("what is that", KIB, value), "1 KiB");
	ck_assert_str_eq(bar_text("cpu-time", 10000, 4000, text),
			 "cpu-time [########............]  40 %  4.00 s of 10.0 s");
	ck_assert_str_eq(bar_text("log", 0, 0, text),
			 "log      [....................]   0 %  0 B of 0 B");
	ck_assert_str_eq(bar_text("files", 10, 10, text),
			 "files    [####################] 100 %  10 of 10");
	ck_assert_str_eq(bar_text("files", 1, UINT64_MAX, text),
			 "files    [####################] 999 %  18446744073709551615 of 1");
}
END_TEST

START_TEST(host_space)
{
	const struct space_use here[] = {{"/", 5}, {"/", 7}, {"/proc", UINT64_MAX}, {"/proc", 1}};
	const struct space_use missing = {"/nonexistent", 1};
	struct space s = {
		.fs = {{.path = "/a", .total = 100 * GIB, .free = GIB, .worst = 700 * MIB},
		       {.path = "/b", .total = GIB, .free = 60 * MIB, .worst = 8 * MIB}},
		.n = 2};
	struct err e = ERR_INIT;

	ck_assert_uint_eq(space_reserve(&s.fs[0]), 256 * MIB);
	ck_assert_uint_eq(space_reserve(&s.fs[1]), GIB / 20);
	ck_assert_int_eq(space_check(&s, &e), 0);
	ck_assert_ptr_null(space_worst(&s, &e));
	s.fs[0].worst = 800 * MIB;
	ck_assert_ptr_eq(space_worst(&s, &e), &s.fs[0]);
	ck_assert_ptr_nonnull(strstr(e.text, "/a: has 1 GiB free"));
	s.fs[0].worst = 0;
	s.fs[1].free = 50 * MIB;
	ck_assert_int_eq(space_check(&s, &e), -ENOSPC);
	ck_assert_ptr_nonnull(strstr(e.text, "/b: only 50 MiB are free"));
	ck_assert_ptr_eq(space_worst(&s, &e), &s.fs[1]);

	ck_assert_int_eq(space_look(here, ARRAY_SIZE(here), &s, &e), 0);
	ck_assert_uint_eq(s.n, 2);
	ck_assert_uint_eq(s.fs[0].worst, 12);
	ck_assert_uint_gt(s.fs[0].total, 0);
	ck_assert_uint_eq(s.fs[1].worst, UINT64_MAX);
	s.fs[0].total = 0;
	space_refresh(&s);
	ck_assert_uint_gt(s.fs[0].total, 0);
	ck_assert_int_eq(space_look(&missing, 1, &s, &e), -ENOENT);
}
END_TEST

START_TEST(verdicts)
{
	struct verdict v = of("{\"outcome\": \"done\", \"exit\": 0}");

	ck_assert_int_eq(v.kind, VERDICT_BUILT);
	v = of("{\"outcome\": \"done\", \"exit\": 7}");
	ck_assert_int_eq(v.kind, VERDICT_FAILED);
	ck_assert_int_eq(v.exit_code, 7);
	ck_assert_str_eq(v.reason, "the build commands ended with exit status 7");
	v = of("{\"outcome\": \"done\", \"exit\": 137}");
	ck_assert_str_eq(v.reason, "the build commands ended by signal 9 (SIGKILL)");
	v = of("{\"outcome\": \"limit\", \"exit\": 0, \"limit\": \"cpu-time\", \"granted\": 5000, "
	       "\"used\": 5120}");
	ck_assert_int_eq(v.kind, VERDICT_LIMIT);
	ck_assert_str_eq(v.reason, "the build is over its limit of cpu-time: granted 5.00 s, "
				   "used 5.12 s, after 0.00 s");
	v = of("{\"outcome\": \"broken\", \"reason\": \"\\u001b[2J\"}");
	ck_assert_int_eq(v.kind, VERDICT_INFRASTRUCTURE);
	ck_assert_str_eq(v.reason, "\\x1b[2J");
}
END_TEST

/* What only a manager that has to do with a template may say. */
START_TEST(template_verdicts)
{
	static const char saved[] = "{\"outcome\": \"saved\", \"reason\": \"\"}";
	static const char failed[] = "{\"outcome\": \"template\", \"reason\": \"QEMU\\n\"}";
	cJSON *j = NULL;
	struct verdict v = of(saved);

	ck_assert_int_eq(v.kind, VERDICT_INFRASTRUCTURE);
	v = of(failed);
	ck_assert(v.kind == VERDICT_INFRASTRUCTURE && !v.cold);
	ck_assert_int_eq(json_parse(saved, strlen(saved), &j, NULL), 0);
	v = verdict_of_template(j, true);
	ck_assert(v.kind == VERDICT_BUILT && v.exit_code == -1);
	v = verdict_of_template(j, false);
	ck_assert(v.kind == VERDICT_INFRASTRUCTURE && !v.cold);
	j = json_free(j);
	ck_assert_int_eq(json_parse(failed, strlen(failed), &j, NULL), 0);
	v = verdict_of_template(j, false);
	ck_assert(v.kind == VERDICT_INFRASTRUCTURE && v.cold);
	ck_assert_str_eq(v.reason, "QEMU\\n");
	j = json_free(j);
	ck_assert_int_eq(json_parse("{\"outcome\": \"template\"}", 23, &j, NULL), 0);
	v = verdict_of_template(j, true);
	ck_assert(v.kind == VERDICT_INFRASTRUCTURE && !v.cold);
	j = json_free(j);
}
END_TEST

static struct verdict of_play(const char *text)
{
	cJSON *j = NULL;
	struct verdict v;

	ck_assert_int_eq(json_parse(text, strlen(text), &j, NULL), 0);
	v = verdict_of_play(j);
	json_free(j);
	return v;
}

START_TEST(play_verdicts)
{
	struct verdict v = of_play("{\"outcome\": \"done\", \"exit\": 0}");

	ck_assert_int_eq(v.kind, VERDICT_BUILT);
	ck_assert_int_eq(v.exit_code, -1);
	v = of_play("{\"outcome\": \"done\", \"exit\": 2, \"failed\": \"task\", "
		    "\"failed-task\": \"one\\u001b: no\"}");
	ck_assert_int_eq(v.kind, VERDICT_FAILED);
	ck_assert(v.play && v.exit_code == -1);
	ck_assert_str_eq(v.reason, "prepare: a task failed: one\\x1b: no");
	v = of_play("{\"outcome\": \"done\", \"exit\": 2, \"failed\": \"fetch\", "
		    "\"failed-task\": \"apt: x\"}");
	ck_assert_int_eq(v.kind, VERDICT_INFRASTRUCTURE);
	v = of_play("{\"outcome\": \"done\", \"exit\": 4}");
	ck_assert_int_eq(v.kind, VERDICT_FAILED);
	ck_assert_str_eq(v.reason, "prepare: ansible-playbook ended with exit status 4");
	v = of_play("{\"outcome\": \"broken\", \"reason\": \"x\"}");
	ck_assert(v.kind == VERDICT_INFRASTRUCTURE && !v.play);
}
END_TEST

START_TEST(lies)
{
	static const char *const texts[] = {
		"{}",
		"[]",
		"{\"outcome\": \"done\"}",
		"{\"outcome\": \"done\", \"exit\": 256}",
		"{\"outcome\": \"done\", \"exit\": -1}",
		"{\"outcome\": \"done\", \"exit\": \"0\"}",
		"{\"outcome\": \"limit\"}",
		"{\"outcome\": 1, \"exit\": 0}",
		"{\"outcome\": \"built\", \"exit\": 0, \"reason\": \"\"}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct verdict v = of(texts[i]);

		ck_assert_msg(v.kind == VERDICT_INFRASTRUCTURE && v.reason[0], "%s", texts[i]);
	}
}
END_TEST

static enum play_need need(const char *play)
{
	char *have[] = {(char *)"bash", (char *)"build-essential"};
	const struct manifest m = {.packages = have, .n_packages = 2};
	enum play_need n;
	cJSON *j = NULL;

	ck_assert_int_eq(json_parse(play, strlen(play), &j, NULL), 0);
	n = play_need(j, &m);
	json_free(j);
	return n;
}

START_TEST(plays)
{
	static const char *const done[] = {
		"[{}]",
		"[{\"hosts\": \"worker\", \"remote_user\": \"worker\", \"become\": true, "
		"\"tasks\": "
		"[{\"apt\": {\"name\": \"build-essential\"}}], \"vars\": {\"a\": \"b\"}}]",
		"[{\"tasks\": [{\"name\": \"x\", \"apt\": {\"pkg\": [\"bash\", \"build-essential\"]"
		", \"state\": \"present\"}}]}]",
	};
	static const char *const run[] = {
		"[{\"tasks\": [{\"apt\": {\"name\": \"bash, vim\"}}]}]",
		"[{\"tasks\": [{\"apt\": {\"name\": \"bash=5\"}}]}]",
		"[{\"tasks\": [{\"apt\": {\"name\": \"{{ x }}\"}}]}]",
		"[{\"tasks\": [{\"apt\": {\"name\": \"bash\", \"state\": \"absent\"}}]}]",
		"[{\"tasks\": [{\"apt\": {\"name\": \"bash\", \"update_cache\": true}}]}]",
		"[{\"tasks\": [{\"apt\": {\"name\": 5}}]}]",
		"[{\"tasks\": [{\"apt\": {\"name\": [5]}}]}]",
		"[{\"tasks\": [{\"apt\": \"name=bash\"}]}]",
		"[{\"tasks\": [{\"shell\": \"true\"}]}]",
		"[{\"tasks\": [{\"apt\": {\"name\": \"bash\"}, \"notify\": \"x\"}]}]",
		"[{\"roles\": [\"x\"]}]",
		"[{\"tasks\": [\"x\"]}]",
		"[{\"pre_tasks\": [{\"pip\": {}}]}]",
		"[{\"import_playbook\": \"x\"}]",
		"[{}, 5]",
	};
	char *with[] = {(char *)"ansible-core"};
	struct manifest m = {.packages = with, .n_packages = 1};
	struct err e = ERR_INIT;

	ck_assert_int_eq(need("[]"), PLAY_NOTHING);
	for (size_t i = 0; i < ARRAY_SIZE(done); i++)
		ck_assert_msg(need(done[i]) == PLAY_DONE, "%s", done[i]);
	for (size_t i = 0; i < ARRAY_SIZE(run); i++)
		ck_assert_msg(need(run[i]) == PLAY_RUN, "%s", run[i]);
	ck_assert_int_eq(play_check_image("w.img", &m, &e), 0);
	m.n_packages = 0;
	ck_assert_int_eq(play_check_image("w.img", &m, &e), -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.text, "without --no-ansible"));
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("cli");
	TCase *tc = unit_case(s, "cli");

	tcase_add_test(tc, verdicts);
	tcase_add_test(tc, template_verdicts);
	tcase_add_test(tc, limit_verdicts);
	tcase_add_test(tc, bars);
	tcase_add_test(tc, host_space);
	tcase_add_test(tc, play_verdicts);
	tcase_add_test(tc, lies);
	tcase_add_test(tc, plays);
	return s;
}
