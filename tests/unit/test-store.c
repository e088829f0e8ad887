/* SPDX-License-Identifier: GPL-3.0-or-later */
/* src/cli: the cache of prepared disks, and their keys. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "cli/layer-key.h"
#include "stored.h"

START_TEST(description)
{
	struct store_entry s = {.key = KEY_A,
				.label = "a\"b",
				.size = 5,
				.mtime_ns = UINT64_MAX,
				.made = 7,
				.sha256 = KEY_B},
			   back = {0};
	_cleanup_free_ char *text = store_print(&s);
	size_t len = strlen(text);

	ck_assert_int_eq(store_parse(text, len, &back, NULL), 0);
	ck_assert_str_eq(back.label, s.label);
	ck_assert_uint_eq(back.mtime_ns, s.mtime_ns);
	ck_assert_str_eq(back.sha256, s.sha256);
	for (size_t i = 0; i < len; i++) {
		text[i] ^= 1;
		ck_assert_msg(store_parse(text, len, &back, NULL) == -EBADMSG, "byte %zu", i);
		text[i] ^= 1;
		ck_assert_int_eq(store_parse(text, i, &back, NULL), -EBADMSG);
	}
}
END_TEST

START_TEST(keep_and_find)
{
	char damage[ERR_TEXT_MAX], name[80];
	int store = open_store(), fd, again;
	struct store_entry *all, entry;
	char text[6] = "";
	size_t n;

	ck_assert_int_eq(find(store, KEY_A, damage), -ENOENT);
	ck_assert_str_eq(damage, "");
	put(store, KEY_A, "first");
	fd = find(store, KEY_A, damage);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	/* made anew while it is used: the user keeps what it has */
	put(store, KEY_A, "other");
	ck_assert_int_eq(pread(fd, text, 5, 300000), 5);
	ck_assert_str_eq(text, "first");
	again = find(store, KEY_A, damage);
	ck_assert_int_eq(pread(again, text, 5, 300000), 5);
	ck_assert_str_eq(text, "other");
	ck_assert_int_eq(close(fd), 0);
	ck_assert_int_eq(store_remove(store, KEY_A), -EBUSY);
	ck_assert_int_eq(store_list(store, &all, &n, NULL), 0);
	ck_assert_uint_eq(n, 1);
	ck_assert_str_eq(all[0].label, "hello.yaml");
	ck_assert_int_eq(store_verify(store, &all[0], NULL), 0);
	free(all);
	ck_assert_int_eq(close(again), 0);
	/* too old, or from a future in which the clock was wrong */
	fd = -1;
	ck_assert_int_eq(store_find(store, KEY_A, 100, &fd, &entry, damage), 1);
	ck_assert_int_eq(close(fd), 0);
	ck_assert_int_eq(store_remove(store, KEY_A), 0);
	ck_assert_int_eq(find(store, KEY_A, damage), -ENOENT);
	(void)snprintf(name, sizeof(name), "%s.img", KEY_A);
	ck_assert_int_eq(faccessat(store, name, F_OK, 0), -1);
	ck_assert_int_eq(close(store), 0);
}
END_TEST

