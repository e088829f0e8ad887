/* SPDX-License-Identifier: GPL-3.0-or-later */
/* EROFS images: inodes and content as the entries come, folders and superblock at the end. */
#include "erofs.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdbool.h>

#include "base/text.h"
#include "erofs-out.h"
#include "erofs-tree.h"

/*
 * An image, in blocks of 4 KiB (Linux, fs/erofs/erofs_fs.h; all numbers little-endian):
 *
 *   0      1024 bytes of nothing, the superblock, the root's inode
 *   ...    content of files, each from a block's beginning, and between them, where one was
 *          full, stretches of META_STRETCH bytes with inodes of files
 *   ...    inodes of folders, then their blocks of entries
 *
 * A node's number is its inode's offset / 32. What an inode has inline follows it, in the same
 * block, and is the end of its content. A folder is blocks of entries sorted by name, each block
 * with the entries (12 bytes) first and then their names.
 */
#define SUPER_OFFSET  1024U
#define SUPER_MAGIC   0xE0F5E1E2U
#define SUPER_MTIME   2U /* compatible feature: times are those of content */
#define BLOCK_BITS    12
#define NODE_UNIT     32U
#define ROOT_OFFSET   (SUPER_OFFSET + (unsigned int)sizeof(struct super))
#define FORMAT_PLAIN  1U /* an extended inode, all content in blocks */
#define FORMAT_INLINE 5U /* the same, the last part of a block inline */
#define META_STRETCH  (256 * KIB)
#define IMAGE_MAX     ((uint64_t)UINT32_MAX * EROFS_BLOCK)
#define SYMLINK_MAX   4095U
#define INODE_INLINE  (EROFS_BLOCK - (unsigned int)sizeof(struct inode))
/*
 * How much of a file may be inline. Inodes that lie close together are what makes a walk over all
 * files fast, since Linux reads them block by block; a block of its own makes one file slower.
 * So: a whole file if a block holds several, the end of a longer one only if it is a scrap.
 */
#define INLINE_WHOLE 1024U
#define INLINE_END   256U

struct super {
	uint32_t magic;
	uint32_t checksum; /* none */
	uint32_t feature_compat;
	uint8_t block_bits;
	uint8_t ext_slots;
	uint16_t root;
	uint64_t inodes;
	uint64_t build_time;
	uint32_t build_nsec;
	uint32_t blocks;
	uint32_t meta_block;
	uint32_t xattr_block;
	uint8_t uuid[16];
	uint8_t volume[16];
	uint32_t feature_incompat;
	uint8_t reserved[44];
};

struct inode {
	uint16_t format;
	uint16_t xattrs;
	uint16_t mode;
	uint16_t reserved;
	uint64_t size;
	uint32_t block; /* of content, or a device's number */
	uint32_t ino;
	uint32_t uid;
	uint32_t gid;
	uint64_t mtime;
	uint32_t mtime_nsec;
	uint32_t links;
	uint8_t reserved2[16];
};

struct dirent {
	uint64_t node;
	uint16_t name_at;
	uint8_t type;
	uint8_t reserved;
} __attribute__((packed));

_Static_assert(sizeof(struct super) == 128, "as on disk");
_Static_assert(sizeof(struct inode) == 64, "as on disk");
_Static_assert(sizeof(struct dirent) == 12, "as on disk");

/* What there is to know of a folder until it is written. */
struct folder {
	struct timespec mtime;
	uint32_t mode;
	uint32_t links;
	uint64_t inode; /* its offset */
	uint64_t body;	/* offset of its blocks */
	uint64_t size;
	uint64_t body_len; /* bytes in blocks, the others are inline */
};

struct erofs {
	struct erofs_out out;
	struct erofs_tree tree;
	struct buf folders;	 /* of struct folder */
	uint64_t end;		 /* what lies behind belongs to nobody yet */
	uint64_t meta, meta_end; /* the stretch of inodes that is being filled */
	uint32_t inodes;
};

static struct folder *folders(const struct erofs *w)
{
	return (struct folder *)(void *)w->folders.data;
}

static uint32_t count_folders(const struct erofs *w)
{
	return (uint32_t)(w->folders.len / sizeof(struct folder));
}

static uint64_t round_up(uint64_t n, uint64_t unit)
{
	return (n + unit - 1) / unit * unit;
}

int erofs_new(int fd, uint64_t at, struct erofs **ret, struct err *e)
{
	_cleanup_(erofs_free_p) struct erofs *w = calloc(1, sizeof(*w));
	int r;

	assert(at % EROFS_BLOCK == 0);
	if (!w)
		return err_oom(e);
	r = erofs_out_init(&w->out, fd, at);
	if (r < 0)
		return err_oom(e);
	r = erofs_tree_init(&w->tree);
	if (r < 0)
		return err_errno(e, r, "input disk: cannot begin a layer");
	w->folders.cap = (size_t)EROFS_ENTRIES_MAX * sizeof(struct folder);
	w->end = EROFS_BLOCK;
	*ret = take_ptr(&w);
	return 0;
}

