/* SPDX-License-Identifier: GPL-3.0-or-later */
/* src/cli: the file of a memory template, and the keys of what is cached. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/io.h"
#include "cli/cache-key.h"
#include "cli/template-file.h"

#define MEMORY (64 * MIB)
#define DISK   (32 * MIB)

static int file(void)
{
	struct err e = ERR_INIT;
	int fd = io_tmpfile("/tmp", &e);

	ck_assert_msg(fd >= 0, "%s", e.text);
	return fd;
}

static void put(int fd, const char *text, uint64_t at)
{
	ck_assert_int_eq(pwrite(fd, text, strlen(text), (off_t)at), (ssize_t)strlen(text));
}

static void expect(int fd, const char *text, uint64_t at)
{
	char got[64] = "";

	ck_assert_int_eq(pread(fd, got, strlen(text), (off_t)at), (ssize_t)strlen(text));
	ck_assert_str_eq(got, text);
}

/* A template with a word in each of its parts. */
static int make(const struct template_layout *l)
{
	struct template_trailer t = {.tsc_khz = 2500000, .scratch_room = 4711};
	struct err e = ERR_INIT;
	int fd = file(), scratch = file();

	ck_assert_int_eq(ftruncate(fd, (off_t)l->total), 0);
	ck_assert_int_eq(ftruncate(scratch, (off_t)l->scratch_size), 0);
	put(fd, "memory", 4096);
	put(fd, "state", l->state);
	put(scratch, "first", 0);
	put(scratch, "last", l->scratch_size - 4);
	ck_assert_msg(template_complete(fd, l, scratch, &t, &e) == 0, "%s", e.text);
	(void)close(scratch);
	return fd;
}

START_TEST(layout)
{
	struct template_layout l = template_layout(MEMORY, DISK + 512);

	ck_assert_uint_eq(l.state, MEMORY);
	ck_assert_uint_eq(l.scratch, MEMORY + 64 * MIB);
	ck_assert_uint_eq(l.trailer, MEMORY + 64 * MIB + DISK + 4096);
	ck_assert_uint_eq(l.total, l.trailer + 4096);
}
END_TEST

START_TEST(whole)
{
	const struct template_layout l = template_layout(MEMORY, DISK);
	struct template_trailer t;
	struct err e = ERR_INIT;
	int fd = make(&l), out = file();
	struct stat st;

	ck_assert_msg(template_check(fd, &l, &t, &e) == 0, "%s", e.text);
	ck_assert_uint_eq(t.tsc_khz, 2500000);
	ck_assert_uint_eq(t.scratch_room, 4711);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_uint_eq((uint64_t)st.st_size, l.total);
	ck_assert_uint_lt((uint64_t)st.st_blocks * 512, 1 * MIB);
	ck_assert_int_eq(ftruncate(out, DISK), 0);
	ck_assert_int_eq(template_copy(fd, l.scratch, out, 0, DISK), 0);
	expect(out, "first", 0);
	expect(out, "last", DISK - 4);
	ck_assert_int_eq(fstat(out, &st), 0);
	ck_assert_uint_lt((uint64_t)st.st_blocks * 512, 1 * MIB);
	(void)close(fd);
	(void)close(out);
}
END_TEST

START_TEST(damaged)
{
	const struct template_layout l = template_layout(MEMORY, DISK);
	static const char *const trailers[] = {
		"",
		"{",
		"[]",
		"{\"format\":1}",
		"{\"format\":2,\"tsc-khz\":1,\"scratch-room\":1,\"state-sha256\":\"\"}",
		"{\"format\":1,\"tsc-khz\":-1,\"scratch-room\":1,\"state-sha256\":\"\"}"};
	struct template_trailer t;
	struct err e = ERR_INIT;
	char zero[4096] = "";
	int fd = make(&l);

	put(fd, "x", l.state + 3);
	ck_assert_int_eq(template_check(fd, &l, &t, &e), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(e.text, "state"));
	put(fd, "t", l.state + 3);
	ck_assert_int_eq(template_check(fd, &l, &t, &e), 0);
	put(fd, "x", l.state + 1000000);
	ck_assert_int_eq(template_check(fd, &l, &t, &e), -EBADMSG);
	for (size_t i = 0; i < ARRAY_SIZE(trailers); i++) {
		ck_assert_int_eq(pwrite(fd, zero, sizeof(zero), (off_t)l.trailer), sizeof(zero));
		put(fd, trailers[i], l.trailer);
		ck_assert_int_eq(template_check(fd, &l, &t, &e), -EBADMSG);
	}
	ck_assert_int_eq(ftruncate(fd, (off_t)l.trailer), 0);
	ck_assert_int_eq(template_check(fd, &l, &t, &e), -EBADMSG);
	(void)close(fd);
}
END_TEST

/* No two lists of inputs have one key, wherever a name or value ends. */
START_TEST(keys)
{
	static const struct cache_input lists[][2] = {{{"a", "bc", 2}, {"d", "", 0}},
						      {{"ab", "c", 1}, {"d", "", 0}},
						      {{"a", "b", 1}, {"cd", "", 0}},
						      {{"a", "bc", 2}, {"", "d", 1}},
						      {{"d", "", 0}, {"a", "bc", 2}},
						      {{"a", "bd", 2}, {"d", "", 0}},
						      {{"a", "bc\0", 3}, {"d", "", 0}}};
	char key[ARRAY_SIZE(lists) + 1][SHA256_HEX_SIZE], again[SHA256_HEX_SIZE];

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		cache_key(lists[i], 2, key[i]);
	cache_key(lists[0], 1, key[ARRAY_SIZE(lists)]);
	for (size_t i = 0; i < ARRAY_SIZE(key); i++) {
		for (size_t j = 0; j < i; j++)
			ck_assert_str_ne(key[i], key[j]);
	}
	cache_key(lists[0], 2, again);
	ck_assert_str_eq(again, key[0]);
}
END_TEST

START_TEST(identities)
{
	char path[] = "/tmp/test-template-XXXXXX", linked[64];
	char first[CACHE_IDENTITY_MAX], then[CACHE_IDENTITY_MAX];
	struct timespec times[2] = {{0, UTIME_OMIT}, {1000, 7}};
	struct err e = ERR_INIT;
	int fd = mkostemp(path, O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(cache_identity(fd, first), 0);
	(void)snprintf(linked, sizeof(linked), "%s-2", path);
	ck_assert_int_eq(link(path, linked), 0);
	ck_assert_int_eq(cache_identity_of(linked, then, &e), 0);
	ck_assert_str_eq(then, first);
	ck_assert_int_eq(futimens(fd, times), 0);
	ck_assert_int_eq(cache_identity(fd, then), 0);
	ck_assert_str_ne(then, first);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(unlink(linked), 0);
	ck_assert_int_eq(cache_identity_of(path, then, &e), -ENOENT);
	(void)close(fd);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("template");
	TCase *tc = unit_case(s, "template");

	tcase_add_test(tc, layout);
	tcase_add_test(tc, whole);
	tcase_add_test(tc, damaged);
	tcase_add_test(tc, keys);
	tcase_add_test(tc, identities);
	return s;
}
