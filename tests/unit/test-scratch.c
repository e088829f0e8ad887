/* SPDX-License-Identifier: GPL-3.0-or-later */
/* src/cli/scratch: marks of a file system that mke2fs made, and of one that lies. */
#include "unit.h"

#include <endian.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/scratch.h"

static int make(uint64_t size)
{
	int fd = memfd_create("scratch", MFD_CLOEXEC);
	struct err e = ERR_INIT;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
	ck_assert_msg(scratch_format(fd, size, &e) == 0, "%s", e.text);
	return fd;
}

static void put(int fd, uint64_t at, const void *data, size_t n)
{
	ck_assert_int_eq(pwrite(fd, data, n, (off_t)at), (ssize_t)n);
}

static uint32_t get32(int fd, uint64_t at)
{
	uint32_t v = 0;

	ck_assert_int_eq(pread(fd, &v, sizeof(v), (off_t)at), sizeof(v));
	return le32toh(v);
}

/* Small disks have blocks of 1 KiB, large ones of 4. */
static const uint64_t sizes[] = {16 * MIB, 24 * MIB, 600 * MIB, 10 * GIB};

START_TEST(full_marks)
{
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		int fd = make(sizes[i]);
		uint64_t mark = 0;

		ck_assert_int_eq(scratch_full_mark(fd, &mark, NULL), 0);
		ck_assert_uint_gt(mark, sizes[i] / 10 * 8);
		ck_assert_uint_lt(mark, sizes[i] / 100 * 97);
		put(fd, 1024 + 0x38, "xx", 2);
		ck_assert_int_eq(scratch_full_mark(fd, &mark, NULL), -EIO);
		(void)close(fd);
	}
}
END_TEST

/* Each group's count is lowered in turn: only with the last one there is no inode left. */
START_TEST(inodes)
{
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		int fd = make(sizes[i]);
		uint32_t groups = get32(fd, 1024) / get32(fd, 1024 + 0x28);
		uint32_t block = 1024U << get32(fd, 1024 + 0x18);
		uint32_t size = get32(fd, 1024 + 0x60) & 0x80 ? get32(fd, 1024 + 0xfc) >> 16 : 32;
		uint64_t at = (uint64_t)(get32(fd, 1024 + 0x14) + 1) * block;

		ck_assert_uint_ge(groups, 1);
		for (uint32_t g = 0; g < groups; g++, at += size) {
			ck_assert(!scratch_inodes_gone(fd));
			put(fd, at + 0x12, "\0", 2);
			put(fd, at + 0x1c, "\0", 2);
		}
		ck_assert(scratch_inodes_gone(fd));
		(void)close(fd);
	}
}
END_TEST

/* What a guest can make of its super block; nothing of it is followed anywhere. */
START_TEST(lies)
{
	static const struct {
		uint32_t at, value;
	} all[] = {
		{0x00, 0},	    {0x00, UINT32_MAX}, {0x14, UINT32_MAX}, {0x18, 7},
		{0x18, UINT32_MAX}, {0x28, 0},		{0x28, 1},	    {0x28, UINT32_MAX},
		{0x60, 0x90},	    {0x64, 0},		{0xfc, 0},	    {0xfc, UINT32_MAX},
	};
	unsigned char sb[1024];
	int fd = make(24 * MIB);

	ck_assert_int_eq(pread(fd, sb, sizeof(sb), 1024), sizeof(sb));
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		uint32_t v = htole32(all[i].value);

		put(fd, 1024, sb, sizeof(sb));
		put(fd, 1024 + all[i].at, &v, sizeof(v));
		ck_assert_msg(!scratch_inodes_gone(fd), "%zu", i);
	}
	ck_assert_int_eq(ftruncate(fd, 1500), 0);
	ck_assert(!scratch_inodes_gone(fd));
	(void)close(fd);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("scratch");
	TCase *tc = unit_case(s, "scratch");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, full_marks);
	tcase_add_test(tc, inodes);
	tcase_add_test(tc, lies);
	return s;
}
