/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Images against a reader of their own and a list of what went in. */
#include "erofs-model.h"

START_TEST(empty_root)
{
	begin(0);
	folder("", 0755, 1);
	finish();
	ck_assert_uint_eq(image.inodes, 1);
	ck_assert_uint_eq(image_size, 4096);
}
END_TEST

START_TEST(names_sorted)
{
	static const char *const names[] = {"-",    "-rf",  ",",   "a",		 "a-",
					    "a.b",  "a/b",  "a0",  "\xff",	 "\x80",
					    "\x7f", "\x01", "...", "..a",	 ".a",
					    "/",    "A",    "aa",  "with space", "new\nline"};
	char longest[256];
	int fd;

	begin(0);
	fd = source(0, 1);
	folder("", 0700, 1);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!strchr(names[i], '/'))
			file(names[i], fd, 0644, 5, 5);
	}
	memset(longest, 'x', 255);
	longest[255] = '\0';
	file(longest, fd, 0644, 5, 5);
	finish();
}
END_TEST

/* 3000 entries in one folder, which are blocks, and as many in the root; lengths that fill blocks.
 */
START_TEST(large_folders)
{
	char path[600];
	int fd;

	begin(0);
	fd = source(3, 1);
	folder("", 0700, 1);
	folder("many", 0700, 1);
	for (unsigned int i = 0; i < 3000; i++) {
		unsigned int k = i * 7919 % 3000, len = 4 + k * 31 % 252;

		memset(path, 'a' + (int)(k % 3), sizeof(path));
		memcpy(path, "many/", 5);
		(void)snprintf(path + 5 + len - 4, 5, "%04u", k);
		if (k % 10 == 0)
			folder(path, 0755, k);
		else
			file(path, fd, 0644, k, 1);
		(void)snprintf(path, sizeof(path), "%u\xc3\xa9", k);
		whiteout(path);
	}
	finish();
}
END_TEST

/* Folders whose entries end at, before and behind what an inode's block and a block hold. */
START_TEST(folder_sizes)
{
	char path[300];
	int fd;

	begin(0);
	fd = source(0, 1);
	folder("", 0755, 1);
	for (int last = 1; last <= 255; last++) {
		(void)snprintf(path, sizeof(path), "d%d", last);
		folder(path, 0755, last);
		for (int i = 0; i < 15; i++) {
			size_t n = strlen(path), len = i == 14 ? (size_t)last : 240;

			path[n] = '/';
			memset(path + n + 1, 'a' + i, len);
			path[n + 1 + len] = '\0';
			file(path, fd, 0644, 1, 1);
			path[n] = '\0';
		}
	}
	finish();
}
END_TEST

START_TEST(file_sizes)
{
	static const uint64_t sizes[] = {0,    1,      255,    256,    257,    1023,	1024,
					 1025, 4031,   4032,   4033,   4095,   4096,	4097,
					 4352, 4353,   8191,   8192,   8193,   9215,	9217,
					 9999, 100000, 131072, 131073, 131328, 1048577, 5000000};
	char path[32];

	begin(0);
	folder("", 0755, 1);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		(void)snprintf(path, sizeof(path), "f%lu", sizes[i]);
		file(path, source(sizes[i], i), (mode_t)(i * 37 & 0777), (int64_t)i, (long)i);
	}
	finish();
}
END_TEST