struct erofs *erofs_free(struct erofs *w)
{
	if (!w)
		return NULL;
	erofs_out_done(&w->out);
	erofs_tree_done(&w->tree);
	buf_done(&w->folders);
	free(w);
	return NULL;
}

static int refuse(const char *path, int code, struct err *e)
{
	char text[512];

	return err_errno(e, code, "%s: cannot be put on the input disk",
			 text_escape_line(path, strlen(path), text, sizeof(text)));
}

/* Takes whole blocks for `len` bytes at the end. */
static int take_blocks(struct erofs *w, uint64_t len, uint64_t *ret, struct err *e)
{
	if (len > IMAGE_MAX || w->end > IMAGE_MAX - round_up(len, EROFS_BLOCK))
		return err_set(e, -EFBIG, "input disk: more than the 16 TiB that a layer holds");
	*ret = w->end;
	w->end += round_up(len, EROFS_BLOCK);
	return 0;
}

/* Where something of len bytes, an inode and what it has inline, can be from `at` on. */
static uint64_t fit(uint64_t at, size_t len)
{
	at = round_up(at, NODE_UNIT);
	return at % EROFS_BLOCK + len > EROFS_BLOCK ? round_up(at, EROFS_BLOCK) : at;
}

/* Takes room for an inode that is no folder's, with `tail_len` bytes behind it. */
static int take_inode(struct erofs *w, size_t tail_len, uint64_t *ret_at, struct inode **ret,
		      struct err *e)
{
	size_t len = sizeof(struct inode) + tail_len;
	uint64_t at = fit(w->meta, len);
	char *p;
	int r;

	if (at + len > w->meta_end) {
		r = take_blocks(w, META_STRETCH, &at, e);
		if (r < 0)
			return r;
		w->meta_end = at + META_STRETCH;
	}
	r = erofs_out_room(&w->out, &w->out.meta, at, len, &p, e);
	if (r < 0)
		return r;
	w->meta = at + len;
	*ret_at = at;
	*ret = (struct inode *)(void *)p;
	return 0;
}

/* The parts that every inode has; its tail is inline if there is one. */
static void fill_inode(struct erofs *w, struct inode *i, uint32_t mode,
		       const struct timespec *mtime, uint64_t size, uint64_t body, bool tail)
{
	*i = (struct inode){
		.format = htole16(tail ? FORMAT_INLINE : FORMAT_PLAIN),
		.mode = htole16((uint16_t)mode),
		.size = htole64(size),
		.block = htole32((uint32_t)(body / EROFS_BLOCK)),
		.ino = htole32(++w->inodes),
		.mtime = htole64((uint64_t)mtime->tv_sec),
		.mtime_nsec = htole32((uint32_t)mtime->tv_nsec),
		.links = htole32(1),
	};
}

/* Adds a name for an inode that is still to come. */
static int add(struct erofs *w, const char *path, enum erofs_type type, uint32_t *ret,
	       struct err *e)
{
	int r = count_folders(w) ? erofs_tree_add(&w->tree, path, type, ret) : -ENOENT;

	return r < 0 ? refuse(path, r, e) : 0;
}

static void set_node(struct erofs *w, uint32_t item, uint64_t at)
{
	erofs_tree_items(&w->tree)[item].where = at / NODE_UNIT;
}

int erofs_folder(struct erofs *w, const char *path, const struct stat *st, struct err *e)
{
	struct folder f = {.mtime = st->st_mtim,
			   .mode = S_IFDIR | (st->st_mode & 0777),
			   .links = 2};
	uint32_t n = count_folders(w), parent = 0, item = 0;
	int r = 0;

	if (*path != '\0') {
		r = add(w, path, EROFS_TYPE_FOLDER, &item, e);
		if (r < 0)
			return r;
		erofs_tree_items(&w->tree)[item].where = n;
		parent = erofs_tree_items(&w->tree)[item].parent;
		folders(w)[parent].links++;
	} else if (n > 0) {
		return refuse("/", -EEXIST, e);
	}
	r = buf_put(&w->folders, &f, sizeof(f));
	if (r == 0)
		r = erofs_tree_add_dots(&w->tree, n, parent);
	return r < 0 ? refuse(path, r == -E2BIG ? -EFBIG : r, e) : 0;
}

