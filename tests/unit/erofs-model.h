/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Images for tests: what goes in is also put on a list, and the image is read against it. */
#ifndef CONTRACTOR_TESTS_EROFS_MODEL_H
#define CONTRACTOR_TESTS_EROFS_MODEL_H

#include "archive/erofs.h"
#include "erofs-read.h"
#include "scratch.h"

#define ENTRIES_MAX 8000

/* What went in. */
struct entry {
	char *path;
	char *target; /* of a symlink */
	struct stat st;
	int source; /* of a file, else -1 */
	struct erofs_place place;
};

static struct entry *entries;
static int n_entries, sources[64], n_sources;
static int image_fd = -1;
static uint64_t image_at, image_size;
static struct erofs *writer;
static struct image image;

static inline void begin(uint64_t at)
{
	struct err e = ERR_INIT;

	if (image_fd < 0)
		image_fd = open_at("image", O_RDWR | O_CREAT | O_TRUNC);
	image_at = at;
	if (!entries)
		entries = calloc(ENTRIES_MAX, sizeof(*entries));
	ck_assert_ptr_nonnull(entries);
	ck_assert_msg(erofs_new(image_fd, at, &writer, &e) == 0, "%s", e.text);
}

static inline void forget(void)
{
	for (int i = 0; i < n_entries; i++) {
		free(entries[i].path);
		free(entries[i].target);
	}
	free(entries);
	entries = NULL;
	n_entries = 0;
}

static inline void end_all(void)
{
	writer = erofs_free(writer);
	forget();
	while (n_sources > 0)
		(void)close(sources[--n_sources]);
	fd_close(&image_fd);
}

static inline struct entry *record(const char *path, mode_t mode, int64_t sec, long nsec)
{
	struct entry *n = &entries[n_entries];

	ck_assert_int_lt(n_entries, ENTRIES_MAX);
	n_entries++;
	*n = (struct entry){.path = strdup(path), .source = -1};
	n->st.st_mode = mode;
	n->st.st_mtim = (struct timespec){.tv_sec = sec, .tv_nsec = nsec};
	return n;
}

static inline void folder(const char *path, mode_t mode, int64_t sec)
{
	struct err e = ERR_INIT;
	struct entry *n = record(path, S_IFDIR | mode, sec, 0);

	ck_assert_msg(erofs_folder(writer, path, &n->st, &e) == 0, "%s", e.text);
}

/* A new source file without a name, with `size` bytes that depend on `seed`. */
static inline int source(uint64_t size, uint64_t seed)
{
	_cleanup_free_ uint64_t *words = calloc(size / 8 + 1, 8);
	struct err e = ERR_INIT;
	int fd = io_tmpfile(top, &e);

	ck_assert_msg(fd >= 0, "%s", e.text);
	for (uint64_t i = 0; i <= size / 8; i++) {
		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		words[i] = seed ^ seed >> 29;
	}
	ck_assert_int_eq(io_write_full(fd, words, size), 0);
	ck_assert_uint_lt(n_sources, ARRAY_SIZE(sources));
	sources[n_sources++] = fd;
	return fd;
}

static inline struct entry *file(const char *path, int fd, mode_t mode, int64_t sec, long nsec)
{
	struct err e = ERR_INIT;
	struct entry *n = record(path, S_IFREG | mode, sec, nsec);
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	st.st_mode = S_IFREG | mode;
	st.st_mtim = n->st.st_mtim;
	n->st = st;
	n->source = fd;
	ck_assert_msg(erofs_file(writer, path, fd, &st, path, &n->place, &e) == 0, "%s", e.text);
	return n;
}

static inline void symlink_to(const char *path, const char *target, int64_t sec)
{
	struct err e = ERR_INIT;
	struct entry *n = record(path, S_IFLNK | 0777, sec, 7);

	n->target = strdup(target);
	ck_assert_msg(erofs_symlink(writer, path, target, &n->st, &e) == 0, "%s", e.text);
}

static inline int find(const char *path)
{
	for (int i = 0; i < n_entries; i++) {
		if (strcmp(entries[i].path, path) == 0)
			return i;
	}
	return -1;
}

static inline void whiteout(const char *path)
{
	struct err e = ERR_INIT;

	(void)record(path, S_IFCHR, 0, 0);
	ck_assert_msg(erofs_whiteout(writer, path, &e) == 0, "%s", e.text);
}

/* Checking */

struct extent {
	uint64_t from, to;
};

static struct extent *extents;
static size_t n_extents;
static int *by_path; /* indices of entries, sorted */
static int found;

static inline void occupy(uint64_t from, uint64_t len)
{
	if (len > 0)
		extents[n_extents++] = (struct extent){from, from + len};
}

static inline int compare_extents(const void *a, const void *b)
{
	const struct extent *x = a, *y = b;

	return x->from < y->from ? -1 : x->from > y->from;
}

static inline int compare_paths(const void *a, const void *b)
{
	return strcmp(entries[*(const int *)a].path, entries[*(const int *)b].path);
}

static inline struct entry *entry_of(const char *path)
{
	int low = 0, high = n_entries - 1;

	while (low <= high) {
		int i = (low + high) / 2, r = strcmp(path, entries[by_path[i]].path);

		if (r == 0)
			return &entries[by_path[i]];
		if (r < 0)
			high = i - 1;
		else
			low = i + 1;
	}
	ck_abort_msg("%s: nobody put it there", path);
	return NULL;
}