/* More inodes than fit in one stretch, with small contents between them. */
START_TEST(many_files)
{
	char path[32];
	int fds[40];

	begin(0);
	folder("", 0755, 1);
	for (unsigned int i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = source(i * i * 10, i);
	for (unsigned int i = 0; i < 7000; i++) {
		if (i % 700 == 0) {
			(void)snprintf(path, sizeof(path), "d%u", i / 700);
			folder(path, 0755, i);
		}
		(void)snprintf(path, sizeof(path), "d%u/f%u", i / 700, i % 700);
		if (i % 5 == 4)
			symlink_to(path, "../d0/f1", i);
		else
			file(path, fds[i % ARRAY_SIZE(fds)], 0644, i, 1);
	}
	finish();
}
END_TEST

static int sparse_source(uint64_t size, bool first, bool last)
{
	int fd = source(0, 1);

	ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
	if (first)
		ck_assert_int_eq(pwrite(fd, "first", 5, 0), 5);
	if (last)
		ck_assert_int_eq(pwrite(fd, "last", 4, (off_t)size - 4), 4);
	return fd;
}

START_TEST(sparse_files)
{
	struct stat st;
	int fd;

	begin(0);
	folder("", 0755, 1);
	file("both", sparse_source(GIB, true, true), 0644, 1, 1);
	file("tail", sparse_source(100 * MIB + 100, true, true), 0644, 1, 1);
	file("none", sparse_source(100 * MIB, false, false), 0644, 1, 1);
	file("small", sparse_source(20000, false, true), 0644, 1, 1);
	file("tiny", sparse_source(3000, false, false), 0644, 1, 1);
	fd = source(1000000, 9);
	ck_assert_int_eq(pwrite(fd, "islet", 5, 30 * MIB + 17), 5);
	file("islet", fd, 0644, 1, 1);
	finish();
	ck_assert_int_eq(fstat(image_fd, &st), 0);
	ck_assert_uint_gt((uint64_t)st.st_size, GIB);
	ck_assert_uint_lt((uint64_t)st.st_blocks * 512, 2 * MIB);
}
END_TEST

START_TEST(symlinks)
{
	static const size_t lengths[] = {1, 2, 100, 4000, 4031, 4032, 4033, 4094, 4095};
	struct stat st = {.st_mode = S_IFLNK | 0777};
	struct err e = ERR_INIT;
	char target[4097], path[32];

	begin(0);
	folder("", 0755, 1);
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		memset(target, 'a' + (int)i, sizeof(target));
		target[lengths[i]] = '\0';
		(void)snprintf(path, sizeof(path), "l%zu", lengths[i]);
		symlink_to(path, target, (int64_t)i);
	}
	memset(target, 'x', sizeof(target));
	target[4096] = '\0';
	ck_assert_int_eq(erofs_symlink(writer, "long", target, &st, &e), -ENAMETOOLONG);
	ck_assert_int_eq(erofs_symlink(writer, "empty", "", &st, &e), -EINVAL);
	finish();
}
END_TEST

START_TEST(refused)
{
	struct stat st = {.st_mode = S_IFDIR | 0755};
	struct erofs_place place;
	struct err e = ERR_INIT;
	char name[300];
	int fd;

	begin(0);
	ck_assert_int_eq(erofs_folder(writer, "a", &st, &e), -ENOENT);
	ck_assert_int_eq(erofs_whiteout(writer, "a", &e), -ENOENT);
	folder("", 07755 & 0755, 1);
	ck_assert_int_eq(erofs_folder(writer, "", &st, &e), -EEXIST);
	fd = source(10, 1);
	file("f", fd, 0644, 1, 1);
	folder("d", 0755, 1);
	ck_assert_int_eq(erofs_file(writer, "f", fd, &st, "f", &place, &e), -EEXIST);
	ck_assert_str_eq(e.text, "f: cannot be put on the input disk: File exists");
	ck_assert_int_eq(erofs_folder(writer, "f", &st, &e), -EEXIST);
	ck_assert_int_eq(erofs_folder(writer, "d", &st, &e), -EEXIST);
	ck_assert_int_eq(erofs_whiteout(writer, "d", &e), -EEXIST);
	ck_assert_int_eq(erofs_folder(writer, "f/g", &st, &e), -ENOTDIR);
	ck_assert_int_eq(erofs_folder(writer, "none/g", &st, &e), -ENOENT);
	ck_assert_int_eq(erofs_folder(writer, "/d", &st, &e), -EINVAL);
	ck_assert_int_eq(erofs_folder(writer, "d/", &st, &e), -EINVAL);
	ck_assert_int_eq(erofs_folder(writer, "d//e", &st, &e), -EINVAL);
	ck_assert_int_eq(erofs_folder(writer, ".", &st, &e), -EINVAL);
	ck_assert_int_eq(erofs_folder(writer, "d/..", &st, &e), -EINVAL);
	ck_assert_int_eq(erofs_whiteout(writer, "", &e), -EINVAL);
	memset(name, 'n', sizeof(name));
	name[256] = '\0';
	ck_assert_int_eq(erofs_folder(writer, name, &st, &e), -ENAMETOOLONG);
	finish();
}
END_TEST

/* Set-user-id and sticky bits are left out, as in a tar. */
START_TEST(modes)
{
	struct stat st = {.st_mode = S_IFDIR | 07777};
	struct err e = ERR_INIT;
	struct erofs_place place;
	struct entry *n;
	int fd;

	begin(0);
	folder("", 0, 1);
	(void)record("d", S_IFDIR | 0777, 0, 0);
	ck_assert_int_eq(erofs_folder(writer, "d", &st, &e), 0);
	fd = source(0, 1);
	n = record("d/f", S_IFREG | 0777, 0, 0);
	n->source = fd;
	st.st_mode = S_IFREG | 07777;
	ck_assert_int_eq(erofs_file(writer, "d/f", fd, &st, "f", &place, &e), 0);
	n->place = place;
	finish();
}
END_TEST

