/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Layers above layers: whatever was changed in between, all together are what a new one would be.
 */
#include <time.h>

#include "archive/input.h"
#include "erofs-read.h"
#include "scratch.h"

#define LAYERS_MAX 16
#define PLACES_MAX 4096

/* All that goes on in a disk: its layers, lowest first, and the list of what is in them. */
struct stack {
	int fd;
	uint64_t end;
	struct image layers[LAYERS_MAX];
	int n;
	struct buf list, sources;
	uint64_t size, surprises; /* of the last layer */
};

static void stack_init(struct stack *s, const char *name)
{
	*s = (struct stack){.fd = open_at(name, O_RDWR | O_CREAT | O_TRUNC),
			    .end = INPUT_HEAD_SIZE};
}

static void stack_done(struct stack *s)
{
	fd_close(&s->fd);
	buf_done(&s->list);
	buf_done(&s->sources);
}

/* One more layer of what is in "source" and "ws" now. */
static int try_add(struct stack *s, const struct buf *old, const struct buf *links, bool verify,
		   struct err *e)
{
	const struct layer_below below = {.list = buf_str(&s->list),
					  .len = s->list.len,
					  .verify = verify};
	const struct input_tree t = {.workspace_fd = open_at("ws", O_RDONLY | O_DIRECTORY),
				     .source_fd = open_at("source", O_RDONLY | O_DIRECTORY),
				     .workspace_name = "ws",
				     .source_name = "source",
				     .old_sources = buf_str(old),
				     .old_sources_len = old->len,
				     .outside_links = buf_str(links),
				     .outside_links_len = links->len};
	struct input_result res = {0};
	int r = input_write_layer(s->fd, s->end, s->list.len ? &below : NULL, &t, &res, e);

	(void)close(t.workspace_fd);
	(void)close(t.source_fd);
	if (r < 0)
		return r;
	if (res.layer_size > 0) {
		ck_assert_int_lt(s->n, LAYERS_MAX);
		image_open(&s->layers[s->n++], s->fd, s->end, res.layer_size);
	}
	s->end += res.layer_size;
	s->size = res.layer_size;
	s->surprises = res.surprises;
	buf_done(&s->list);
	buf_done(&s->sources);
	s->list = res.list;
	s->sources = res.sources;
	return 0;
}

static void add(struct stack *s, const struct buf *old, const struct buf *links)
{
	struct err e = ERR_INIT;

	ck_assert_msg(try_add(s, old, links, false, &e) == 0, "%s", e.text);
}

static const struct buf none;

/* The merged view, by the rules of overlayfs. */

struct found {
	char name[256];
	int layer; /* the uppermost is first */
	uint64_t nid;
};

struct folder {
	struct found *all;
	size_t n;
	int layer;
};

static void find(const char *name, uint64_t nid, unsigned int type, void *user_data)
{
	struct folder *f = user_data;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return;
	ck_assert_uint_lt(f->n, PLACES_MAX);
	f->all[f->n] = (struct found){.layer = f->layer, .nid = nid};
	(void)snprintf(f->all[f->n++].name, sizeof(f->all->name), "%s", name);
}

static int by_name(const void *a, const void *b)
{
	const struct found *x = a, *y = b;
	int r = strcmp(x->name, y->name);

	return r ? r : y->layer - x->layer;
}

static uint64_t hash(const unsigned char *data, size_t n)
{
	uint64_t h = 14695981039346656037ULL;

	for (size_t i = 0; i < n; i++)
		h = (h ^ data[i]) * 1099511628211ULL;
	return h;
}

static void show_content(const struct image *m, const struct node *n, struct buf *out)
{
	static unsigned char data[64 * KIB];

	ck_assert_uint_le(n->size, sizeof(data));
	image_content(m, n, 0, data, n->size);
	if (S_ISLNK(n->mode))
		ck_assert_int_eq(buf_printf(out, " %.*s\n", (int)n->size, data), 0);
	else
		ck_assert_int_eq(buf_printf(out, " %lu %lx\n", n->size, hash(data, n->size)), 0);
}

