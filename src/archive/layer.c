/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An EROFS image of what is new, and the list of all entries, written side by side. */
#include "layer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <sys/vfs.h>
#include <time.h>

#include "base/io.h"
#include "inodes.h"
#include "layer-index.h"

#define COMPARE (256 * KIB)
/* Of all files together; more would be felt in the guest. */
#define HOLES_MAX (16 * MIB)

/* Not in every <linux/magic.h>. */
#define MAGIC_BCACHEFS 0xca451a4e
#define MAGIC_XFS      0x58465342
#define MAGIC_ZFS      0x2fc12fc1

struct layer {
	int fd;
	struct erofs *image;
	struct inodes inodes;
	struct timespec began;
	struct buf list;	 /* of all that is there now */
	struct layer_index here; /* of it */
	struct buf old;		 /* of the layers below; borrowed */
	struct layer_index below;
	bool verify, changed;
	bool knows_dev, tells; /* whether files of `dev` tell each change by their time of it */
	uint64_t dev;
	uint64_t entries, bytes, holes, surprises;
};

/* In the list, followed by path and target with their NUL. */
struct record {
	uint64_t size, body, tail, body_len;
	int64_t seconds;
	uint32_t nanoseconds, tail_len, mode;
	uint8_t type, from_workspace, has_holes, reserved;
	struct layer_ident from, copy;
	uint32_t path_size, target_size; /* with the NUL */
};

struct layer *layer_free(struct layer *l)
{
	if (!l)
		return NULL;
	l->image = erofs_free(l->image);
	inodes_done(&l->inodes);
	layer_index_done(&l->here);
	layer_index_done(&l->below);
	buf_done(&l->list);
	free(l);
	return NULL;
}

/* The clock by which files get their times. */
static struct timespec tick(void)
{
	struct timespec t = {0};

	(void)clock_gettime(CLOCK_REALTIME_COARSE, &t);
	return t;
}

static bool is_before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec < b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

/*
 * Whether what is changed from `now` on gets another time than t. A file system that counts whole
 * seconds, or pairs of them, gives it away by its zeros.
 */
static bool is_past(const struct timespec *t, const struct timespec *now)
{
	return t->tv_nsec == 0 ? t->tv_sec + 2 < now->tv_sec : is_before(t, now);
}

struct timespec layer_next_tick(void)
{
	struct timespec called = {0}, now;

	/* since Linux 6.13 a file may have a time that the clock of ticks has yet to come to */
	(void)clock_gettime(CLOCK_REALTIME, &called);
	now = tick();
	for (int i = 0; i < 100 && !is_before(&called, &now); i++) {
		(void)poll(NULL, 0, 1);
		now = tick();
	}
	return now;
}

struct layer_ident layer_ident_of(const struct stat *st, const struct timespec *now)
{
	return (struct layer_ident){.dev = st->st_dev,
				    .ino = st->st_ino,
				    .seconds = st->st_ctim.tv_sec,
				    .nanoseconds = (uint32_t)st->st_ctim.tv_nsec,
				    .valid = is_past(&st->st_ctim, now)};
}

bool layer_ident_is(const struct layer_ident *i, const struct stat *st)
{
	return i->valid && i->dev == st->st_dev && i->ino == st->st_ino &&
	       i->seconds == st->st_ctim.tv_sec && i->nanoseconds == (uint32_t)st->st_ctim.tv_nsec;
}

int layer_add(struct buf *list, const struct layer_entry *n)
{
	const struct record r = {.size = n->size,
				 .body = n->place.body,
				 .tail = n->place.tail,
				 .body_len = n->place.body_len,
				 .seconds = n->mtime.tv_sec,
				 .nanoseconds = (uint32_t)n->mtime.tv_nsec,
				 .tail_len = n->place.tail_len,
				 .mode = n->mode & 0777,
				 .type = (uint8_t)n->type,
				 .from_workspace = n->from_workspace,
				 .has_holes = n->has_holes,
				 .from = n->from,
				 .copy = n->copy,
				 .path_size = (uint32_t)strlen(n->path) + 1,
				 .target_size = (uint32_t)strlen(n->target) + 1};

	list->cap = LAYER_LIST_MAX;
	if (buf_put(list, &r, sizeof(r)) < 0 || buf_put(list, n->path, r.path_size) < 0 ||
	    buf_put(list, n->target, r.target_size) < 0)
		return -ENOMEM;
	return 0;
}