START_TEST(times)
{
	int fd;

	begin(0);
	folder("", 0755, -1);
	fd = source(1, 1);
	file("before", fd, 0644, -86400, 999999999);
	file("epoch", fd, 0644, 0, 0);
	file("after", fd, 0644, 1LL << 40, 1);
	folder("old", 0755, -12345678901);
	symlink_to("link", "x", -5);
	finish();
}
END_TEST

START_TEST(two_images)
{
	uint64_t second;

	begin(1 * MIB);
	folder("", 0755, 1);
	file("a", source(100000, 1), 0644, 1, 1);
	file("b", source(100, 2), 0644, 1, 1);
	finish();
	second = image_at + image_size;
	forget();
	begin(second);
	folder("", 0700, 1);
	whiteout("a");
	file("c", source(100001, 3), 0644, 1, 1);
	file("d", source(70, 4), 0644, 1, 1);
	finish();
	/* and the first is as it was */
	image_open(&image, image_fd, MIB, second - MIB);
	ck_assert_uint_eq(image.inodes, 3);
}
END_TEST

START_TEST(shrinks)
{
	static const uint64_t sizes[] = {1, 1000, 4096, 100000, 100100, 1048576, 1048600};
	struct erofs_place place;
	struct stat st;
	char path[32];

	begin(0);
	folder("", 0755, 1);
	for (size_t i = 0; i < 2 * ARRAY_SIZE(sizes); i++) {
		struct err e = ERR_INIT;
		uint64_t size = sizes[i / 2];
		int fd = i % 2 ? sparse_source(size, false, size > 4) : source(size, 1);

		ck_assert_int_eq(fstat(fd, &st), 0);
		ck_assert_int_eq(ftruncate(fd, (off_t)size - 1), 0);
		(void)snprintf(path, sizeof(path), "f%zu", i);
		ck_assert_int_eq(erofs_file(writer, path, fd, &st, "NAME", &place, &e), -EIO);
		ck_assert_str_eq(e.text, "NAME: became shorter while it was read");
	}
}
END_TEST

/* What a file has gained in the meantime is left out. */
START_TEST(grows)
{
	struct err e = ERR_INIT;
	struct entry *n;
	struct stat st;
	char path[32];

	begin(0);
	folder("", 0755, 1);
	for (int i = 0; i < 6; i++) {
		int fd = source((uint64_t)i * i * 30000 + 5000, 1);

		(void)snprintf(path, sizeof(path), "f%d", i);
		n = record(path, S_IFREG | 0600, 0, 0);
		n->source = fd;
		ck_assert_int_eq(fstat(fd, &st), 0);
		st.st_mtim = (struct timespec){0};
		n->st = st;
		ck_assert_int_eq(io_write_full(fd, "more and more", 13), 0);
		ck_assert_int_eq(erofs_file(writer, path, fd, &st, path, &n->place, &e), 0);
	}
	finish();
}
END_TEST

START_TEST(deep_folders)
{
	char path[64 * 4 + 8] = "";
	int fd;

	begin(0);
	folder("", 0755, 1);
	fd = source(10, 1);
	for (int i = 0; i < 64; i++) {
		(void)snprintf(path + strlen(path), 5, "%sd%02d", i ? "/" : "", i);
		folder(path, 0755, i);
		if (i % 8 == 0) {
			_cleanup_free_ char *f = NULL;

			ck_assert_int_gt(asprintf(&f, "%s/f", path), 0);
			file(f, fd, 0644, 1, 1);
		}
	}
	finish();
}
END_TEST

START_TEST(disk_full)
{
	struct err e = ERR_INIT;
	struct erofs_place place;
	struct stat st;
	int fd, r = 0;

	put_folder("small");
	fd = source(1 * MIB, 1);
	mount_small("small", "size=3m");
	image_fd = open_at("small/image", O_RDWR | O_CREAT | O_TRUNC);
	begin(0);
	folder("", 0755, 1);
	ck_assert_int_eq(fstat(fd, &st), 0);
	for (int i = 0; i < 4 && r == 0; i++) {
		char path[2] = {(char)('a' + i), '\0'};

		r = erofs_file(writer, path, fd, &st, path, &place, &e);
	}
	ck_assert_int_eq(r, -ENOSPC);
	ck_assert_msg(strstr(e.text, "input disk: cannot write to ") == e.text &&
			      strstr(e.text, "small/image: No space left on device"),
		      "%s", e.text);
	end_all();
}
END_TEST

START_TEST(too_large)
{
	struct stat st = {.st_mode = S_IFREG | 0644, .st_size = INT64_MAX};
	struct err e = ERR_INIT;
	struct erofs_place place;

	begin(0);
	folder("", 0755, 1);
	ck_assert_int_eq(erofs_file(writer, "f", source(0, 1), &st, "f", &place, &e), -EFBIG);
	st.st_size = 1LL << 44;
	ck_assert_int_eq(erofs_file(writer, "g", source(0, 1), &st, "g", &place, &e), -EFBIG);
}
END_TEST