/* Folders that are one: `n` of them, the uppermost first. */
static void show(const struct stack *s, const char *path, const struct found *same, size_t n,
		 struct buf *out)
{
	struct folder f = {.all = calloc(PLACES_MAX, sizeof(*f.all))};
	char inner[1200];
	struct node node;

	for (size_t i = 0; i < n; i++) {
		f.layer = same[i].layer;
		image_node(&s->layers[f.layer], same[i].nid, &node);
		image_folder(&s->layers[f.layer], &node, find, &f);
	}
	qsort(f.all, f.n, sizeof(*f.all), by_name);
	for (size_t i = 0, next; i < f.n; i = next) {
		struct found merged[LAYERS_MAX];
		size_t n_merged = 0;
		bool through = true;

		for (next = i; next < f.n && strcmp(f.all[next].name, f.all[i].name) == 0; next++) {
			image_node(&s->layers[f.all[next].layer], f.all[next].nid, &node);
			through = through && S_ISDIR(node.mode);
			if (through)
				merged[n_merged++] = f.all[next];
		}
		image_node(&s->layers[f.all[i].layer], f.all[i].nid, &node);
		if (S_ISCHR(node.mode)) {
			ck_assert_uint_eq(node.rdev, 0);
			/* a whiteout of nothing would be waste */
			ck_assert_msg(next - i > 1, "%s/%s: hides nothing", path, f.all[i].name);
			continue;
		}
		(void)snprintf(inner, sizeof(inner), "%s/%s", path, f.all[i].name);
		ck_assert_int_eq(buf_printf(out, "%s %o %ld.%09u", inner, node.mode, node.mtime,
					    node.nsec),
				 0);
		if (!S_ISDIR(node.mode)) {
			show_content(&s->layers[f.all[i].layer], &node, out);
			continue;
		}
		ck_assert_int_eq(buf_puts(out, "\n"), 0);
		show(s, inner, merged, n_merged, out);
	}
	free(f.all);
}

static void show_all(const struct stack *s, struct buf *out)
{
	struct found roots[LAYERS_MAX];

	for (int i = 0; i < s->n; i++)
		roots[i] =
			(struct found){.layer = s->n - 1 - i, .nid = s->layers[s->n - 1 - i].root};
	show(s, "", roots, (size_t)s->n, out);
}

/* A file's bytes by the list. */
static uint64_t hash_of(const struct stack *s, const struct layer_entry *n)
{
	static unsigned char data[64 * KIB];
	const struct erofs_place *p = &n->place;

	ck_assert_uint_eq(p->body_len + p->tail_len, n->size);
	ck_assert_uint_le(n->size, sizeof(data));
	ck_assert_int_eq(pread(s->fd, data, p->body_len, (off_t)p->body), (ssize_t)p->body_len);
	ck_assert_int_eq(pread(s->fd, data + p->body_len, p->tail_len, (off_t)p->tail),
			 (ssize_t)p->tail_len);
	return hash(data, n->size);
}

static void expect_same_lists(const struct stack *a, const struct stack *b)
{
	size_t at = 0, bt = 0;
	struct layer_entry x, y;

	while (layer_next(a->list.data, a->list.len, &at, &x)) {
		ck_assert(layer_next(b->list.data, b->list.len, &bt, &y));
		ck_assert_str_eq(x.path, y.path);
		ck_assert_msg(x.type == y.type, "%s: %d and %d", x.path, x.type, y.type);
		ck_assert_str_eq(x.target, y.target);
		ck_assert_msg(x.mode == y.mode, "%s: %o and %o", x.path, x.mode, y.mode);
		ck_assert_int_eq(x.mtime.tv_sec, y.mtime.tv_sec);
		ck_assert_int_eq(x.mtime.tv_nsec, y.mtime.tv_nsec);
		ck_assert_uint_eq(x.size, y.size);
		ck_assert_msg(x.from_workspace == y.from_workspace, "%s", x.path);
		if (x.type == FILTER_FILE)
			ck_assert_msg(hash_of(a, &x) == hash_of(b, &y), "%s: content", x.path);
	}
	ck_assert_uint_eq(at, a->list.len);
	ck_assert_uint_eq(bt, b->list.len);
}