START_TEST(open_damage)
{
	static const struct {
		const char *end, *said;
		int what; /* 0: cut, 1: a byte written, 2: gone, 3: a link */
	} all[] = {
		{".img", "has 5 bytes", 0},
		{".img", "written to", 1},
		{".img", "disk", 2},
		{".img", "disk", 3},
		{".json", "not what was", 0},
		{".json", "not what was", 1},
		{".json", "cannot be read", 3},
	};
	char damage[ERR_TEXT_MAX], name[80];
	int store = open_store(), fd;

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		put(store, KEY_A, "data");
		(void)snprintf(name, sizeof(name), "%s%s", KEY_A, all[i].end);
		fd = openat(store, name, O_WRONLY);
		if (all[i].what == 0)
			ck_assert_int_eq(ftruncate(fd, 5), 0);
		if (all[i].what == 1)
			ck_assert_int_eq(pwrite(fd, "x", 1, 20), 1);
		if (all[i].what >= 2)
			ck_assert_int_eq(unlinkat(store, name, 0), 0);
		if (all[i].what == 3)
			ck_assert_int_eq(symlinkat("/dev/zero", store, name), 0);
		ck_assert_int_eq(close(fd), 0);
		ck_assert_int_eq(find(store, KEY_A, damage), -ENOENT);
		ck_assert_msg(strstr(damage, all[i].said), "%zu: %s", i, damage);
		/* dropped: the next one is not told of it again */
		ck_assert_int_eq(find(store, KEY_A, damage), -ENOENT);
		ck_assert_str_eq(damage, "");
	}
	/* a disk without a description is what a killed build leaves */
	put(store, KEY_A, "data");
	ck_assert_int_eq(unlinkat(store, KEY_A ".json", 0), 0);
	ck_assert_int_eq(find(store, KEY_A, damage), -ENOENT);
	put(store, KEY_A, "data");
	fd = find(store, KEY_A, damage);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(close(fd), 0);
	ck_assert_int_eq(close(store), 0);
}
END_TEST

START_TEST(hidden_damage)
{
	char damage[ERR_TEXT_MAX];
	struct store_entry *all;
	struct timespec times[2];
	struct err e = ERR_INIT;
	int store = open_store(), fd;
	struct stat st;
	size_t n;

	put(store, KEY_A, "data");
	fd = openat(store, KEY_A ".img", O_WRONLY);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_eq(pwrite(fd, "x", 1, 300001), 1);
	times[0] = times[1] = st.st_mtim;
	ck_assert_int_eq(futimens(fd, times), 0);
	ck_assert_int_eq(close(fd), 0);
	fd = find(store, KEY_A, damage);
	ck_assert_int_eq(close(fd), 0);
	ck_assert_int_eq(store_list(store, &all, &n, NULL), 0);
	ck_assert_int_eq(store_verify(store, &all[0], &e), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(e.text, "not what was written"));
	free(all);
	ck_assert_int_eq(close(store), 0);
}
END_TEST

/* Killed at any moment, the entry is the old one, the new one, or not there. */
START_TEST(killed)
{
	char damage[ERR_TEXT_MAX], text[6] = "";
	int store = open_store(), fd;
	struct err e = ERR_INIT;

	for (unsigned i = 0; i < 60; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			for (;;) {
				put(store, KEY_A, "other");
				put(store, KEY_A, "first");
			}
		}
		ck_assert_int_gt(pid, 0);
		(void)poll(NULL, 0, (int)(i % 20));
		ck_assert_int_eq(kill(pid, SIGKILL), 0);
		ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
		fd = find(store, KEY_A, damage);
		ck_assert_str_eq(damage, "");
		if (fd < 0)
			continue;
		ck_assert_int_eq(pread(fd, text, 5, 300000), 5);
		ck_assert(strcmp(text, "first") == 0 || strcmp(text, "other") == 0);
		ck_assert_int_eq(close(fd), 0);
	}
	put(store, KEY_A, "last!");
	fd = find(store, KEY_A, damage);
	ck_assert_msg(fd >= 0, "%s", e.text);
	ck_assert_int_eq(close(fd), 0);
	ck_assert_int_eq(close(store), 0);
}
END_TEST

