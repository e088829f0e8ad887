/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Walks the upper folder of the workspace's overlay, and tells by an archive what has changed. */
/*
 * What overlayfs leaves there, with index and metacopy off
 * (Documentation/filesystems/overlayfs.rst): files that are new or have changed, whole; a character
 * device 0:0 where something is gone; folders with what has changed in them. A folder with the
 * attribute "opaque" = "y" hides all that the layers have of that path; one with "redirect" has
 * moved here, and the layers' part of it is below another path: only the overlay itself knows the
 * whole.
 */
#include "pack.h"

#include <linux/fs.h>
#include <linux/limits.h>
#include <linux/mman.h>
#include <stddef.h>

#include "sys.h"
#include "tar.h"

#define TOP	  "workspace"
#define DEPTH_MAX 128	/* folders in each other: twice of what the host takes */
#define NAMES_LEN 32768 /* of a folder's names at once */
#define ATTRS_LEN 65536 /* the kernel's own bound for a list of them */
#define ARENA	  (256 * 1024)
#define BUCKETS	  8192
#define EXTENTS	  65536 /* of one file; what is behind them is taken for data */

/* The kernel's linux_dirent64. */
struct name {
	unsigned long ino;
	long next;
	unsigned short size;
	unsigned char type;
	char text[];
};

enum { TYPE_UNKNOWN = 0, TYPE_FOLDER = 4, TYPE_FILE = 8, TYPE_LINK = 10 };

/* A folder that is being read. */
struct folder {
	int fd;
	int merged; /* a folder of the overlay's, not of upper */
	int fresh;  /* nothing of the layers is below it in what was written */
	int have, at;
	long path_len;
	char names[NAMES_LEN] __attribute__((aligned(8)));
};

/* A packed file that has more names. */
struct linked {
	struct linked *next;
	unsigned long dev, ino;
	long path_len;
	char path[];
};

static struct folder folders[DEPTH_MAX];
static int depth;
static char path[sizeof(TOP) + (DEPTH_MAX + 1) * (NAME_MAX + 1)];
static struct linked *buckets[BUCKETS];
static struct tar_extent extents[EXTENTS];
static int upper_top, merged_top;
static unsigned long merged_dev;
static char opaque[64], redirect[64];
static int failed;

/* One line for the first fault: the driver passes no more of them on. */
static void complain(const char *what)
{
	char line[1024];
	long n = 0;

	if (failed)
		return;
	failed = 1;
	for (const char *p = path; *p && n < 900; p++)
		line[n++] = (char)((unsigned char)*p < ' ' ? '?' : *p);
	for (const char *p = what; *p; p++)
		line[n++] = *p;
	(void)call(__NR_write, 2, (long)line, n, 0);
}

static void describe(struct tar_entry *e, char type, long path_len, const struct stat *st)
{
	*e = (struct tar_entry){.type = type,
				.path = path,
				.path_len = path_len,
				.mode = (long)st->st_mode,
				.seconds = (long)st->st_mtime,
				.nanoseconds = (long)st->st_mtime_nsec};
}

static void whiteout(long path_len)
{
	const struct tar_entry e = {.type = '3', .path = path, .path_len = path_len};

	tar_header(&e);
}

