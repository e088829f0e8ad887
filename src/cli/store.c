/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Keeping, finding and dropping cached disks; see store.h for what makes them whole. */
#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/num.h"

#define DESCRIPTION_MAX (64 * KIB)
#define ENTRIES_MAX	100000
#define LOCK_LOOK_MS	50
#define HASH_PAGE	4096
#define LIST_MAX	(2 * GIB)

/* KEY and what a file's name ends in. */
struct name {
	char text[SHA256_HEX_SIZE + 16];
};

static struct name name_of(const char *key, const char *end)
{
	struct name n;

	(void)snprintf(n.text, sizeof(n.text), "%.64s%s", key, end);
	return n;
}

int store_open(const char *cache, struct err *e)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r;

	if (asprintf(&path, "%s/layers", cache) < 0) {
		path = NULL;
		return err_oom(e);
	}
	r = io_mkdir_p(path, 0700, e);
	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(e, -errno, "%s", path);
	if (st.st_uid != geteuid() || (st.st_mode & 077))
		return err_set(e, -EPERM,
			       "%s: must be yours and closed to others; chmod 0700 or remove it",
			       path);
	return take_fd(&fd);
}

static uint64_t mtime_ns(const struct stat *st)
{
	return (uint64_t)st->st_mtim.tv_sec * 1000000000 + (uint64_t)st->st_mtim.tv_nsec;
}

/* The description alone. 0, -ENOENT, or -EBADMSG with the reason. */
static int load(int store, const char *key, struct store_entry *ret, struct err *e)
{
	struct name json = name_of(key, ".json"), img = name_of(key, ".img");
	_cleanup_buf_ struct buf text = {0};
	struct stat st;
	int r = io_read_file(store, json.text, DESCRIPTION_MAX, &text, NULL);

	if (r == -ENOENT)
		return r;
	if (r < 0)
		return err_errno(e, -EBADMSG, "its description cannot be read");
	r = store_parse(buf_str(&text), text.len, ret, e);
	if (r == 0 && strcmp(ret->key, key) != 0)
		r = err_set(e, -EBADMSG, "its description is another one's");
	if (r < 0)
		return -EBADMSG;
	if (fstatat(store, json.text, &st, AT_SYMLINK_NOFOLLOW) == 0)
		ret->used = (uint64_t)st.st_mtim.tv_sec;
	if (fstatat(store, img.text, &st, AT_SYMLINK_NOFOLLOW) == 0)
		ret->blocks = (uint64_t)st.st_blocks * 512;
	return 0;
}

