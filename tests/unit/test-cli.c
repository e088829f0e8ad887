/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The command line's pure parts: verdicts, and packages in a play. */
#include "unit.h"

#include "cli/packages.h"
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
				   "used 5.12 s");
	v = of("{\"outcome\": \"broken\", \"reason\": \"\\u001b[2J\"}");
	ck_assert_int_eq(v.kind, VERDICT_INFRASTRUCTURE);
	ck_assert_str_eq(v.reason, "\\x1b[2J");
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

static int packages(const char *play, struct err *e)
{
	char *have[] = {(char *)"bash", (char *)"build-essential"};
	const struct manifest m = {.packages = have, .n_packages = 2};
	cJSON *j = NULL;
	int r;

	ck_assert_int_eq(json_parse(play, strlen(play), &j, NULL), 0);
	r = packages_check(j, &m, e);
	json_free(j);
	return r;
}

START_TEST(plays)
{
	struct err e = ERR_INIT;

	ck_assert_int_eq(packages("[]", &e), 0);
	ck_assert_int_eq(packages("[{\"hosts\": \"worker\", \"tasks\": [{\"name\": \"x\", \"apt\": "
				  "{\"name\": \"build-essential\", \"update_cache\": true}}]}]",
				  &e),
			 0);
	ck_assert_int_eq(packages("[{\"tasks\": [{\"apt\": {\"pkg\": [\"bash\", "
				  "\"build-essential\"]}}]}]",
				  &e),
			 0);
	ck_assert_int_lt(packages("[{\"tasks\": [{\"apt\": {\"name\": \"bash, vim\"}}]}]", &e), 0);
	ck_assert_ptr_nonnull(strstr(e.text, "--include vim"));
	ck_assert_int_lt(packages("[{\"tasks\": [{\"shell\": \"true\"}]}]", &e), 0);
	ck_assert_ptr_nonnull(strstr(e.text, "shell"));
	ck_assert_int_lt(packages("[{\"roles\": [\"x\"]}]", &e), 0);
	ck_assert_int_lt(packages("[{\"tasks\": [\"x\"]}]", &e), 0);
	ck_assert_int_lt(packages("[{\"pre_tasks\": [{\"pip\": {}}]}]", &e), 0);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("cli");
	TCase *tc = unit_case(s, "cli");

	tcase_add_test(tc, verdicts);
	tcase_add_test(tc, lies);
	tcase_add_test(tc, plays);
	return s;
}