static void *allocate(long size)
{
	static char *arena;
	static long left;
	void *p;

	size = (size + 7) & -8;
	if (size > left) {
		long r = call6(__NR_mmap, 0, ARENA, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (r < 0)
			leave(fail("too little memory for the names of hard links\n"));
		arena = (char *)r;
		left = ARENA;
	}
	p = arena;
	arena += size;
	left -= size;
	return p;
}

/* The first name of the same file; NULL where this is it, which is noted then. */
static const struct linked *first_name(const struct stat *st, long path_len)
{
	struct linked **bucket = &buckets[st->st_ino % BUCKETS], *l;

	for (l = *bucket; l; l = l->next) {
		if (l->ino == st->st_ino && l->dev == st->st_dev)
			return l;
	}
	l = allocate((long)sizeof(*l) + path_len);
	l->next = *bucket;
	l->dev = st->st_dev;
	l->ino = st->st_ino;
	l->path_len = path_len;
	copy(l->path, path, path_len);
	*bucket = l;
	return NULL;
}

/* Content from where the descriptor stands: `size` bytes, with zeroes for what is not there. */
static void put_content(long fd, long size)
{
	long room, n;
	char *to;

	while (size > 0) {
		to = tar_room(&room);
		room = room < size ? room : size;
		n = call(__NR_read, fd, (long)to, room, 0);
		if (n == -EINTR)
			continue;
		if (n <= 0) {
			complain(n < 0 ? ": cannot be read\n" : ": became shorter\n");
			zero(to, room);
			n = room;
		}
		tar_took(n);
		size -= n;
	}
}

/* Finds the data of a sparse file; how many stretches, or -1 where there are no holes after all. */
static long find_extents(long fd, long size)
{
	long n = 0, at = 0, hole = 0, stored = 0;

	for (; n < EXTENTS - 1; n++) {
		at = call(__NR_lseek, fd, hole, SEEK_DATA, 0);
		if (at < 0)
			break;
		hole = n < EXTENTS - 2 ? call(__NR_lseek, fd, at, SEEK_HOLE, 0) : size;
		if (hole <= at)
			break;
		hole = hole < size ? hole : size;
		if (at >= hole)
			break;
		extents[n] = (struct tar_extent){at, hole - at};
		stored += hole - at;
	}
	if (stored == size || (at < 0 && at != -ENXIO))
		return -1;
	/* as GNU does, the size is told by an extent where a hole is at the end */
	if (n == 0 || extents[n - 1].offset + extents[n - 1].size < size)
		extents[n++] = (struct tar_extent){size, 0};
	return n;
}

static void put_extents(long fd, const struct tar_entry *e)
{
	for (long i = 0; i < e->n_extents; i++) {
		if (e->extents[i].size == 0)
			continue;
		(void)call(__NR_lseek, fd, e->extents[i].offset, SEEK_SET, 0);
		put_content(fd, e->extents[i].size);
	}
}

/*
 * The overlay has other numbers than upper for a file: of one with more names, which is in upper
 * then, at the same path, those are taken that all its names have.
 */
static void number_of(const struct folder *f, struct stat *st)
{
	struct stat own = {0};

	if (!f->merged || call(__NR_newfstatat, upper_top, (long)(path + sizeof(TOP)), (long)&own,
			       AT_SYMLINK_NOFOLLOW) < 0)
		return;
	st->st_dev = own.st_dev;
	st->st_ino = own.st_ino;
}

static void pack_file(const struct folder *f, const char *name, long path_len)
{
	/* should it be a FIFO by now, this does not wait for a writer */
	long fd = call(__NR_openat, f->fd, (long)name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	const struct linked *first = NULL;
	struct tar_entry e;
	struct stat st = {0};

	if (fd < 0 || call(__NR_fstat, fd, (long)&st, 0, 0) < 0 || !S_ISREG(st.st_mode)) {
		complain(": cannot be opened\n");
		(void)call(__NR_close, fd, 0, 0, 0);
		return;
	}
	describe(&e, '0', path_len, &st);
	if (st.st_nlink > 1) {
		number_of(f, &st);
		first = first_name(&st, path_len);
	}
	if (first) {
		e.type = '1';
		e.link = first->path;
		e.link_len = first->path_len;
		tar_header(&e);
		(void)call(__NR_close, fd, 0, 0, 0);
		return;
	}
	e.size = st.st_size;
	if (st.st_blocks * 512 < st.st_size)
		e.n_extents = find_extents(fd, e.size);
	if (e.n_extents > 0)
		e.extents = extents;
	else if (e.n_extents < 0)
		(void)call(__NR_lseek, fd, 0, SEEK_SET, 0);
	tar_header(&e);
	if (e.extents)
		put_extents(fd, &e);
	else
		put_content(fd, e.size);
	tar_pad();
	(void)call(__NR_close, fd, 0, 0, 0);
}

static void pack_link(const struct folder *f, const char *name, long path_len)
{
	static char target[PATH_MAX];
	struct tar_entry e;
	struct stat st = {0};
	long n = call(__NR_readlinkat, f->fd, (long)name, (long)target, PATH_MAX);

	if (n < 0 || call(__NR_newfstatat, f->fd, (long)name, (long)&st, AT_SYMLINK_NOFOLLOW) < 0) {
		complain(": cannot be read\n");
		return;
	}
	describe(&e, '2', path_len, &st);
	e.link = target;
	e.link_len = n;
	tar_header(&e);
}

/* Whether the folder has hidden what the layers have of it (1), has moved (2), or neither (0). */
static int attributes(int fd)
{
	static char list[ATTRS_LEN];
	char value[2] = {0};
	long n = call(__NR_flistxattr, fd, (long)list, ATTRS_LEN, 0);
	int r = 0;

	for (long i = 0; i < n; i += length(list + i) + 1) {
		if (same(list + i, redirect))
			return 2;
		if (same(list + i, opaque) &&
		    call(__NR_fgetxattr, fd, (long)opaque, (long)value, 1) == 1 && value[0] == 'y')
			r = 1;
	}
	return r;
}

/* The same folder as the overlay has it; below the top folder, whose name is not in its own path.
 */
static int open_merged(void)
{
	return (int)call(__NR_openat, merged_top, (long)(path + sizeof(TOP)),
			 O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
}

/* Its own entry, path[path_len] being '/'; and it becomes the one that is being read. */
static void enter(int fd, int merged, int fresh, long path_len)
{
	struct folder *f = &folders[depth];
	struct tar_entry e;
	struct stat st = {0};

	if (call(__NR_fstat, fd, (long)&st, 0, 0) < 0) {
		complain(": cannot be read\n");
		st = (struct stat){.st_mode = S_IFDIR | 0755};
	}
	describe(&e, '5', path_len + 1, &st);
	tar_header(&e);
	/* the host takes no path of this depth: it shall see that there is one */
	if (depth == DEPTH_MAX - 1 || (merged && st.st_dev != merged_dev)) {
		(void)call(__NR_close, fd, 0, 0, 0);
		return;
	}
	f->fd = fd;
	f->merged = merged;
	f->fresh = fresh;
	f->have = 0;
	f->at = 0;
	f->path_len = path_len;
	depth++;
}

static void pack_folder(const struct folder *f, const char *name, long path_len)
{
	int fd = (int)call(__NR_openat, f->fd, (long)name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	int merged = f->merged, fresh = f->fresh, found = 0;

	if (fd >= 0 && !merged)
		found = attributes(fd);
	if (fd >= 0 && found == 2) {
		(void)call(__NR_close, fd, 0, 0, 0);
		fd = open_merged();
		merged = 1;
	}
	if (fd < 0) {
		complain(": cannot be opened\n");
		return;
	}
	if (found && !fresh)
		whiteout(path_len);
	path[path_len] = '/';
	path[path_len + 1] = 0;
	enter(fd, merged, fresh || found, path_len);
}

/* A whiteout of upper's, or what does not go back itself: the layers' entry there is gone. */
static void pack_other(const struct folder *f, long path_len)
{
	if (!f->fresh)
		whiteout(path_len);
}

static int type_of(const struct folder *f, const struct name *n)
{
	struct stat st = {0};

	if (n->type != TYPE_UNKNOWN)
		return n->type;
	if (call(__NR_newfstatat, f->fd, (long)n->text, (long)&st, AT_SYMLINK_NOFOLLOW) < 0)
		return TYPE_FILE; /* which fails, with its name */
	return (int)(st.st_mode >> 12);
}

static void pack_name(const struct folder *f, const struct name *n)
{
	long path_len = f->path_len + 1;

	if (n->text[0] == '.' && (!n->text[1] || (n->text[1] == '.' && !n->text[2])))
		return;
	path[f->path_len] = '/';
	for (const char *p = n->text; *p; p++)
		path[path_len++] = *p;
	path[path_len] = 0;
	switch (type_of(f, n)) {
	case TYPE_FILE:
		pack_file(f, n->text, path_len);
		break;
	case TYPE_FOLDER:
		pack_folder(f, n->text, path_len);
		break;
	case TYPE_LINK:
		pack_link(f, n->text, path_len);
		break;
	default:
		pack_other(f, path_len);
		break;
	}
}

/* The next name of the innermost folder, or its end. */
static void step(void)
{
	struct folder *f = &folders[depth - 1];
	const struct name *n;

	if (f->at == f->have) {
		f->at = 0;
		f->have = (int)call(__NR_getdents64, f->fd, (long)f->names, NAMES_LEN, 0);
		if (f->have <= 0) {
			path[f->path_len] = 0;
			if (f->have < 0)
				complain(": cannot be read\n");
			(void)call(__NR_close, f->fd, 0, 0, 0);
			depth--;
			return;
		}
	}
	n = (const struct name *)(const void *)(f->names + f->at);
	f->at += n->size;
	pack_name(f, n);
}

static void join(char *to, const char *a, const char *b)
{
	while (*a)
		*to++ = *a++;
	while (*b)
		*to++ = *b++;
	*to = 0;
}

int pack(long place, const char *upper, const char *merged, const char *prefix)
{
	int fd = (int)call(__NR_openat, place, (long)upper, O_RDONLY | O_DIRECTORY, 0);
	struct stat st = {0};

	upper_top = (int)call(__NR_openat, place, (long)upper, O_RDONLY | O_DIRECTORY, 0);
	merged_top = (int)open_file(merged, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0 || upper_top < 0 || merged_top < 0 ||
	    call(__NR_fstat, merged_top, (long)&st, 0, 0) < 0)
		return fail("the workspace's overlay cannot be opened\n");
	if (length(prefix) + sizeof("redirect") > sizeof(redirect))
		return fail("the prefix is too long\n");
	merged_dev = st.st_dev;
	join(opaque, prefix, "opaque");
	join(redirect, prefix, "redirect");
	join(path, TOP, "/");
	tar_begin();
	enter(fd, 0, 0, sizeof(TOP) - 1);
	while (depth > 0)
		step();
	tar_end();
	return failed;
}