static int open_disk(int store, const char *key, int how, int lock, struct stat *st)
{
	_cleanup_close_ int fd =
		openat(store, name_of(key, ".img").text, how | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	if (flock(fd, lock | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	if (fstat(fd, st) < 0)
		return -errno;
	/* removed or replaced before the lock was ours */
	return st->st_nlink == 0 ? -ENOENT : take_fd(&fd);
}

static int check_disk(const struct store_entry *s, const struct stat *st, struct err *e)
{
	if (!S_ISREG(st->st_mode) || st->st_uid != geteuid() || (st->st_mode & 077))
		return err_set(e, -EBADMSG, "its disk is not a file of yours alone");
	if ((uint64_t)st->st_size != s->size)
		return err_set(e, -EBADMSG, "its disk has %lld bytes, and had %llu",
			       (long long)st->st_size, (unsigned long long)s->size);
	if (mtime_ns(st) != s->mtime_ns)
		return err_set(e, -EBADMSG, "its disk has been written to");
	return 0;
}

static void unlink_all(int store, const char *key)
{
	(void)unlinkat(store, name_of(key, ".json").text, 0);
	(void)unlinkat(store, name_of(key, ".list").text, 0);
	(void)unlinkat(store, name_of(key, ".img").text, 0);
}

int store_find(int store, const char *key, uint64_t max_age, int *ret_fd, struct store_entry *ret,
	       char *ret_damage)
{
	_cleanup_close_ int fd = -1;
	struct store_entry s;
	struct err e = ERR_INIT;
	struct stat st;
	uint64_t now = (uint64_t)time(NULL);
	int r = load(store, key, &s, &e);

	ret_damage[0] = '\0';
	if (r == -ENOENT || (r == 0 && s.has_list))
		return 0;
	if (r == 0) {
		fd = open_disk(store, key, O_RDONLY, LOCK_SH, &st);
		if (fd == -EBUSY)
			return 0; /* it is being removed */
		if (fd < 0)
			r = err_errno(&e, fd, "its disk");
		else
			r = check_disk(&s, &st, &e);
	}
	if (r < 0) {
		(void)snprintf(ret_damage, ERR_TEXT_MAX, "%s", e.text);
		unlink_all(store, key);
		return 0;
	}
	if (max_age > 0 && (s.made > now || now - s.made > max_age))
		return 0;
	(void)utimensat(store, name_of(key, ".json").text, NULL, AT_SYMLINK_NOFOLLOW);
	*ret = s;
	*ret_fd = take_fd(&fd);
	return 1;
}

/* 1 with the lock, 0 while another has it, or a negative errno. */
static int try_lock(int store, const char *key, int *ret_fd, struct err *e)
{
	_cleanup_close_ int fd = openat(store, name_of(key, ".lock").text,
					O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct stat st;

	if (fd < 0)
		return err_errno(e, -errno, "cannot make a lock file in the cache");
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK || errno == EINTR
			       ? 0
			       : err_errno(e, -errno, "cannot lock an entry of the cache");
	/* swept away between the two: the next who comes would make another file */
	if (fstat(fd, &st) < 0 || st.st_nlink == 0)
		return 0;
	*ret_fd = take_fd(&fd);
	return 1;
}

int store_lock(int store, const char *key, uint64_t wait_ms, void (*waiting)(void *user_data),
	       void *user_data, struct err *e)
{
	uint64_t end = io_now_ms() + wait_ms;
	char text[NUM_TEXT_MAX];
	int fd = -1, r = try_lock(store, key, &fd, e);

	if (r == 0)
		waiting(user_data);
	while (r == 0) {
		if (io_now_ms() >= end)
			return err_set(e, -ETIMEDOUT, "another build has not made it within %s",
				       format_duration(wait_ms, text));
		(void)poll(NULL, 0, LOCK_LOOK_MS);
		r = try_lock(store, key, &fd, e);
	}
	return r < 0 ? r : fd;
}

static bool all_zero(const unsigned char *data, size_t n)
{
	return n == 0 || (data[0] == 0 && memcmp(data, data + 1, n - 1) == 0);
}

/* Each page that is not all zeros, with its place. */
static void hash_pages(struct sha256 *s, const unsigned char *data, size_t n, uint64_t at)
{
	for (size_t done = 0, step; done < n; done += step, at += step) {
		/* the first one may begin in the middle of a page */
		step = MIN(n - done, (size_t)(HASH_PAGE - at % HASH_PAGE));
		if (all_zero(data + done, step))
			continue;
		sha256_put(s, &at, sizeof(at));
		sha256_put(s, data + done, step);
	}
}

/*
 * Holes are not read, and zeros count as one: a page of tmpfs that somebody has looked at through a
 * mapping is no hole any more.
 */
static int hash_data(int fd, char out[SHA256_HEX_SIZE])
{
	_cleanup_free_ unsigned char *block = malloc(MIB);
	unsigned char digest[SHA256_SIZE];
	struct sha256 s;
	off_t at = 0, end;

	if (!block)
		return -ENOMEM;
	sha256_init(&s);
	while ((at = lseek(fd, at, SEEK_DATA)) >= 0 && (end = lseek(fd, at, SEEK_HOLE)) >= 0) {
		while (at < end) {
			size_t want = (size_t)MIN((uint64_t)(end - at), MIB);
			ssize_t n = pread(fd, block, want, at);

			if (n <= 0)
				return n < 0 ? -errno : -EIO;
			hash_pages(&s, block, (size_t)n, (uint64_t)at);
			at += n;
		}
	}
	if (errno != ENXIO)
		return -errno;
	sha256_end(&s, digest);
	(void)sha256_hex(digest, out);
	return 0;
}

/* A file beside its place, on the disk: to put it there takes no room any more. */
static int write_beside(int store, struct name fresh, const char *data, size_t len, struct err *e)
{
	_cleanup_close_ int fd =
		openat(store, fresh.text, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
		       0600);
	int r = fd < 0 ? -errno : io_write_full(fd, data, len);

	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	return r < 0 ? err_errno(e, r, "cannot write in the cache") : 0;
}

/* The description, and the list if there is one. */
static int write_description(int store, const struct store_entry *s, const struct buf *list,
			     struct err *e)
{
	_cleanup_free_ char *text = store_print(s);
	int r = text ? write_beside(store, name_of(s->key, ".json.new"), text, strlen(text), e)
		     : err_oom(e);

	if (r == 0 && list)
		r = write_beside(store, name_of(s->key, ".list.new"), list->data, list->len, e);
	return r;
}

static int describe_disk(int fd, const struct buf *list, struct store_entry *s, struct err *e)
{
	struct stat st;
	int r;

	if ((!list && fsync(fd) < 0) || fchmod(fd, 0600) < 0 || fstat(fd, &st) < 0)
		return err_errno(e, -errno, "the disk cannot be kept");
	s->size = (uint64_t)st.st_size;
	s->mtime_ns = mtime_ns(&st);
	s->blocks = (uint64_t)st.st_blocks * 512;
	s->has_list = list != NULL;
	if (list) {
		(void)sha256_hex_of(list->data, list->len, s->sha256);
		return 0;
	}
	r = hash_data(fd, s->sha256);
	return r < 0 ? err_errno(e, r, "the disk cannot be read") : 0;
}

/* Gives a disk without a name the one beside its place; what was taken has it. */
static int name_disk(int store, int fd, const char *name, struct err *e)
{
	char self[64];
	struct stat st;

	if (fstat(fd, &st) == 0 && st.st_nlink > 0)
		return 0;
	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if ((unlinkat(store, name, 0) < 0 && errno != ENOENT) ||
	    linkat(AT_FDCWD, self, store, name, AT_SYMLINK_FOLLOW) < 0)
		return err_errno(e, -errno, "the disk cannot be given a name in the cache");
	return 0;
}

/* From beside their places to there, the description last. */
static int put_in_place(int store, const struct store_entry *s, struct err *e)
{
	static const char *const ends[][2] = {{".img.new", ".img"},
					      {".list.new", ".list"},
					      {".json.new", ".json"}};

	/* for a moment nothing is there, rather than an old description of the new disk */
	(void)unlinkat(store, name_of(s->key, ".json").text, 0);
	(void)unlinkat(store, name_of(s->key, ".list").text, 0);
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		if (i == 1 && !s->has_list)
			continue;
		if (renameat(store, name_of(s->key, ends[i][0]).text, store,
			     name_of(s->key, ends[i][1]).text) < 0)
			return err_errno(e, -errno, "the disk cannot be put into the cache");
	}
	(void)fsync(store);
	return 0;
}

static int keep(int store, int fd, const struct buf *list, struct store_entry *entry, struct err *e)
{
	static const char *const ends[] = {".img.new", ".list.new", ".json.new"};
	int r = describe_disk(fd, list, entry, e);

	if (r == 0)
		r = write_description(store, entry, list, e);
	if (r == 0)
		r = name_disk(store, fd, name_of(entry->key, ends[0]).text, e);
	if (r == 0)
		r = put_in_place(store, entry, e);
	for (size_t i = 0; r < 0 && i < ARRAY_SIZE(ends); i++)
		(void)unlinkat(store, name_of(entry->key, ends[i]).text, 0);
	return r;
}

int store_keep(int store, int fd, struct store_entry *entry, struct err *e)
{
	return keep(store, fd, NULL, entry, e);
}

int store_put(int store, int fd, const struct buf *list, struct store_entry *entry, struct err *e)
{
	return keep(store, fd, list, entry, e);
}

bool store_has(int store, const char *key)
{
	return faccessat(store, name_of(key, ".json").text, F_OK, 0) == 0;
}

/* The list of an entry, if it is what was written. */
static int read_list(int store, const struct store_entry *s, struct buf *out, struct err *e)
{
	char hash[SHA256_HEX_SIZE];
	int r;

	out->cap = LIST_MAX;
	r = io_read_file(store, name_of(s->key, ".list").text, LIST_MAX, out, NULL);
	if (r < 0)
		return err_errno(e, -EBADMSG, "its list cannot be read");
	if (strcmp(sha256_hex_of(out->data, out->len, hash), s->sha256) != 0)
		return err_set(e, -EBADMSG, "its list is not what was written");
	return 0;
}

int store_take(int store, const char *key, int *ret_fd, struct buf *ret_list, char *ret_damage)
{
	struct name img = name_of(key, ".img"), fresh = name_of(key, ".img.new");
	_cleanup_buf_ struct buf list = {0};
	_cleanup_close_ int fd = -1;
	struct err e = ERR_INIT;
	struct store_entry s;
	struct stat st;
	int r = load(store, key, &s, &e);

	ret_damage[0] = '\0';
	if (r == -ENOENT || (r == 0 && !s.has_list))
		return 0;
	if (r == 0) {
		fd = open_disk(store, key, O_RDWR, LOCK_EX, &st);
		if (fd == -EBUSY)
			return 0;
		r = fd < 0 ? err_errno(&e, fd, "its disk") : check_disk(&s, &st, &e);
	}
	if (r == 0)
		r = read_list(store, &s, &list, &e);
	/* without a description it is a remnant */
	if (r == 0 && (unlinkat(store, name_of(key, ".json").text, 0) < 0 ||
		       renameat(store, img.text, store, fresh.text) < 0))
		r = err_errno(&e, -errno, "it cannot be taken");
	if (r < 0) {
		(void)snprintf(ret_damage, ERR_TEXT_MAX, "%s", e.text);
		unlink_all(store, key);
		return 0;
	}
	(void)flock(fd, LOCK_UN);
	*ret_fd = take_fd(&fd);
	*ret_list = list;
	list = (struct buf){0};
	return 1;
}

void store_drop(int store, const char *key)
{
	(void)unlinkat(store, name_of(key, ".img.new").text, 0);
	unlink_all(store, key);
}

static int by_use(const void *a, const void *b)
{
	const struct store_entry *x = a, *y = b;

	return x->used < y->used ? 1 : x->used > y->used ? -1 : strcmp(x->key, y->key);
}

int store_list(int store, struct store_entry **ret, size_t *ret_n, struct err *e)
{
	_cleanup_free_ struct store_entry *all = NULL;
	size_t n = 0, room = 0;
	int fd = openat(store, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *ent;

	if (!d) {
		int r = err_errno(e, -errno, "cannot list the cache");

		fd_close(&fd);
		return r;
	}
	while ((ent = readdir(d)) && n < ENTRIES_MAX) {
		char key[SHA256_HEX_SIZE];
		struct store_entry s;

		if (strlen(ent->d_name) != 69 || strcmp(ent->d_name + 64, ".json") != 0)
			continue;
		(void)snprintf(key, sizeof(key), "%.64s", ent->d_name);
		if (load(store, key, &s, NULL) < 0)
			continue;
		if (n == room) {
			struct store_entry *more;

			room = room ? room * 2 : 16;
			more = reallocarray(all, room, sizeof(*all));
			if (!more) {
				(void)closedir(d);
				return err_oom(e);
			}
			all = more;
		}
		all[n++] = s;
	}
	(void)closedir(d);
	if (n > 0)
		qsort(all, n, sizeof(*all), by_use);
	*ret = take_ptr(&all);
	*ret_n = n;
	return 0;
}

int store_remove(int store, const char *key)
{
	struct stat st;
	_cleanup_close_ int fd = open_disk(store, key, O_RDONLY, LOCK_EX, &st);

	if (fd == -EBUSY)
		return fd;
	unlink_all(store, key);
	return 0;
}

int store_verify(int store, const struct store_entry *entry, struct err *e)
{
	const struct store_entry *s = entry;
	_cleanup_buf_ struct buf list = {0};
	char hash[SHA256_HEX_SIZE];
	struct stat st;
	_cleanup_close_ int fd = open_disk(store, s->key, O_RDONLY, LOCK_SH, &st);
	int r = fd < 0 ? err_errno(e, -EBADMSG, "its disk cannot be opened")
		       : check_disk(s, &st, e);

	if (r < 0)
		return r;
	if (s->has_list)
		return read_list(store, s, &list, e);
	if (hash_data(fd, hash) < 0)
		return err_set(e, -EBADMSG, "its disk cannot be read");
	return strcmp(hash, s->sha256) == 0
		       ? 0
		       : err_set(e, -EBADMSG, "its disk is not what was written");
}

/* What a killed build has left of an entry; whoever makes one now has its lock. */
static void sweep_one(int store, const char *key)
{
	static const char *const ends[] = {".img.new", ".list.new", ".json.new",
					   ".img",     ".list",	    ".lock"};
	_cleanup_close_ int lock =
		openat(store, name_of(key, ".lock").text,
		       O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);

	if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) < 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		bool described = store_has(store, key);

		/* the disk and the lock of an entry that is whole stay */
		if (i < 3 || !described)
			(void)unlinkat(store, name_of(key, ends[i]).text, 0);
	}
}

static void sweep(int store)
{
	int fd = openat(store, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *ent;

	while (d && (ent = readdir(d))) {
		char key[SHA256_HEX_SIZE];

		(void)snprintf(key, sizeof(key), "%.64s", ent->d_name);
		if (strlen(key) == 64 && strspn(key, "0123456789abcdef") == 64 &&
		    strcmp(ent->d_name + 64, ".json") != 0)
			sweep_one(store, key);
	}
	if (d)
		(void)closedir(d);
	else
		fd_close(&fd);
}

uint64_t store_limit(void)
{
	const char *text = getenv("CONTRACTOR_CACHE_LIMIT");
	uint64_t limit;

	return text && parse_size(text, &limit) == 0 ? limit : STORE_LIMIT;
}

void store_evict(int store, uint64_t limit)
{
	_cleanup_free_ struct store_entry *all = NULL;
	uint64_t sum = 0;
	size_t n = 0;

	sweep(store);
	if (store_list(store, &all, &n, NULL) < 0)
		return;
	for (size_t i = 0; i < n; i++)
		sum += all[i].blocks;
	for (size_t i = n; i-- > 0 && sum > limit;) {
		if (store_remove(store, all[i].key) == 0)
			sum -= all[i].blocks;
	}
}