bool layer_next(const char *list, size_t len, size_t *at, struct layer_entry *ret)
{
	struct record r;
	const char *text;

	if (len < *at || len - *at < sizeof(r))
		return false;
	memcpy(&r, list + *at, sizeof(r));
	text = list + *at + sizeof(r);
	if (r.path_size == 0 || r.target_size == 0 || r.type >= _FILTER_TYPE_MAX ||
	    len - *at - sizeof(r) < (uint64_t)r.path_size + r.target_size ||
	    text[r.path_size - 1] != '\0' || text[r.path_size + r.target_size - 1] != '\0')
		return false;
	*ret = (struct layer_entry){
		.type = (enum filter_type)r.type,
		.mode = r.mode,
		.mtime = {.tv_sec = r.seconds, .tv_nsec = r.nanoseconds},
		.size = r.size,
		.place = {.body = r.body,
			  .tail = r.tail,
			  .body_len = r.body_len,
			  .tail_len = r.tail_len},
		.from_workspace = r.from_workspace != 0,
		.has_holes = r.has_holes != 0,
		.from = r.from,
		.copy = r.copy,
		.path = text,
		.target = text + r.path_size,
	};
	*at += sizeof(r) + r.path_size + r.target_size;
	return true;
}

static int index_below(struct layer *l, struct err *e)
{
	struct layer_entry n;
	size_t at = 0, next = 0;

	while (layer_next(l->old.data, l->old.len, &next, &n)) {
		if (layer_index_add(&l->below, n.path, at, false) < 0)
			return err_oom(e);
		at = next;
	}
	return next == l->old.len ? 0 : err_set(e, -EBADMSG, "the list of a workspace is broken");
}

int layer_new(int fd, uint64_t at, const struct layer_below *below, struct layer **ret,
	      struct err *e)
{
	const struct stat root = {.st_mode = S_IFDIR | 0755, .st_mtim = {.tv_sec = 946684800}};
	_cleanup_(layer_free_p) struct layer *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return err_oom(e);
	l->fd = fd;
	l->began = tick();
	l->here.list = &l->list;
	l->below.list = &l->old;
	if (below) {
		l->old = (struct buf){.data = (char *)below->list, .len = below->len};
		l->verify = below->verify;
	}
	r = erofs_new(fd, at, &l->image, e);
	if (r == 0)
		r = erofs_folder(l->image, "", &root, e);
	if (r == 0)
		r = index_below(l, e);
	if (r < 0)
		return r;
	*ret = take_ptr(&l);
	return 0;
}

/* Into the list of what is there now. */
static int remember(struct layer *l, const struct layer_entry *n, bool written, struct err *e)
{
	size_t at = l->list.len;

	if (layer_add(&l->list, n) < 0 || layer_index_add(&l->here, n->path, at, written) < 0)
		return err_oom(e);
	l->entries++;
	l->bytes += n->type == FILTER_FILE ? n->size : 0;
	l->changed = l->changed || written;
	return 0;
}

/* Folders on the way to `path` that are not in the image yet. */
static int write_way(struct layer *l, const char *path, struct err *e)
{
	char name[sizeof(FILTER_TOP) + FILTER_PATH_MAX + 1];

	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		size_t len = (size_t)(slash - path);
		struct layer_entry n;
		struct layer_mark *m = layer_index_find(&l->here, path, len, &n);
		int r;

		if (!m || n.type != FILTER_FOLDER || len >= sizeof(name))
			return err_set(e, -EINVAL, "%s: comes before its folder", path);
		if (m->written)
			continue;
		const struct stat st = {.st_mode = S_IFDIR | n.mode, .st_mtim = n.mtime};

		memcpy(name, path, len);
		name[len] = '\0';
		r = erofs_folder(l->image, name, &st, e);
		if (r < 0)
			return r;
		m->written = true;
	}
	return 0;
}

/* The entry of that path in the layers below, which the walk has come by now; NULL: none. */
static const struct layer_entry *look_below(struct layer *l, const char *path,
					    struct layer_entry *n)
{
	struct layer_mark *m = layer_index_find(&l->below, path, strlen(path), n);

