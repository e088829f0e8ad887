/* SPDX-License-Identifier: GPL-3.0-or-later */
/* src/cli: entries of the cache that builds take, write to, and put back. */
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "stored.h"

static int list_put(int store, const char *key, int fd, const char *list)
{
	const struct buf text = {.data = (char *)list, .len = strlen(list)};
	struct store_entry entry = {.label = "workspace /ws", .made = (uint64_t)time(NULL)};
	struct err e = ERR_INIT;
	int r, own = fd < 0 ? io_tmpfile(top, &e) : fd;

	(void)snprintf(entry.key, sizeof(entry.key), "%s", key);
	ck_assert_int_eq(ftruncate(own, 1 << 20), 0);
	ck_assert_int_eq(pwrite(own, list, strlen(list), 300000), (ssize_t)strlen(list));
	r = store_put(store, own, &text, &entry, &e);
	if (fd < 0)
		ck_assert_int_eq(close(own), 0);
	return r;
}

/* Takes it: its disk, which has what its list has, or -ENOENT. */
static int list_take(int store, const char *key, char damage[ERR_TEXT_MAX])
{
	_cleanup_buf_ struct buf list = {0};
	char text[64] = "";
	int fd = -1, r = store_take(store, key, &fd, &list, damage);

	ck_assert_int_eq(r == 1, fd >= 0);
	if (r != 1)
		return -ENOENT;
	ck_assert_str_eq(damage, "");
	ck_assert_int_eq(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
	ck_assert_int_eq(pread(fd, text, list.len, 300000), (ssize_t)list.len);
	ck_assert_str_eq(text, buf_str(&list));
	return fd;
}

/* How many files of that entry there are, but for its lock. */
static int files_of(int store, const char *key)
{
	static const char *const ends[] = {".img",     ".list",	    ".json",
					   ".img.new", ".list.new", ".json.new"};
	char name[80];
	int n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		(void)snprintf(name, sizeof(name), "%s%s", key, ends[i]);
		n += faccessat(store, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	}
	return n;
}

START_TEST(take_and_put)
{
	char damage[ERR_TEXT_MAX];
	struct store_entry *all;
	int store = open_store(), fd;
	size_t n;

	ck_assert_int_eq(list_take(store, KEY_A, damage), -ENOENT);
	ck_assert_str_eq(damage, "");
	ck_assert_int_eq(list_put(store, KEY_A, -1, "first"), 0);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(files_of(store, KEY_A), 3);
		ck_assert_int_eq(store_list(store, &all, &n, NULL), 0);
		ck_assert_uint_eq(n, 1);
		ck_assert(all[0].has_list);
		ck_assert_int_eq(store_verify(store, &all[0], NULL), 0);
		free(all);
		fd = list_take(store, KEY_A, damage);
		ck_assert_int_ge(fd, 0);
		/* nobody else has it, and nobody hears of it, for as long */
		ck_assert_int_eq(list_take(store, KEY_A, damage), -ENOENT);
		ck_assert_str_eq(damage, "");
		ck_assert_int_eq(find(store, KEY_A, damage), -ENOENT);
		ck_assert_str_eq(damage, "");
		ck_assert_int_eq(store_list(store, &all, &n, NULL), 0);
		ck_assert_uint_eq(n, 0);
		free(all);
		ck_assert_int_eq(list_put(store, KEY_A, fd, i ? "third time" : "second"), 0);
		ck_assert_int_eq(close(fd), 0);
	}
	/* another disk in its place, and away with it */
	ck_assert_int_eq(list_put(store, KEY_A, -1, "another"), 0);
	fd = list_take(store, KEY_A, damage);
	ck_assert_int_ge(fd, 0);
	store_drop(store, KEY_A);
	ck_assert_int_eq(files_of(store, KEY_A), 0);
	ck_assert_int_eq(close(fd), 0);
	ck_assert_int_eq(list_put(store, KEY_A, -1, "another"), 0);
	ck_assert_int_eq(store_remove(store, KEY_A), 0);
	ck_assert_int_eq(list_put(store, KEY_A, -1, "another"), 0);
	store_evict(store, UINT64_MAX);
	ck_assert_int_eq(files_of(store, KEY_A), 3);
	store_evict(store, 0);
	ck_assert_int_eq(files_of(store, KEY_A), 0);
	ck_assert_int_eq(close(store), 0);
}
END_TEST

START_TEST(other_kind)
{
	char damage[ERR_TEXT_MAX];
	int store = open_store(), fd;

	put(store, KEY_A, "data");
	ck_assert_int_eq(list_take(store, KEY_A, damage), -ENOENT);
	ck_assert_str_eq(damage, "");
	fd = find(store, KEY_A, damage);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(close(fd), 0);
	/* what builds write to is not lent to many */
	ck_assert_int_eq(list_put(store, KEY_A, -1, "list"), 0);
	ck_assert_int_eq(find(store, KEY_A, damage), -ENOENT);
	ck_assert_str_eq(damage, "");
	fd = list_take(store, KEY_A, damage);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(close(fd), 0);
	/* and no list of an older one stays */
	put(store, KEY_A, "data");
	ck_assert_int_eq(files_of(store, KEY_A), 2);
	ck_assert_int_eq(close(store), 0);
}
END_TEST

