/* SPDX-License-Identifier: GPL-3.0-or-later */
/* main() of a unit test program: TAP on stdout, each test forked, descriptors counted. */
#include "unit.h"

#include <dirent.h>

static int fds_before;

static int count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	if (!d)
		return -1;
	while (readdir(d))
		n++;
	(void)closedir(d);
	return n;
}

static void fds_setup(void)
{
	fds_before = count_fds();
}

static void fds_teardown(void)
{
	ck_assert_int_eq(count_fds(), fds_before);
}

TCase *unit_case(Suite *s, const char *name)
{
	TCase *tc = tcase_create(name);

	tcase_add_checked_fixture(tc, fds_setup, fds_teardown);
	tcase_set_timeout(tc, 30);
	suite_add_tcase(s, tc);
	return tc;
}

int main(void)
{
	SRunner *sr = srunner_create(unit_suite());
	int failed;

	srunner_set_tap(sr, "-");
	srunner_run_all(sr, CK_SILENT);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