	if (!m)
		return NULL;
	m->seen = true;
	return n;
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

bool layer_looks_like(const struct layer_entry *n, const struct stat *st)
{
	return n->size == (uint64_t)st->st_size && same_time(&n->mtime, &st->st_mtim);
}

int layer_folder(struct layer *l, const char *path, const struct stat *st, struct err *e)
{
	struct layer_entry old;
	const struct layer_entry *below = look_below(l, path, &old);
	const struct layer_entry n = {.type = FILTER_FOLDER,
				      .mode = st->st_mode & 0777,
				      .mtime = st->st_mtim,
				      .path = path,
				      .target = ""};
	int r;

	if (below && old.type == FILTER_FOLDER && old.mode == n.mode &&
	    same_time(&old.mtime, &n.mtime))
		return remember(l, &n, false, e);
	r = write_way(l, path, e);
	if (r == 0)
		r = erofs_folder(l->image, path, st, e);
	return r < 0 ? r : remember(l, &n, true, e);
}

int layer_symlink(struct layer *l, const char *path, const char *target, const struct stat *st,
		  struct err *e)
{
	struct layer_entry old;
	const struct layer_entry *below = look_below(l, path, &old);
	const struct layer_entry n = {.type = FILTER_SYMLINK,
				      .mode = 0777,
				      .mtime = st->st_mtim,
				      .path = path,
				      .target = target};
	int r;