int erofs_symlink(struct erofs *w, const char *path, const char *target, const struct stat *st,
		  struct err *e)
{
	size_t len = strlen(target);
	bool tail = len <= INODE_INLINE;
	uint64_t at = 0, body = 0;
	struct inode *i = NULL;
	uint32_t item = 0;
	char *p;
	int r;

	if (len == 0 || len > SYMLINK_MAX)
		return refuse(path, len ? -ENAMETOOLONG : -EINVAL, e);
	r = add(w, path, EROFS_TYPE_SYMLINK, &item, e);
	if (r == 0 && !tail)
		r = take_blocks(w, len, &body, e);
	if (r == 0)
		r = take_inode(w, tail ? len : 0, &at, &i, e);
	if (r < 0)
		return r;
	fill_inode(w, i, S_IFLNK | 0777, &st->st_mtim, len, body, tail);
	set_node(w, item, at);
	p = (char *)(i + 1);
	if (!tail)
		r = erofs_out_room(&w->out, &w->out.data, body, len, &p, e);
	if (r == 0)
		memcpy(p, target, len);
	return r;
}

int erofs_file(struct erofs *w, const char *path, int fd, const struct stat *st, const char *name,
	       struct erofs_place *ret, struct err *e)
{
	uint64_t size = (uint64_t)st->st_size, at = 0, body = 0;
	uint32_t tail = (uint32_t)(size % EROFS_BLOCK), item = 0;
	struct inode *i = NULL;
	int r;

	if (tail > (size < EROFS_BLOCK ? INLINE_WHOLE : INLINE_END))
		tail = 0;
	r = add(w, path, EROFS_TYPE_FILE, &item, e);
	if (r == 0)
		r = take_inode(w, tail, &at, &i, e);
	if (r == 0 && size > tail)
		r = take_blocks(w, size - tail, &body, e);
	if (r < 0)
		return r;
	fill_inode(w, i, S_IFREG | (st->st_mode & 0777), &st->st_mtim, size, body, tail > 0);
	set_node(w, item, at);
	r = erofs_out_file(&w->out, fd, st, body, size - tail, (char *)(i + 1), tail, name, e);
	if (r < 0)
		return r;
	*ret = (struct erofs_place){
		.body = w->out.base + body,
		.body_len = size - tail,
		.tail = w->out.base + at + sizeof(*i),
		.tail_len = tail,
	};
	return 0;
}

int erofs_whiteout(struct erofs *w, const char *path, struct err *e)
{
	const struct timespec never = {0};
	struct inode *i = NULL;
	uint32_t item = 0;
	uint64_t at = 0;
	int r = add(w, path, EROFS_TYPE_DEVICE, &item, e);

	if (r == 0)
		r = take_inode(w, 0, &at, &i, e);
	if (r < 0)
		return r;
	fill_inode(w, i, S_IFCHR, &never, 0, 0, false);
	set_node(w, item, at);
	return 0;
}

/* How many of a folder's entries, the n of `order`, go into one block, and how many bytes they
 * take. */
static uint32_t fill_block(const struct erofs *w, const uint32_t *order, uint32_t n,
			   uint32_t *ret_len)
{
	const struct erofs_item *items = erofs_tree_items(&w->tree);
	uint32_t i = 0, len = 0;

	for (; i < n; i++) {
		uint32_t more = (uint32_t)sizeof(struct dirent) + items[order[i]].len;

		if (len + more > EROFS_BLOCK)
			break;
		len += more;
	}
	*ret_len = len;
	return i;
}

/* Sizes of a folder, and what of it is inline where there is room for `inline_max` bytes. */
static void measure(struct erofs *w, struct folder *f, const uint32_t *order, uint32_t n,
		    uint32_t inline_max)
{
	uint32_t len = 0;

	f->size = 0;
	while (n > 0) {
		uint32_t step = fill_block(w, order, n, &len);

		order += step;
		n -= step;
		f->size += n > 0 ? EROFS_BLOCK : len;
	}
	f->body_len = f->size - (len <= inline_max ? len : 0);
}

/* Gives each folder its place: first all inodes, then all blocks. */
static int place_folders(struct erofs *w, const uint32_t *order, const uint32_t *first,
			 struct err *e)
{
	uint64_t at = w->end, start;
	uint32_t n = count_folders(w);
	int r;

	for (uint32_t i = 0; i < n; i++) {
		struct folder *f = &folders(w)[i];
		size_t len;

		measure(w, f, order + first[i], first[i + 1] - first[i],
			i == 0 ? EROFS_BLOCK - ROOT_OFFSET - (uint32_t)sizeof(struct inode)
			       : INODE_INLINE);
		len = sizeof(struct inode) + (size_t)(f->size - f->body_len);
		f->inode = i == 0 ? ROOT_OFFSET : fit(at, len);
		at = i == 0 ? at : f->inode + len;
	}
	r = take_blocks(w, at - w->end, &start, e);
	for (uint32_t i = 0; r == 0 && i < n; i++)
		r = take_blocks(w, folders(w)[i].body_len, &folders(w)[i].body, e);
	return r;
}