/* All layers together against one of now. */
static void expect_as_new(const struct stack *s, const struct buf *old, const struct buf *links)
{
	_cleanup_buf_ struct buf here = {0}, there = {0};
	struct stack one;

	stack_init(&one, "one");
	add(&one, old, links);
	show_all(s, &here);
	show_all(&one, &there);
	if (strcmp(buf_str(&here), buf_str(&there)) != 0) {
		size_t i = 0;

		while (here.data[i] == there.data[i])
			i++;
		while (i > 0 && here.data[i - 1] != '\n')
			i--;
		ck_abort_msg("%.200s\n--- and not\n%.200s", here.data + i, there.data + i);
	}
	expect_same_lists(s, &one);
	stack_done(&one);
}

/* Changes. */

static uint64_t state;

static unsigned int any(unsigned int n)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned int)(state >> 33) % n;
}

static const char *any_path(char out[64])
{
	static const char *const tops[] = {"source", "source", "ws", "ws/src"};
	size_t n = (size_t)snprintf(out, 64, "%s", tops[any(ARRAY_SIZE(tops))]);

	for (unsigned int i = 0; i <= any(3); i++)
		n += (size_t)snprintf(out + n, 64 - n, "/%c", "abcde"[any(5)]);
	return out;
}

static void write_any(const char *path, int flags, size_t size)
{
	int fd = openat(top_fd, path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC | flags, 0644);
	char data[9000];

	if (fd < 0)
		return;
	memset(data, 'a' + (int)any(26), sizeof(data));
	for (size_t i = 0; i < 20; i++)
		data[any(sizeof(data))] = (char)any(256);
	ck_assert_int_eq(io_write_full(fd, data, size), 0);
	(void)close(fd);
}