/* Where the next data is from `at` on, or `end`. */
static inline uint64_t next_data(int fd, uint64_t at, uint64_t end)
{
	off_t data = lseek(fd, (off_t)at, SEEK_DATA);

	return data < 0 ? end : MIN((uint64_t)data, end);
}

static inline void check_content(const struct entry *x, const struct node *n)
{
	static char a[MIB], b[MIB];

	ck_assert_uint_eq(n->size, (uint64_t)x->st.st_size);
	ck_assert_uint_eq(x->place.body_len, n->body_len);
	ck_assert_uint_eq(x->place.tail_len, n->tail_len);
	if (n->body_len > 0)
		ck_assert_uint_eq(x->place.body, image_at + n->body);
	if (n->tail_len > 0)
		ck_assert_uint_eq(x->place.tail, image_at + n->inode_at + 64);
	for (uint64_t at = 0; at < n->size;) {
		size_t step = (size_t)MIN(sizeof(a), n->size - at);
		uint64_t in = next_data(x->source, at, n->size);

		/* a hole in both */
		if (in > at && in < n->body_len &&
		    next_data(image_fd, image_at + n->body + at, image_at + n->body + in) ==
			    image_at + n->body + in) {
			at = in;
			continue;
		}
		image_content(&image, n, at, a, step);
		ck_assert_int_eq(pread(x->source, b, step, (off_t)at), (ssize_t)step);
		ck_assert_msg(memcmp(a, b, step) == 0, "%s: at %lu", x->path, at);
		at += step;
	}
}

struct visit {
	const char *path;
	uint64_t nid, parent;
	uint32_t folders;
	int dots;
};

static inline void check_entry(const char *name, uint64_t nid, unsigned int type, void *user_data);

static inline void check_node(const struct entry *x, const struct node *n, uint64_t parent)
{
	uint32_t links = 1;
	char text[4096];

	ck_assert_msg(n->mode == x->st.st_mode, "%s: mode %o", x->path, n->mode);
	ck_assert_int_eq(n->mtime, x->st.st_mtim.tv_sec);
	ck_assert_int_eq(n->nsec, x->st.st_mtim.tv_nsec);
	occupy(n->inode_at, 64 + n->tail_len);
	if (!S_ISCHR(n->mode))
		occupy(n->body, n->body_len);
	if (S_ISREG(n->mode)) {
		check_content(x, n);
	} else if (S_ISLNK(n->mode)) {
		ck_assert_uint_eq(n->size, strlen(x->target));
		image_content(&image, n, 0, text, n->size);
		ck_assert(memcmp(text, x->target, n->size) == 0);
	} else if (S_ISCHR(n->mode)) {
		ck_assert_uint_eq(n->rdev, 0);
	} else {
		struct visit v = {.path = x->path, .nid = n->nid, .parent = parent};

		image_folder(&image, n, check_entry, &v);
		ck_assert_int_eq(v.dots, 2);
		links = v.folders + 2;
	}
	ck_assert_uint_eq(n->links, links);
}

static inline void check_entry(const char *name, uint64_t nid, unsigned int type, void *user_data)
{
	static const unsigned int types[] = {[S_IFREG >> 12] = 1,
					     [S_IFDIR >> 12] = 2,
					     [S_IFCHR >> 12] = 3,
					     [S_IFLNK >> 12] = 7};
	_cleanup_free_ char *path = NULL;
	struct visit *v = user_data;
	struct node n;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
		ck_assert_uint_eq(nid, name[1] ? v->parent : v->nid);
		ck_assert_uint_eq(type, 2);
		v->dots++;
		return;
	}
	ck_assert_int_gt(asprintf(&path, "%s%s%s", v->path, *v->path ? "/" : "", name), 0);
	image_node(&image, nid, &n);
	ck_assert_uint_eq(type, types[n.mode >> 12]);
	found++;
	v->folders += type == 2;
	check_node(entry_of(path), &n, v->nid);
}

/* Ends the image, and reads it as a whole. */
static inline void finish(void)
{
	struct err e = ERR_INIT;
	struct node n;
	struct stat st;

	ck_assert_msg(erofs_finish(writer, &image_size, &e) == 0, "%s", e.text);
	writer = erofs_free(writer);
	ck_assert_int_eq(fstat(image_fd, &st), 0);
	ck_assert_uint_ge((uint64_t)st.st_size, image_at + image_size);
	extents = calloc((size_t)n_entries * 2 + 1, sizeof(*extents));
	by_path = calloc((size_t)n_entries, sizeof(*by_path));
	for (int i = 0; i < n_entries; i++)
		by_path[i] = i;
	qsort(by_path, (size_t)n_entries, sizeof(*by_path), compare_paths);
	n_extents = 0;
	occupy(0, 1024 + 128);
	image_open(&image, image_fd, image_at, image_size);
	image_node(&image, image.root, &n);
	found = 1;
	check_node(&entries[0], &n, image.root);
	ck_assert_int_eq(found, n_entries);
	ck_assert_uint_eq(image.inodes, (uint64_t)n_entries);
	qsort(extents, n_extents, sizeof(*extents), compare_extents);
	for (size_t i = 1; i < n_extents; i++)
		ck_assert_uint_le(extents[i - 1].to, extents[i].from);
	free(extents);
	free(by_path);
}

#endif