/* Writes one block of entries, of `len` bytes, to p. */
static void put_entries(const struct erofs *w, const uint32_t *order, uint32_t n, char *p)
{
	uint32_t name_at = n * (uint32_t)sizeof(struct dirent);

	for (uint32_t i = 0; i < n; i++) {
		const struct erofs_item *item = &erofs_tree_items(&w->tree)[order[i]];
		uint64_t node = item->type == EROFS_TYPE_FOLDER
					? folders(w)[item->where].inode / NODE_UNIT
					: item->where;
		struct dirent d = {
			.node = htole64(node),
			.name_at = htole16((uint16_t)name_at),
			.type = item->type,
		};

		memcpy(p + i * sizeof(d), &d, sizeof(d));
		memcpy(p + name_at, w->tree.names.data + item->name, item->len);
		name_at += item->len;
	}
}

/* Writes a folder whose inode, with room for what is inline behind it, goes to i. */
static int put_folder(struct erofs *w, const struct folder *f, struct inode *i,
		      const uint32_t *order, uint32_t n, struct err *e)
{
	uint64_t done = 0;

	fill_inode(w, i, f->mode, &f->mtime, f->size, f->body_len ? f->body : 0,
		   f->body_len < f->size);
	i->links = htole32(f->links);
	while (n > 0) {
		char *p = (char *)(i + 1);
		uint32_t len, step = fill_block(w, order, n, &len);
		int r = 0;

		if (done < f->body_len)
			r = erofs_out_room(&w->out, &w->out.data, f->body + done, len, &p, e);
		if (r < 0)
			return r;
		put_entries(w, order, step, p);
		order += step;
		n -= step;
		done += EROFS_BLOCK;
	}
	return 0;
}

/* Everything of the first block but the root's inode. */
static void put_super(const struct erofs *w, struct super *s)
{
	/* overlayfs tells the layers below it apart by it, and does not like zeros */
	const uint64_t uuid[2] = {htole64(SUPER_MAGIC), htole64(w->out.base)};

	*s = (struct super){
		.magic = htole32(SUPER_MAGIC),
		.feature_compat = htole32(SUPER_MTIME),
		.block_bits = BLOCK_BITS,
		.root = htole16(ROOT_OFFSET / NODE_UNIT),
		.inodes = htole64(w->inodes),
		.blocks = htole32((uint32_t)(w->end / EROFS_BLOCK)),
	};
	memcpy(s->uuid, uuid, sizeof(s->uuid));
}

static int put_folders(struct erofs *w, const uint32_t *order, const uint32_t *first, struct err *e)
{
	_Alignas(struct super) char block[EROFS_BLOCK] = {0};
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < count_folders(w); i++) {
		const struct folder *f = &folders(w)[i];
		char *p = block + ROOT_OFFSET;

		if (i > 0)
			r = erofs_out_room(&w->out, &w->out.meta, f->inode,
					   sizeof(struct inode) + (size_t)(f->size - f->body_len),
					   &p, e);
		if (r == 0)
			r = put_folder(w, f, (struct inode *)(void *)p, order + first[i],
				       first[i + 1] - first[i], e);
	}
	if (r == 0)
		r = erofs_out_flush(&w->out, &w->out.meta, e);
	if (r == 0)
		r = erofs_out_flush(&w->out, &w->out.data, e);
	if (r == 0)
		r = erofs_out_end(&w->out, w->end, e);
	if (r < 0)
		return r;
	/* last, so that what is not finished has no superblock */
	put_super(w, (struct super *)(void *)(block + SUPER_OFFSET));
	return erofs_out_write(&w->out, 0, block, sizeof(block), e);
}

int erofs_finish(struct erofs *w, uint64_t *ret_size, struct err *e)
{
	_cleanup_free_ uint32_t *order = NULL, *first = NULL;
	int r;

	assert(count_folders(w) > 0);
	/* what the last stretch of inodes does not use, if nothing is behind it */
	if (w->meta_end == w->end)
		w->end = round_up(w->meta, EROFS_BLOCK);
	order = calloc(erofs_tree_count(&w->tree), sizeof(*order));
	first = calloc(count_folders(w) + (size_t)1, sizeof(*first));
	if (!order || !first)
		return err_oom(e);
	erofs_tree_sort(&w->tree, count_folders(w), order, first);
	r = place_folders(w, order, first, e);
	if (r == 0)
		r = put_folders(w, order, first, e);
	if (r == 0)
		*ret_size = w->end;
	return r;
}