/* On a full disk the old entry stays. */
START_TEST(full)
{
	char damage[ERR_TEXT_MAX], path[128], block[4096] = "";
	struct store_entry entry = {.key = KEY_A, .label = "x", .made = 1};
	struct err e = ERR_INIT;
	int store, fd, ballast;

	put_folder("small");
	mount_small("small", "size=2m,mode=0700");
	(void)snprintf(path, sizeof(path), "%s/small", top);
	store = store_open(path, &e);
	ck_assert_msg(store >= 0, "%s", e.text);
	fd = io_tmpfile(path, &e);
	ck_assert_int_eq(write(fd, "first", 5), 5);
	ck_assert_msg(store_keep(store, fd, &entry, &e) == 0, "%s", e.text);
	ck_assert_int_eq(close(fd), 0);
	fd = io_tmpfile(path, &e);
	ck_assert_int_eq(write(fd, "other", 5), 5);
	ballast = openat(store, "ballast", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	while (write(ballast, block, sizeof(block)) > 0)
		;
	ck_assert_int_eq(store_keep(store, fd, &entry, &e), -ENOSPC);
	ck_assert_int_eq(close(fd), 0);
	fd = find(store, KEY_A, damage);
	ck_assert_msg(fd >= 0, "%s", damage);
	ck_assert_int_eq(pread(fd, block, 5, 0), 5);
	ck_assert_int_eq(memcmp(block, "first", 5), 0);
	ck_assert_int_eq(close(fd), 0);
	ck_assert_int_eq(close(ballast), 0);
	ck_assert_int_eq(close(store), 0);
}
END_TEST

static void set_used(int store, const char *key, time_t when)
{
	const struct timespec times[2] = {{.tv_sec = when}, {.tv_sec = when}};
	char name[80];

	(void)snprintf(name, sizeof(name), "%s.json", key);
	ck_assert_int_eq(utimensat(store, name, times, 0), 0);
}

static void on_waiting(void *user_data)
{
	*(bool *)user_data = true;
}

START_TEST(eviction)
{
	struct err e = ERR_INIT;
	bool waited = false;
	char damage[ERR_TEXT_MAX];
	struct store_entry *all;
	int store = open_store(), used;
	size_t n;

	put(store, KEY_A, "a");
	put(store, KEY_B, "b");
	set_used(store, KEY_A, 1000);
	set_used(store, KEY_B, 2000);
	store_evict(store, MIB);
	ck_assert_int_eq(store_list(store, &all, &n, NULL), 0);
	ck_assert_uint_eq(n, 2);
	ck_assert_str_eq(all[0].key, KEY_B);
	store_evict(store, all[0].blocks);
	free(all);
	ck_assert_int_eq(store_list(store, &all, &n, NULL), 0);
	ck_assert_uint_eq(n, 1);
	ck_assert_str_eq(all[0].key, KEY_B);
	free(all);
	/* never what is used, however old */
	put(store, KEY_A, "a");
	used = find(store, KEY_A, damage);
	set_used(store, KEY_A, 1);
	store_evict(store, 0);
	ck_assert_int_eq(store_list(store, &all, &n, NULL), 0);
	ck_assert_uint_eq(n, 1);
	ck_assert_str_eq(all[0].key, KEY_A);
	free(all);
	ck_assert_int_eq(close(used), 0);
	store_evict(store, 0);
	ck_assert_int_eq(store_list(store, &all, &n, NULL), 0);
	ck_assert_uint_eq(n, 0);
	free(all);
	/* remnants go, but none of an entry that is being made */
	put(store, KEY_A, "a");
	put(store, KEY_B, "b");
	ck_assert_int_eq(unlinkat(store, KEY_A ".json", 0), 0);
	ck_assert_int_eq(unlinkat(store, KEY_B ".json", 0), 0);
	used = store_lock(store, KEY_B, 0, NULL, NULL, NULL);
	ck_assert_int_ge(used, 0);
	ck_assert_int_eq(store_lock(store, KEY_B, 60, on_waiting, &waited, &e), -ETIMEDOUT);
	ck_assert_ptr_nonnull(strstr(e.text, "within 0.06 s"));
	ck_assert(waited);
	store_evict(store, UINT64_MAX);
	ck_assert_int_eq(faccessat(store, KEY_A ".img", F_OK, 0), -1);
	ck_assert_int_eq(faccessat(store, KEY_A ".lock", F_OK, 0), -1);
	ck_assert_int_eq(faccessat(store, KEY_B ".img", F_OK, 0), 0);
	ck_assert_int_eq(close(used), 0);
	ck_assert_int_eq(close(store), 0);
}
END_TEST

START_TEST(foreign)
{
	struct err e = ERR_INIT;
	char path[300];
	int store = open_store();

	ck_assert_int_eq(close(store), 0);
	(void)snprintf(path, sizeof(path), "%s/layers", top);
	ck_assert_int_eq(chmod(path, 0755), 0);
	ck_assert_int_eq(store_open(top, &e), -EPERM);
	ck_assert_ptr_nonnull(strstr(e.text, "chmod 0700"));
}
END_TEST

static void key_of(const struct layer_inputs *in, char out[SHA256_HEX_SIZE])
{
	struct err e = ERR_INIT;

	ck_assert_msg(layer_key(in, out, &e) == 0, "%s", e.text);
}

/* One input changed: the key must be another one. */
#define DIFFERS(change)                           \
	do {                                      \
		char now_[SHA256_HEX_SIZE];       \
		change;                           \
		key_of(&in, now_);                \
		ck_assert_str_ne(now_, last);     \
		memcpy(last, now_, sizeof(last)); \
	} while (0)

START_TEST(keys)
{
	struct buf driver = {0};
	struct net_rule rules[2] = {{.phases = NET_PHASE_PREPARE,
				     .tcp = true,
				     .name = "a.example",
				     .ports = {{80, 80}},
				     .n_ports = 1},
				    {.phases = NET_PHASE_PREPARE,
				     .tcp = true,
				     .name = "b.example",
				     .ports = {{80, 80}},
				     .n_ports = 1}};
	_cleanup_(json_free_p) cJSON *one = cJSON_Parse("[{\"hosts\":\"worker\"}]");
	_cleanup_(json_free_p) cJSON *two = cJSON_Parse("[{\"hosts\":\"all\"}]");
	struct layer_inputs in = {.image_sha256 = KEY_A,
				  .playbook = one,
				  .driver = &driver,
				  .rules = rules,
				  .n_rules = 1};
	char last[SHA256_HEX_SIZE], same[SHA256_HEX_SIZE];

	in.files = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	key_of(&in, last);
	rules[0].line = 17;
	key_of(&in, same);
	ck_assert_str_eq(same, last);
	DIFFERS(in.image_sha256 = KEY_B);
	DIFFERS(in.playbook = two);
	DIFFERS(ck_assert_int_eq(buf_puts(&driver, "x"), 0));
	DIFFERS(in.n_rules = 2);
	DIFFERS(rules[1].test_ok = true);
	DIFFERS(ck_assert_int_eq(mkdirat(in.files, "roles", 0755), 0));
	DIFFERS(ck_assert_int_eq(symlinkat("x", in.files, "link"), 0));
	DIFFERS(ck_assert_int_eq(close(openat(in.files, "f", O_CREAT | O_WRONLY, 0644)), 0));
	DIFFERS(ck_assert_int_eq(fchmodat(in.files, "f", 0755, 0), 0));
	DIFFERS(ck_assert_int_eq(renameat(in.files, "f", in.files, "roles/f"), 0));
	ck_assert_int_eq(utimensat(in.files, "roles/f", NULL, 0), 0);
	key_of(&in, same);
	ck_assert_str_eq(same, last);
	ck_assert_int_eq(close(in.files), 0);
	buf_done(&driver);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("store");
	TCase *tc = archive_case(s, "store");

	tcase_add_test(tc, description);
	tcase_add_test(tc, keep_and_find);
	tcase_add_test(tc, open_damage);
	tcase_add_test(tc, hidden_damage);
	tcase_add_test(tc, killed);
	tcase_add_test(tc, full);
	tcase_add_test(tc, eviction);
	tcase_add_test(tc, foreign);
	tcase_add_test(tc, keys);
	return s;
}
