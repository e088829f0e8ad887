/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The rules for returned entries, and the small structures of the archive module. */
#include <errno.h>

#include "archive/filter.h"
#include "archive/inodes.h"
#include "unit.h"

static char inner[FILTER_PATH_MAX + 1];

/* The broken rule, or what is below the top folder. */
static const char *rule_of(const char *path)
{
	const char *rule = filter_path(path, inner);

	return rule ? rule : inner;
}

START_TEST(paths_pass)
{
	ck_assert_str_eq(rule_of("workspace"), "");
	ck_assert_str_eq(rule_of("workspace/"), "");
	ck_assert_str_eq(rule_of("workspace/a"), "a");
	ck_assert_str_eq(rule_of("workspace/a/"), "a");
	ck_assert_str_eq(rule_of("workspace/a/b.c"), "a/b.c");
	ck_assert_str_eq(rule_of("workspace/..a/...b/.c"), "..a/...b/.c");
	ck_assert_str_eq(rule_of("workspace/\xff\xfe"), "\xff\xfe");
	ck_assert_str_eq(rule_of("workspace/a\nb"), "a\nb");
}
END_TEST

START_TEST(paths_fail)
{
	static const char *const cases[][2] = {
		{"", "no name"},
		{"/", "absolute"},
		{"/workspace/a", "absolute"},
		{"..", "'..'"},
		{"workspace/..", "'..'"},
		{"workspace/../workspace/a", "'..'"},
		{"workspace/a/..", "'..'"},
		{"../workspace/a", "'..'"},
		{"./workspace/a", "'.'"},
		{"workspace/.", "'.'"},
		{"workspace/./a", "'.'"},
		{"workspace//a", "empty name"},
		{"workspace/a//", "empty name"},
		{"workspaces", "outside"},
		{"workspac", "outside"},
		{"Workspace/a", "outside"},
		{"etc/passwd", "outside"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		ck_assert_msg(strstr(rule_of(cases[i][0]), cases[i][1]) != NULL, "%s: %s",
			      cases[i][0], rule_of(cases[i][0]));
	ck_assert_str_eq(rule_of(NULL), "has no name");
}
END_TEST

/* A path of `depth` components of `len` bytes each, below the top folder. */
static char *long_path(size_t depth, size_t len)
{
	struct buf b = {0};

	ck_assert_int_eq(buf_puts(&b, "workspace"), 0);
	for (size_t i = 0; i < depth; i++) {
		ck_assert_int_eq(buf_putc(&b, '/'), 0);
		for (size_t j = 0; j < len; j++)
			ck_assert_int_eq(buf_putc(&b, 'n'), 0);
	}
	return buf_take(&b);
}

static const struct {
	size_t depth, len;
	const char *rule;
} extents[] = {
	{1, 255, NULL},
	{1, 256, "255 bytes"},
	{64, 1, NULL},
	{65, 1, "64 folders"},
	{4, 255, NULL}, /* 1023 bytes */
	{64, 15, NULL}, /* 1023 bytes */
	{5, 205, "1024 bytes"},
	{5, 204, NULL}, /* 1024 bytes */
	{1000, 200, "64 folders"},
};

START_TEST(path_extents)
{
	_cleanup_free_ char *path = long_path(extents[_i].depth, extents[_i].len);
	const char *rule = rule_of(path);

	if (extents[_i].rule)
		ck_assert_ptr_nonnull(strstr(rule, extents[_i].rule));
	else
		ck_assert_str_eq(rule, path + strlen("workspace/"));
}
END_TEST

START_TEST(inner_paths)
{
	ck_assert_ptr_null(filter_inner_path("src/a"));
	ck_assert_ptr_null(filter_inner_path(""));
	ck_assert_ptr_nonnull(filter_inner_path("/src"));
	ck_assert_ptr_nonnull(filter_inner_path("src/../x"));
}
END_TEST

static const struct {
	const char *path, *target;
	enum filter_link link;
} links[] = {
	{"l", "a", FILTER_LINK_INSIDE},		 {"l", "a/b/c", FILTER_LINK_INSIDE},
	{"l", ".", FILTER_LINK_INSIDE},		 {"l", "./a//b/", FILTER_LINK_INSIDE},
	{"l", "..a", FILTER_LINK_INSIDE},	 {"d/l", "..", FILTER_LINK_INSIDE},
	{"d/l", "../a", FILTER_LINK_INSIDE},	 {"d/e/l", "../../a", FILTER_LINK_INSIDE},
	{"l", "..", FILTER_LINK_OUTSIDE},	 {"l", "../workspace/a", FILTER_LINK_OUTSIDE},
	{"d/l", "../..", FILTER_LINK_OUTSIDE},	 {"d/l", "./.././../x", FILTER_LINK_OUTSIDE},
	{"l", "/", FILTER_LINK_OUTSIDE},	 {"l", "/workspace/a", FILTER_LINK_OUTSIDE},
	{"l", "a/../b", FILTER_LINK_CHECK},	 {"d/l", "../a/../b", FILTER_LINK_CHECK},
	{"d/l", "a/../../b", FILTER_LINK_CHECK}, {"l", "a/../../b", FILTER_LINK_OUTSIDE},
	{"l", "a/..", FILTER_LINK_CHECK},
};

START_TEST(symlinks)
{
	ck_assert_int_eq(filter_symlink(links[_i].path, links[_i].target), links[_i].link);
}
END_TEST

START_TEST(entries)
{
	struct filter_entry e = {.type = FILTER_FILE, .path = "workspace/f", .mode = 0107755};
	struct filter_plan p;

	ck_assert_ptr_null(filter_entry(&e, &p));
	ck_assert_uint_eq(p.mode, 0755);
	e.mode = 0;
	ck_assert_ptr_null(filter_entry(&e, &p));
	ck_assert_uint_eq(p.mode, 0600);
	e.size = -1;
	ck_assert_str_eq(filter_entry(&e, &p), "has a negative size");
	e = (struct filter_entry){.type = FILTER_FOLDER, .path = "workspace/d/"};
	ck_assert_ptr_null(filter_entry(&e, &p));
	ck_assert_uint_eq(p.mode, 0700);
	ck_assert_str_eq(p.path, "d");
	e = (struct filter_entry){.type = FILTER_HARDLINK, .path = "workspace/h"};
	ck_assert_str_eq(filter_entry(&e, &p), "is a link without a target");
	e.target = "workspace/f";
	ck_assert_ptr_null(filter_entry(&e, &p));
	ck_assert_str_eq(p.target, "f");
	e.target = "f";
	ck_assert_ptr_nonnull(filter_entry(&e, &p));
	e = (struct filter_entry){.type = FILTER_OTHER, .path = "workspace/o"};
	ck_assert_ptr_nonnull(filter_entry(&e, &p));
}
END_TEST

START_TEST(sums)
{
	const struct output_limits l = {.bytes = 1000, .entries = 3};
	struct filter_sums s = {0};

	ck_assert_int_eq(filter_count(&s, &l, 1, 1000, 1000), FILTER_LIMIT_NONE);
	ck_assert_int_eq(filter_count(&s, &l, 2, 0, 15000), FILTER_LIMIT_NONE);
	ck_assert_int_eq(filter_count(&s, &l, 0, 0, 1000), FILTER_LIMIT_OUTPUT);
	s = (struct filter_sums){0};
	ck_assert_int_eq(filter_count(&s, &l, 0, 1001, 0), FILTER_LIMIT_OUTPUT);
	s = (struct filter_sums){0};
	ck_assert_int_eq(filter_count(&s, &l, 4, 0, 0), FILTER_LIMIT_FILES);
	s = (struct filter_sums){.data = UINT64_MAX - 1, .apparent = UINT64_MAX};
	ck_assert_int_eq(filter_count(&s, &l, 0, 2, 2), FILTER_LIMIT_OUTPUT);
	ck_assert_uint_eq(s.data, UINT64_MAX);
}
END_TEST

START_TEST(inode_map)
{
	struct inodes m = {0};
	char path[32];

	ck_assert_ptr_null(inodes_find(&m, 1, 1));
	for (unsigned int i = 0; i < 5000; i++) {
		(void)snprintf(path, sizeof(path), "file %u", i);
		ck_assert_int_eq(inodes_add(&m, i % 3, i * 64, path), 0);
	}
	for (unsigned int i = 0; i < 5000; i++) {
		(void)snprintf(path, sizeof(path), "file %u", i);
		ck_assert_str_eq(inodes_find(&m, i % 3, i * 64), path);
	}
	ck_assert_ptr_null(inodes_find(&m, 4, 64));
	inodes_done(&m);
}
END_TEST

START_TEST(inode_map_cap)
{
	struct inodes m = {0};
	char path[1024];
	ino_t i = 0;

	memset(path, 'p', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	while (inodes_add(&m, 1, i, path) == 0)
		i++;
	ck_assert_uint_le(i, INODES_PATHS_MAX / sizeof(path));
	ck_assert_int_eq(inodes_add(&m, 1, i, path), -E2BIG);
	ck_assert_ptr_null(inodes_find(&m, 1, i));
	ck_assert_str_eq(inodes_find(&m, 1, 0), path);
	inodes_done(&m);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("filter");
	TCase *tc = unit_case(s, "filter");

	tcase_add_test(tc, paths_pass);
	tcase_add_test(tc, paths_fail);
	tcase_add_loop_test(tc, path_extents, 0, ARRAY_SIZE(extents));
	tcase_add_test(tc, inner_paths);
	tcase_add_loop_test(tc, symlinks, 0, ARRAY_SIZE(links));
	tcase_add_test(tc, entries);
	tcase_add_test(tc, sums);
	tc = unit_case(s, "inodes");
	tcase_add_test(tc, inode_map);
	tcase_add_test(tc, inode_map_cap);
	return s;
}