static uint32_t random_state;

static uint32_t pick(uint32_t n)
{
	random_state = random_state * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)random_state * n >> 32);
}

/* A path in some folder that there is, not taken yet; NULL if it would be too long. */
static char *fresh_path(void)
{
	static const char *const names[] = {"a", "b",	"a.b", "a-b", "-x", "...",  "\xff\x80",
					    "Z", "src", "%s",  "lib", "~",  "\x01", "x y"};
	int i = (int)pick((uint32_t)n_entries);
	char *path = NULL;

	while (!S_ISDIR(entries[i].st.st_mode))
		i = (i + 1) % n_entries;
	if (asprintf(&path, "%s%s%s%.*u", entries[i].path, *entries[i].path ? "/" : "",
		     names[pick(ARRAY_SIZE(names))], (int)(pick(8) ? pick(3) : pick(200)),
		     pick(100)) < 0)
		return NULL;
	if (find(path) < 0 && strlen(path) < 2000)
		return path;
	free(path);
	return NULL;
}

static void random_tree(uint32_t seed)
{
	int n, fds[24];

	random_state = seed;
	for (unsigned int i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = pick(6) ? source(pick(pick(2) ? 300 : 40000), pick(1000))
				 : sparse_source(10 + pick(300000), pick(2), pick(2));
	folder("", 0755, 1);
	n = (int)pick(400);
	for (int i = 0; i < n; i++) {
		_cleanup_free_ char *path = fresh_path();
		uint32_t kind = pick(10);

		if (!path)
			continue;
		if (kind < 3) {
			folder(path, pick(01000), (int64_t)pick(1U << 31));
		} else if (kind == 3) {
			symlink_to(path, entries[pick((uint32_t)n_entries)].path[0] ? path : "/",
				   (int64_t)pick(100));
		} else if (kind == 4) {
			whiteout(path);
		} else {
			file(path, fds[pick(ARRAY_SIZE(fds))], pick(01000), (int64_t)pick(1U << 31),
			     (long)pick(1000000000));
		}
	}
}

START_TEST(random_trees)
{
	begin((uint64_t)(_i % 3) * 4096);
	random_tree((uint32_t)_i * 77777 + 1);
	finish();
}
END_TEST

START_TEST(equal_bytes)
{
	static char a[MIB], b[MIB];
	uint64_t size = 0;
	int first = -1;

	for (int round = 0; round < 2; round++) {
		begin(0);
		random_tree(4711);
		finish();
		if (round == 0) {
			first = take_fd(&image_fd);
			size = image_size;
			ck_assert_int_eq(unlinkat(top_fd, "image", 0), 0);
			forget();
			while (n_sources > 0)
				(void)close(sources[--n_sources]);
		}
	}
	ck_assert_uint_eq(size, image_size);
	for (uint64_t at = 0; at < size; at += sizeof(a)) {
		ssize_t n = pread(first, a, sizeof(a), (off_t)at);

		ck_assert_int_eq(pread(image_fd, b, sizeof(b), (off_t)at), n);
		ck_assert(memcmp(a, b, (size_t)n) == 0);
	}
	(void)close(first);
}
END_TEST

START_TEST(freed_unfinished)
{
	ck_assert_ptr_null(erofs_free(NULL));
	begin(0);
	folder("", 0755, 1);
	file("f", source(5000, 1), 0644, 1, 1);
	writer = erofs_free(writer);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("erofs");
	TCase *tc = archive_case(s, "erofs");

	tcase_add_checked_fixture(tc, NULL, end_all);
	tcase_add_test(tc, empty_root);
	tcase_add_test(tc, names_sorted);
	tcase_add_test(tc, large_folders);
	tcase_add_test(tc, folder_sizes);
	tcase_add_test(tc, file_sizes);
	tcase_add_test(tc, many_files);
	tcase_add_test(tc, sparse_files);
	tcase_add_test(tc, symlinks);
	tcase_add_test(tc, refused);
	tcase_add_test(tc, modes);
	tcase_add_test(tc, times);
	tcase_add_test(tc, two_images);
	tcase_add_test(tc, shrinks);
	tcase_add_test(tc, grows);
	tcase_add_test(tc, deep_folders);
	tcase_add_test(tc, disk_full);
	tcase_add_test(tc, too_large);
	tcase_add_test(tc, equal_bytes);
	tcase_add_test(tc, freed_unfinished);
	tcase_add_loop_test(tc, random_trees, 0, 40);
	return s;
}
