/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A cache of prepared disks in the scratch folder, and small things to do with it. */
#ifndef CONTRACTOR_TESTS_STORED_H
#define CONTRACTOR_TESTS_STORED_H

#include <errno.h>
#include <fcntl.h>
#include <time.h>

#include "cli/store.h"
#include "scratch.h"

#define KEY_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define KEY_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static inline int open_store(void)
{
	struct err e = ERR_INIT;
	int fd;

	fd = store_open(top, &e);
	ck_assert_msg(fd >= 0, "%s", e.text);
	return fd;
}

static inline void put(int store, const char *key, const char *text)
{
	struct store_entry entry = {.label = "hello.yaml", .made = (uint64_t)time(NULL)};
	struct err e = ERR_INIT;
	int fd = io_tmpfile(top, &e);

	ck_assert_int_ge(fd, 0);
	(void)snprintf(entry.key, sizeof(entry.key), "%s", key);
	ck_assert_int_eq(ftruncate(fd, 1 << 20), 0);
	ck_assert_int_eq(pwrite(fd, text, strlen(text), 300000), (ssize_t)strlen(text));
	ck_assert_msg(store_keep(store, fd, &entry, &e) == 0, "%s", e.text);
	ck_assert_int_eq(close(fd), 0);
}

static inline int find(int store, const char *key, char damage[ERR_TEXT_MAX])
{
	struct store_entry entry;
	int fd = -1, r = store_find(store, key, 0, &fd, &entry, damage);

	ck_assert_int_eq(r == 1, fd >= 0);
	return r == 1 ? fd : -ENOENT;
}

#endif