static void damage_file(int store, const char *end, int what)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 5}};
	char name[80];
	int fd;

	(void)snprintf(name, sizeof(name), "%s%s", KEY_A, end);
	fd = openat(store, name, O_WRONLY | O_CLOEXEC);
	switch (what) {
	case 'c':
		ck_assert_int_eq(ftruncate(fd, 3), 0);
		break;
	case 'w':
		ck_assert_int_eq(pwrite(fd, "x", 1, 2), 1);
		break;
	case 'a':
		ck_assert_int_eq(lseek(fd, 0, SEEK_END) < 0 || write(fd, "x", 1) < 1, 0);
		break;
	case 't':
		ck_assert_int_eq(futimens(fd, times), 0);
		break;
	case 'm':
		ck_assert_int_eq(fchmod(fd, 0644), 0);
		break;
	default:
		ck_assert_int_eq(unlinkat(store, name, 0), 0);
	}
	if (what == 'l')
		ck_assert_int_eq(symlinkat("/dev/zero", store, name), 0);
	if (what == 'd')
		ck_assert_int_eq(mkdirat(store, name, 0700), 0);
	ck_assert_int_eq(close(fd), 0);
}

START_TEST(damage_of_a_list)
{
	static const char *const all[][3] = {
		{".img", "c", "has 3 bytes"},	  {".img", "w", "written to"},
		{".img", "t", "written to"},	  {".img", "a", "has 1048577 bytes"},
		{".img", "m", "yours alone"},	  {".img", "-", "its disk"},
		{".img", "l", "its disk"},	  {".list", "c", "not what was written"},
		{".list", "w", "not what was"},	  {".list", "a", "not what was"},
		{".list", "-", "cannot be read"}, {".list", "l", "list"},
		{".list", "d", "cannot be read"}, {".json", "c", "not what was"},
		{".json", "w", "not what was"},	  {".json", "l", "cannot be read"},
	};
	char damage[ERR_TEXT_MAX];
	int store = open_store();

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		struct store_entry *list;
		struct err e = ERR_INIT;
		bool listed;
		size_t n;

		ck_assert_int_eq(list_put(store, KEY_A, -1, "list"), 0);
		damage_file(store, all[i][0], all[i][1][0]);
		ck_assert_int_eq(store_list(store, &list, &n, NULL), 0);
		listed = strcmp(all[i][0], ".json") != 0;
		ck_assert_uint_eq(n, listed);
		if (listed)
			ck_assert_msg(store_verify(store, &list[0], &e) == -EBADMSG, "%zu", i);
		free(list);
		ck_assert_int_eq(list_take(store, KEY_A, damage), -ENOENT);
		ck_assert_msg(strstr(damage, all[i][2]), "%zu: %s", i, damage);
		ck_assert_int_eq(list_take(store, KEY_A, damage), -ENOENT);
		ck_assert_str_eq(damage, "");
		store_evict(store, UINT64_MAX);
		if (all[i][1][0] == 'd')
			ck_assert_int_eq(unlinkat(store, KEY_A ".list", AT_REMOVEDIR), 0);
		ck_assert_msg(files_of(store, KEY_A) == 0, "%zu", i);
	}
	ck_assert_int_eq(close(store), 0);
}
END_TEST

/* Killed at any moment of taking and putting: whole, or a remnant that nobody finds. */
START_TEST(killed_with_a_list)
{
	char damage[ERR_TEXT_MAX];
	int store = open_store(), fd, met = 0;

	for (unsigned i = 0; i < 60; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			for (int n = 0;; n++) {
				char text[32];

				(void)snprintf(text, sizeof(text), "%d times", n);
				fd = store_lock(store, KEY_A, 1000, NULL, NULL, NULL);
				(void)list_put(store, KEY_A, list_take(store, KEY_A, damage), text);
				(void)close(fd);
			}
		}
		(void)poll(NULL, 0, (int)(i % 20));
		ck_assert_int_eq(kill(pid, SIGKILL), 0);
		ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
		fd = list_take(store, KEY_A, damage);
		ck_assert_msg(damage[0] == '\0', "%s", damage);
		if (fd >= 0) {
			met++;
			ck_assert_int_eq(list_put(store, KEY_A, fd, "again"), 0);
			ck_assert_int_eq(close(fd), 0);
		}
		store_evict(store, UINT64_MAX);
		ck_assert_int_eq(files_of(store, KEY_A), fd >= 0 ? 3 : 0);
	}
	ck_assert_int_gt(met, 0);
	ck_assert_int_eq(close(store), 0);
}
END_TEST

/* Taken, and its build was killed; what another build has taken is not swept. */
START_TEST(remnants_of_taken)
{
	char damage[ERR_TEXT_MAX];
	int store = open_store(), fd, lock;

	ck_assert_int_eq(list_put(store, KEY_A, -1, "list"), 0);
	ck_assert_int_eq(list_put(store, KEY_B, -1, "list"), 0);
	lock = store_lock(store, KEY_A, 0, NULL, NULL, NULL);
	fd = list_take(store, KEY_A, damage);
	store_evict(store, 0);
	ck_assert_int_eq(faccessat(store, KEY_A ".img.new", F_OK, 0), 0);
	ck_assert_int_eq(files_of(store, KEY_B), 0);
	ck_assert_int_eq(list_put(store, KEY_A, fd, "put back"), 0);
	ck_assert_int_eq(close(fd), 0);
	fd = list_take(store, KEY_A, damage);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(close(fd), 0);
	ck_assert_int_eq(close(lock), 0);
	ck_assert_int_eq(list_take(store, KEY_A, damage), -ENOENT);
	ck_assert_str_eq(damage, "");
	store_evict(store, UINT64_MAX);
	ck_assert_int_eq(files_of(store, KEY_A), 0);
	ck_assert_int_eq(close(store), 0);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("store-taken");
	TCase *tc = archive_case(s, "store-taken");

	tcase_add_test(tc, take_and_put);
	tcase_add_test(tc, other_kind);
	tcase_add_test(tc, damage_of_a_list);
	tcase_add_test(tc, killed_with_a_list);
	tcase_add_test(tc, remnants_of_taken);
	return s;
}