/* Another content, of which neither size nor time tell. */
static void write_same(const char *path, bool sneaky)
{
	struct timespec times[2];
	struct stat st;

	if (fstatat(top_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return;
	write_any(path, 0, (size_t)st.st_size);
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	if (sneaky)
		ck_assert_int_eq(utimensat(top_fd, path, times, 0), 0);
}

static void remove_any(const char *path)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *in = slash ? strndup(path, (size_t)(slash - path)) : strdup(".");
	_cleanup_close_ int fd = openat(top_fd, in, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct err e = ERR_INIT;

	if (fd >= 0)
		(void)output_remove_tree(fd, slash ? slash + 1 : path, &e);
}

/* What is in the way, or missing, is left as it is. */
static int change_one(void)
{
	const struct timespec then[2] = {{.tv_sec = 1}, {.tv_sec = any(5), .tv_nsec = any(3)}};
	char path[64], other[64];
	unsigned int what = any(22);

	(void)any_path(path);
	(void)any_path(other);
	if (what < 5)
		write_any(path, O_CREAT | O_TRUNC, any(3) ? any(50) : any(9000));
	else if (what < 7)
		write_same(path, what == 5);
	else if (what == 7)
		return fchmodat(top_fd, path, any(2) ? 0755 : 0700, 0);
	else if (what == 8)
		return utimensat(top_fd, path, then, AT_SYMLINK_NOFOLLOW);
	else if (what == 9)
		return utimensat(top_fd, path, NULL, AT_SYMLINK_NOFOLLOW);
	else if (what < 12)
		return renameat(top_fd, path, top_fd, other);
	else if (what < 14)
		return renameat(top_fd, path, top_fd, other);
	else if (what < 18)
		return mkdirat(top_fd, path, 0755);
	else if (what == 18)
		return symlinkat(any(2) ? "a" : "../b", top_fd, path);
	if (what < 19)
		return 0;
	remove_any(path);
	/* and perhaps something else in its place, or the same once more */
	switch (any(4)) {
	case 0:
		return mkdirat(top_fd, path, 0755);
	case 1:
		return symlinkat("c", top_fd, path);
	case 2:
		write_any(path, O_CREAT, any(5000));
	}
	return 0;
}

static void make_trees(void)
{
	put_folder("source");
	put_folder("ws");
	put_folder("ws/src");
}

/* A link that led out, and is put back where there is room for it. */
static void any_links(struct buf *links)
{
	buf_done(links);
	*links = (struct buf){0};
	for (unsigned int i = any(3); i > 0; i--) {
		ck_assert_int_eq(buf_printf(links, "src/%c/o%u", "abcde"[any(5)], i), 0);
		ck_assert_int_eq(buf_put(links, "", 1), 0);
		ck_assert_int_eq(buf_put(links, "/etc", 5), 0);
	}
}

static void some_rounds(unsigned int seed)
{
	_cleanup_buf_ struct buf links = {0};
	struct buf old = {0};
	struct stack s;

	state = seed;
	make_trees();
	stack_init(&s, "disk");
	for (int round = 0; round < 8; round++) {
		for (unsigned int i = round ? any(12) : 60; i > 0; i--)
			(void)change_one();
		any_links(&links);
		if (any(2))
			(void)layer_next_tick();
		old = s.sources;
		s.sources = (struct buf){0};
		add(&s, &old, &links);
		expect_as_new(&s, &old, &links);
		buf_done(&old);
	}
	stack_done(&s);
	remove_any("source");
	remove_any("ws");
}

START_TEST(rounds)
{
	for (unsigned int i = 0; i < 6; i++)
		some_rounds((unsigned int)_i * 6 + i);
}
END_TEST

START_TEST(nothing_changed)
{
	struct stack s;

	make_trees();
	put_folder("source/d");
	put_file("source/d/a", "a");
	put_file("source/b", "b");
	put_file("ws/w", "w");
	ck_assert_int_eq(symlinkat("b", top_fd, "source/l"), 0);
	(void)layer_next_tick();
	stack_init(&s, "disk");
	add(&s, &none, &none);
	ck_assert_uint_gt(s.size, 0);
	for (int i = 0; i < 3; i++) {
		struct buf old = s.sources;

		s.sources = (struct buf){0};
		add(&s, &old, &none);
		ck_assert_uint_eq(s.size, 0);
		expect_as_new(&s, &old, &none);
		buf_done(&old);
	}
	ck_assert_int_eq(s.n, 1);
	stack_done(&s);
}
END_TEST

/* What is new is written, and not more. */
START_TEST(cost)
{
	static char large[64 * KIB - 1];
	char path[64];
	struct stack s;
	struct stat st;
	blkcnt_t before;

	make_trees();
	memset(large, 'x', sizeof(large) - 1);
	for (int i = 0; i < 300; i++) {
		(void)snprintf(path, sizeof(path), "source/%d", i / 10);
		if (i % 10 == 0)
			put_folder(path);
		(void)snprintf(path, sizeof(path), "source/%d/%d", i / 10, i);
		put_file(path, i < 100 ? large : "small");
	}
	(void)layer_next_tick();
	stack_init(&s, "disk");
	add(&s, &none, &none);
	ck_assert_uint_gt(s.size, 100 * sizeof(large));
	(void)layer_next_tick();
	put_file("source/17/170", "other");
	(void)layer_next_tick();
	add(&s, &none, &none);
	ck_assert_uint_le(s.size, 4 * 4096ULL);
	ck_assert_uint_gt(s.size, 0);
	ck_assert_int_eq(fstat(s.fd, &st), 0);
	before = st.st_blocks;
	put_file("source/3/33", large);
	ck_assert_int_eq(unlinkat(top_fd, "source/29/299", 0), 0);
	remove_any("source/28");
	(void)layer_next_tick();
	add(&s, &none, &none);
	/* with room for more small ones between it and the folders, that is a hole */
	ck_assert_int_eq(fstat(s.fd, &st), 0);
	ck_assert_int_le((st.st_blocks - before) * 512, sizeof(large) + 5 * 4096LL);
	ck_assert_uint_le(s.size, MIB);
	expect_as_new(&s, &none, &none);
	stack_done(&s);
}
END_TEST

/* A file that has what the list says of it, but for its content. */
START_TEST(verify)
{
	struct err e = ERR_INIT;
	struct layer_entry n;
	struct timespec now;
	struct buf faked = {0};
	struct stack s;
	size_t at = 0;

	make_trees();
	put_file("source/a", "what was read");
	put_file("source/b", "the same");
	put_file("source/empty", "");
	put_file("ws/w", "another");
	(void)layer_next_tick();
	stack_init(&s, "disk");
	add(&s, &none, &none);
	put_file("source/a", "what is there");
	put_file("ws/w", "differs");
	now = layer_next_tick();
	while (layer_next(s.list.data, s.list.len, &at, &n)) {
		const char *path = strcmp(n.path, "workspace/src/a") == 0 ? "source/a" : "ws/w";
		struct stat st;

		if (strcmp(n.path, "workspace/src/a") == 0 || strcmp(n.path, "workspace/w") == 0) {
			ck_assert_int_eq(fstatat(top_fd, path, &st, 0), 0);
			n.from = layer_ident_of(&st, &now);
			n.mtime = st.st_mtim;
		}
		ck_assert_int_eq(layer_add(&faked, &n), 0);
	}
	buf_done(&s.list);
	s.list = faked;
	add(&s, &none, &none);
	ck_assert_uint_eq(s.size, 0);
	ck_assert_uint_eq(s.surprises, 0);
	ck_assert_int_eq(s.n, 1);
	ck_assert_msg(try_add(&s, &none, &none, true, &e) == 0, "%s", e.text);
	ck_assert_uint_eq(s.surprises, 2);
	ck_assert_uint_gt(s.size, 0);
	expect_as_new(&s, &none, &none);
	ck_assert_msg(try_add(&s, &none, &none, true, &e) == 0, "%s", e.text);
	ck_assert_uint_eq(s.surprises, 0);
	ck_assert_uint_eq(s.size, 0);
	stack_done(&s);
}
END_TEST

/* A list that is cut off anywhere is broken, or that of fewer files. */
START_TEST(cut_list)
{
	struct err e = ERR_INIT;
	struct layer_entry n;
	struct layer *l = NULL;
	struct stack s;
	size_t at = 0;

	make_trees();
	put_file("source/a", "a");
	ck_assert_int_eq(symlinkat("b", top_fd, "source/l"), 0);
	stack_init(&s, "disk");
	add(&s, &none, &none);
	for (size_t len = 0; len <= s.list.len; len++) {
		/* of its own, so that a sanitizer sees where it ends */
		_cleanup_free_ char *copy = malloc(len + 1);
		const struct layer_below below = {.list = copy, .len = len};
		bool whole = len == at;

		memcpy(copy, s.list.data, len);
		ck_assert_int_eq(layer_new(s.fd, s.end, &below, &l, &e), whole ? 0 : -EBADMSG);
		if (whole) {
			l = layer_free(l);
			(void)layer_next(s.list.data, s.list.len, &at, &n);
		}
	}
	stack_done(&s);
}
END_TEST

/* A link that led out, in a folder of the source's that has gone. */
START_TEST(link_back)
{
	static const char text[] = "src/d/out\0/etc";
	const struct buf links = {.data = (char *)text, .len = sizeof(text)};
	struct buf old = {0};
	struct stack s;

	make_trees();
	put_folder("source/d");
	put_folder("ws/src/d");
	stack_init(&s, "disk");
	add(&s, &none, &links);
	expect_as_new(&s, &none, &links);
	old = s.sources;
	s.sources = (struct buf){0};
	remove_any("source/d");
	add(&s, &old, &links);
	expect_as_new(&s, &old, &links);
	/* nothing of it, or a file in the folder's place */
	remove_any("ws/src/d");
	put_file("source/d", "a file");
	add(&s, &old, &links);
	expect_as_new(&s, &old, &links);
	put_folder("ws/src/d");
	add(&s, &old, &links);
	expect_as_new(&s, &old, &links);
	buf_done(&old);
	stack_done(&s);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("stack");
	TCase *tc = archive_case(s, "stack");

	tcase_add_loop_test(tc, rounds, 0, 10);
	tcase_add_test(tc, nothing_changed);
	tcase_add_test(tc, cost);
	tcase_add_test(tc, verify);
	tcase_add_test(tc, cut_list);
	tcase_add_test(tc, link_back);
	return s;
}