	if (below && old.type == FILTER_SYMLINK && strcmp(old.target, target) == 0 &&
	    same_time(&old.mtime, &n.mtime))
		return remember(l, &n, false, e);
	r = write_way(l, path, e);
	if (r == 0)
		r = erofs_symlink(l->image, path, target, st, e);
	return r < 0 ? r : remember(l, &n, true, e);
}

/* Bytes of holes; fewer blocks than bytes may also be a file system's that compresses. */
static uint64_t count_holes(int fd, const struct stat *st)
{
	off_t at = 0, hole;
	uint64_t sum = 0;

	if (st->st_blocks * 512 >= st->st_size)
		return 0;
	while (at < st->st_size && (hole = lseek(fd, at, SEEK_HOLE)) >= 0 && hole < st->st_size) {
		at = lseek(fd, hole, SEEK_DATA);
		/* no data behind it */
		if (at < 0 || at > st->st_size)
			at = st->st_size;
		sum += (uint64_t)(at - hole);
	}
	return sum;
}

/*
 * A file that overlayfs copies up loses its other names and its holes: such a tree goes by tar. Of
 * names those count that are in the tree.
 */
static int check_kind(struct layer *l, const char *path, uint64_t holes, const struct stat *st,
		      const char *name, struct err *e)
{
	int r;

	l->holes += holes;
	if (l->holes > HOLES_MAX)
		return err_set(e, -EOPNOTSUPP, "%s: has a hole, which a layer would fill", name);
	if (st->st_nlink == 1)
		return 0;
	if (inodes_find(&l->inodes, st->st_dev, st->st_ino))
		return err_set(e, -EOPNOTSUPP, "%s: has two names, of which a layer keeps one",
			       name);
	r = inodes_add(&l->inodes, st->st_dev, st->st_ino, path);
	return r == -E2BIG ? err_set(e, -EOPNOTSUPP, "%s: too many files have two names", name)
	       : r < 0	   ? err_oom(e)
			   : 0;
}

/* Whether [at, at + n) of the layers is what the file has from `from` on. */
static bool same_stretch(int layers, uint64_t at, int fd, uint64_t from, uint64_t n, char *two)
{
	while (n > 0) {
		size_t step = (size_t)MIN(n, COMPARE);

		if (io_pread_full(layers, two, step, at) != (ssize_t)step ||
		    io_pread_full(fd, two + COMPARE, step, from) != (ssize_t)step ||
		    memcmp(two, two + COMPARE, step) != 0)
			return false;
		at += step;
		from += step;
		n -= step;
	}
	return true;
}

static bool same_content(struct layer *l, const struct layer_entry *old, int fd)
{
	_cleanup_free_ char *two = malloc(2 * COMPARE);
	const struct erofs_place *p = &old->place;

	return two && same_stretch(l->fd, p->body, fd, 0, p->body_len, two) &&
	       same_stretch(l->fd, p->tail, fd, p->body_len, p->tail_len, two);
}

/*
 * Somebody has it open for writing. By a mapping he writes to a page again and again, of which the
 * first time alone is told, until the page is on the disk.
 */
static bool is_being_written(int fd)
{
	if (fcntl(fd, F_SETLEASE, F_RDLCK) < 0)
		return errno == EAGAIN;
	(void)fcntl(fd, F_SETLEASE, F_UNLCK);
	return false;
}

/*
 * Where every change of a file gives it another time of change. tmpfs tells of none by a mapping;
 * FAT, and many a FUSE, have but the one time, which anybody sets.
 */
static bool tells_changes(struct layer *l, int fd, const struct stat *st)
{
	static const uint32_t all[] = {EXT4_SUPER_MAGIC,  MAGIC_XFS,
				       BTRFS_SUPER_MAGIC, F2FS_SUPER_MAGIC,
				       MAGIC_BCACHEFS,	  MAGIC_ZFS,
				       NFS_SUPER_MAGIC,	  OVERLAYFS_SUPER_MAGIC};
	struct statfs fs;

	if (l->knows_dev && l->dev == st->st_dev)
		return l->tells;
	l->tells = false;
	for (size_t i = 0; fstatfs(fd, &fs) == 0 && i < ARRAY_SIZE(all); i++)
		l->tells = l->tells || (uint32_t)fs.f_type == all[i];
	l->dev = st->st_dev;
	l->knows_dev = true;
	return l->tells;
}

/* Whether the file is one that went in already, and nobody has written to it since. */
static bool is_known(struct layer *l, const struct layer_entry *old, int fd, const struct stat *st)
{
	if (old->type != FILTER_FILE || st->st_nlink > 1 || old->mode != (st->st_mode & 0777) ||
	    !layer_looks_like(old, st) || !layer_ident_is(&old->from, st))
		return false;
	if ((!l->verify && tells_changes(l, fd, st)) || same_content(l, old, fd))
		return true;
	l->surprises += l->verify;
	return false;
}

int layer_file(struct layer *l, const char *path, int fd, const struct stat *st,
	       bool from_workspace, const char *name, struct err *e)
{
	struct layer_entry old;
	const struct layer_entry *below = look_below(l, path, &old);
	const uint64_t holes = count_holes(fd, st);
	struct layer_entry n = {.type = FILTER_FILE,
				.mode = st->st_mode,
				.mtime = st->st_mtim,
				.size = (uint64_t)st->st_size,
				.from_workspace = from_workspace,
				.has_holes = holes > 0,
				.from = layer_ident_of(st, &l->began),
				.path = path,
				.target = ""};
	int r;

	r = check_kind(l, path, holes, st, name, e);
	if (r < 0)
		return r;
	if (below && is_known(l, &old, fd, st))
		return remember(l, &old, false, e);
	r = write_way(l, path, e);
	if (r < 0)
		return r;
	/* before its content is read: who comes later changes the time */
	n.from.valid = n.from.valid && !is_being_written(fd);
	/* what went in from the workspace is its copy itself */
	if (from_workspace && st->st_nlink == 1)
		n.copy = n.from;
	r = erofs_file(l->image, path, fd, st, name, &n.place, e);
	return r < 0 ? r : remember(l, &n, true, e);
}

bool layer_has(const struct layer *l, const char *path)
{
	return layer_index_find(&l->here, path, strlen(path), NULL) != NULL;
}

uint64_t layer_entries(const struct layer *l)
{
	return l->entries;
}

uint64_t layer_bytes(const struct layer *l)
{
	return l->bytes;
}

uint64_t layer_surprises(const struct layer *l)
{
	return l->surprises;
}

/* Whether the folder of `path` is there, so that what is gone from it has to be hidden. */
static bool has_folder(const struct layer *l, const char *path)
{
	const char *slash = strrchr(path, '/');
	struct layer_entry n;

	return slash && layer_index_find(&l->here, path, (size_t)(slash - path), &n) &&
	       n.type == FILTER_FOLDER;
}

/* What is below and was not met any more. */
static int hide_gone(struct layer *l, struct err *e)
{
	struct layer_entry n;
	size_t at = 0;
	int r = 0;

	while (r == 0 && layer_next(l->old.data, l->old.len, &at, &n)) {
		if (layer_index_find(&l->below, n.path, strlen(n.path), NULL)->seen ||
		    !has_folder(l, n.path))
			continue;
		l->changed = true;
		r = write_way(l, n.path, e);
		if (r == 0)
			r = erofs_whiteout(l->image, n.path, e);
	}
	return r;
}

int layer_finish(struct layer *l, uint64_t *ret_size, struct buf *ret_list, struct err *e)
{
	int r = hide_gone(l, e);

	*ret_size = 0;
	if (r == 0 && l->changed)
		r = erofs_finish(l->image, ret_size, e);
	if (r < 0)
		return r;
	*ret_list = l->list;
	l->list = (struct buf){0};
	return 0;
}
