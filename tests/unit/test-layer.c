/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A workspace that went in as a layer, and the changes of it that come back. */
#include <archive.h>
#include <archive_entry.h>

#include "archive/input.h"
#include "scratch.h"

/* A returned archive in the making, in the file "changes". */
struct changes {
	struct archive *a;
	int fd;
};

static void changes_init(struct changes *c)
{
	c->fd = openat(top_fd, "changes", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ck_assert_int_ge(c->fd, 0);
	c->a = archive_write_new();
	ck_assert_int_eq(archive_write_set_format_pax(c->a), ARCHIVE_OK);
	ck_assert_int_eq(archive_write_open_fd(c->a, c->fd), ARCHIVE_OK);
}

/* text: the content, the target of a link, NULL. */
static void put(struct changes *c, const char *path, unsigned int type, const char *text)
{
	struct archive_entry *n = archive_entry_new();
	size_t len = text && type == AE_IFREG ? strlen(text) : 0;

	archive_entry_set_pathname(n, path);
	archive_entry_set_filetype(n, type);
	archive_entry_set_perm(n, type == AE_IFDIR ? 0755 : 0644);
	archive_entry_set_size(n, (la_int64_t)len);
	archive_entry_set_mtime(n, 1000, 5);
	if (type == AE_IFLNK)
		archive_entry_set_symlink(n, text);
	ck_assert_int_eq(archive_write_header(c->a, n), ARCHIVE_OK);
	if (len > 0)
		ck_assert_int_eq(archive_write_data(c->a, text, len), (la_ssize_t)len);
	archive_entry_free(n);
}

static void put_hardlink(struct changes *c, const char *path, const char *target)
{
	struct archive_entry *n = archive_entry_new();

	archive_entry_set_pathname(n, path);
	archive_entry_set_filetype(n, AE_IFREG);
	archive_entry_set_hardlink(n, target);
	ck_assert_int_eq(archive_write_header(c->a, n), ARCHIVE_OK);
	archive_entry_free(n);
}

static void put_device(struct changes *c, const char *path, unsigned int type, unsigned int minor)
{
	struct archive_entry *n = archive_entry_new();

	archive_entry_set_pathname(n, path);
	archive_entry_set_filetype(n, type);
	archive_entry_set_rdevmajor(n, 0);
	archive_entry_set_rdevminor(n, minor);
	ck_assert_int_eq(archive_write_header(c->a, n), ARCHIVE_OK);
	archive_entry_free(n);
}

static void whiteout(struct changes *c, const char *path)
{
	put_device(c, path, AE_IFCHR, 0);
}

static void changes_done(struct changes *c)
{
	ck_assert_int_eq(archive_write_close(c->a), ARCHIVE_OK);
	archive_write_free(c->a);
}

/* What went in, as a layer of the file "disk". */
struct base {
	int fd;
	struct input_result res;
};

static struct input_tree source_tree(void)
{
	return (struct input_tree){.workspace_fd = -1,
				   .source_fd = open_at("source", O_RDONLY | O_DIRECTORY),
				   .workspace_name = "ws",
				   .source_name = "source",
				   .old_sources = "",
				   .outside_links = ""};
}

static struct base make_base(void)
{
	struct base b = {.fd = open_at("disk", O_RDWR | O_CREAT)};
	const struct input_tree t = source_tree();
	struct err e = ERR_INIT;

	ck_assert_msg(input_write_layer(b.fd, INPUT_HEAD_SIZE, NULL, &t, &b.res, &e) == 0, "%s",
		      e.text);
	ck_assert_uint_gt(b.res.layer_size, 0);
	(void)close(t.source_fd);
	return b;
}

static int extract(const struct base *b, struct changes *c, const struct output_limits *limits,
		   struct output_result *res, struct err *e)
{
	const struct output_base base = {.fd = b->fd,
					 .list = b->res.list.data,
					 .len = b->res.list.len,
					 .workspace_fd = -1,
					 .laid_fd = -1};
	const char *hit = NULL;
	int r;

	changes_done(c);
	*res = (struct output_result){0};
	r = output_extract(c->fd, &base, limits, top_fd, "fresh", 30000, res, &hit, e);
	(void)close(c->fd);
	return r;
}

static const struct output_limits plenty = {.bytes = GIB, .entries = 1000000};

static void base_done(struct base *b)
{
	input_result_done(&b->res);
	fd_close(&b->fd);
}

static void expect(struct base *b, struct changes *c)
{
	struct output_result res;
	struct err e = ERR_INIT;

	ck_assert_msg(extract(b, c, &plenty, &res, &e) == 0, "%s", e.text);
	buf_done(&res.outside_links);
	base_done(b);
}

static void expect_refused(struct base *b, struct changes *c, const char *why)
{
	struct output_result res;
	struct err e = ERR_INIT;

	ck_assert_int_eq(extract(b, c, &plenty, &res, &e), -EBADMSG);
	ck_assert_msg(strstr(e.text, why) != NULL, "%s", e.text);
	ck_assert(!is_there("fresh"));
	base_done(b);
}

static void expect_text(const char *path, const char *text)
{
	_cleanup_buf_ struct buf got = {0};
	struct err e = ERR_INIT;

	ck_assert_msg(io_read_file(top_fd, path, MIB, &got, &e) == 0, "%s", e.text);
	ck_assert_str_eq(buf_str(&got), text);
}

static void make_source(void)
{
	struct timespec times[2] = {{.tv_sec = 77, .tv_nsec = 9}, {.tv_sec = 77, .tv_nsec = 9}};

	put_folder("source");
	put_folder("source/d");
	put_folder("source/d/sub");
	put_file("source/a", "a");
	put_file("source/b", "b");
	put_file("source/d/c", "c");
	put_file("source/d/sub/e", "e");
	ck_assert_int_eq(symlinkat("../a", top_fd, "source/d/in"), 0);
	ck_assert_int_eq(symlinkat("/etc/passwd", top_fd, "source/out"), 0);
	put_file("source/z", "b");
	ck_assert_int_eq(utimensat(top_fd, "source/a", times, 0), 0);
}

START_TEST(nothing_changed)
{
	struct changes c;
	struct stat a;
	struct base base;

	make_source();
	base = make_base();
	changes_init(&c);
	put(&c, "workspace", AE_IFDIR, NULL);
	expect(&base, &c);
	expect_text("fresh/src/a", "a");
	expect_text("fresh/src/d/sub/e", "e");
	expect_text("fresh/src/d/in", "a");
	ck_assert(!is_there("fresh/src/out"));
	ck_assert_int_eq(fstatat(top_fd, "fresh/src/a", &a, 0), 0);
	ck_assert_int_eq(a.st_mtim.tv_sec, 77);
	ck_assert_int_eq(a.st_mtim.tv_nsec, 9);
}
END_TEST

START_TEST(changed)
{
	struct changes c;
	struct base base;

	make_source();
	base = make_base();
	changes_init(&c);
	put(&c, "workspace", AE_IFDIR, NULL);
	put(&c, "workspace/new", AE_IFDIR, NULL);
	put(&c, "workspace/new/file", AE_IFREG, "new");
	put(&c, "workspace/src/a", AE_IFREG, "other");
	put(&c, "workspace/src/b", AE_IFREG, "b alone");
	put(&c, "workspace/src/d", AE_IFDIR, NULL);
	whiteout(&c, "workspace/src/d/sub");
	put(&c, "workspace/src/d/in", AE_IFDIR, NULL);
	put(&c, "workspace/src/d/in/x", AE_IFREG, "x");
	put_hardlink(&c, "workspace/src/d/hard", "workspace/src/d/c");
	whiteout(&c, "workspace/src/nothing/there");
	expect(&base, &c);
	expect_text("fresh/new/file", "new");
	expect_text("fresh/src/a", "other");
	expect_text("fresh/src/b", "b alone");
	expect_text("fresh/src/z", "b");
	expect_text("fresh/src/d/c", "c");
	expect_text("fresh/src/d/hard", "c");
	expect_text("fresh/src/d/in/x", "x");
	ck_assert(!is_there("fresh/src/d/sub"));
	ck_assert(!is_there("fresh/src/nothing"));
	expect_text("source/a", "a");
}
END_TEST

START_TEST(made_anew)
{
	struct changes c;
	struct base base;

	make_source();
	base = make_base();
	changes_init(&c);
	put(&c, "workspace", AE_IFDIR, NULL);
	whiteout(&c, "workspace/src/d");
	put(&c, "workspace/src/d", AE_IFDIR, NULL);
	put(&c, "workspace/src/d/only", AE_IFREG, "only");
	put(&c, "workspace/src/a", AE_IFDIR, NULL);
	put(&c, "workspace/src/a/below", AE_IFREG, "below");
	expect(&base, &c);
	expect_text("fresh/src/d/only", "only");
	expect_text("fresh/src/a/below", "below");
	ck_assert(!is_there("fresh/src/d/c"));
}
END_TEST

START_TEST(links)
{
	struct output_result res;
	struct err e = ERR_INIT;
	struct changes c;
	struct base base;
	struct stat st;

	make_source();
	base = make_base();
	changes_init(&c);
	put(&c, "workspace", AE_IFDIR, NULL);
	/* what was outside is a file now, and the other way round, and one that needs the base */
	put(&c, "workspace/src/out", AE_IFREG, "inside");
	put(&c, "workspace/src/b", AE_IFLNK, "/etc/shadow");
	put(&c, "workspace/src/climbs", AE_IFLNK, "d/../a");
	put(&c, "workspace/src/climbs-out", AE_IFLNK, "d/../../../x");
	ck_assert_msg(extract(&base, &c, &plenty, &res, &e) == 0, "%s", e.text);
	expect_text("fresh/src/out", "inside");
	expect_text("fresh/src/climbs", "a");
	ck_assert(!is_there("fresh/src/b"));
	ck_assert_int_eq(fstatat(top_fd, "fresh/src/out", &st, AT_SYMLINK_NOFOLLOW), 0);
	ck_assert(S_ISREG(st.st_mode));
	ck_assert_uint_eq(res.outside_links.len, sizeof("src/b") + sizeof("/etc/shadow") +
							 sizeof("src/climbs-out") +
							 sizeof("d/../../../x"));
	ck_assert_str_eq(res.outside_links.data, "src/b");
	buf_done(&res.outside_links);
	base_done(&base);
}
END_TEST

START_TEST(limits_of_the_result)
{
	struct output_result res;
	struct err e = ERR_INIT;
	struct changes c;
	struct base base;

	make_source();
	put_file("source/large", "0123456789012345678901234567890123456789");
	base = make_base();
	/* 12 of the source with workspace and src, and 45 bytes */
	for (int i = 0; i < 4; i++) {
		const struct output_limits l = {.bytes = i == 1	  ? 44
							 : i == 2 ? 7
								  : 45,
						.entries = i == 0 ? 11 : 12};

		changes_init(&c);
		put(&c, "workspace", AE_IFDIR, NULL);
		if (i == 2) {
			whiteout(&c, "workspace/src/large");
			put(&c, "workspace/src/more", AE_IFREG, "12");
		}
		e = (struct err)ERR_INIT;
		ck_assert_msg(extract(&base, &c, &l, &res, &e) == (i < 2 ? -E2BIG : 0), "%d: %s", i,
			      e.text);
		if (i >= 2)
			ck_assert_int_eq(output_remove_tree(top_fd, "fresh", &e), 0);
		buf_done(&res.outside_links);
	}
	base_done(&base);
}
END_TEST

START_TEST(refused)
{
	static const struct {
		const char *path, *why;
		unsigned int type, minor;
	} bad[] = {
		{"workspace", "removes the folder", AE_IFCHR, 0},
		{"workspace/../x", "'..'", AE_IFCHR, 0},
		{"/etc/passwd", "absolute", AE_IFCHR, 0},
		{"elsewhere", "outside the folder", AE_IFCHR, 0},
		{"workspace/src/a", "neither a file", AE_IFCHR, 1},
		{"workspace/src/a", "neither a file", AE_IFBLK, 0},
		{"workspace/src/a/below", "leads through", AE_IFCHR, 0},
		{"workspace/src/d/in/below", "leads through", AE_IFCHR, 0},
	};
	struct base base;

	make_source();
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct changes c;

		base = make_base();
		changes_init(&c);
		put(&c, "workspace", AE_IFDIR, NULL);
		put_device(&c, bad[i].path, bad[i].type, bad[i].minor);
		expect_refused(&base, &c, bad[i].why);
		ck_assert_int_eq(unlinkat(top_fd, "disk", 0), 0);
	}
}
END_TEST

/* A link in the place of a folder is not followed by what comes below it. */
START_TEST(link_for_a_folder)
{
	struct changes c;
	struct base base;

	make_source();
	put_folder("outside");
	base = make_base();
	changes_init(&c);
	put(&c, "workspace", AE_IFDIR, NULL);
	put(&c, "workspace/src/d", AE_IFLNK, "../../outside");
	put(&c, "workspace/src/d/c", AE_IFREG, "evil");
	expect_refused(&base, &c, "leads through");
	ck_assert(!is_there("outside/c"));
}
END_TEST

START_TEST(no_base_no_whiteout)
{
	const char *hit = NULL;
	struct output_result res = {0};
	struct err e = ERR_INIT;
	struct changes c;

	changes_init(&c);
	put(&c, "workspace", AE_IFDIR, NULL);
	whiteout(&c, "workspace/a");
	changes_done(&c);
	ck_assert_int_eq(output_extract(c.fd, NULL, &plenty, top_fd, "fresh", 30000, &res, &hit,
					&e),
			 -EBADMSG);
	ck_assert_ptr_nonnull(strstr(e.text, "neither a file"));
	(void)close(c.fd);
}
END_TEST

/* An empty archive is none, whatever was below. */
START_TEST(nothing_returned)
{
	struct output_result res;
	struct err e = ERR_INIT;
	struct changes c;
	struct base base;

	make_source();
	base = make_base();
	changes_init(&c);
	ck_assert_int_eq(extract(&base, &c, &plenty, &res, &e), -ENODATA);
	ck_assert_str_eq(e.text, "the worker returned no workspace");
	ck_assert(!is_there("fresh"));
	base_done(&base);
}
END_TEST

static void expect_no_layer(const char *why)
{
	int fd = open_at("disk", O_RDWR | O_CREAT);
	const struct input_tree t = source_tree();
	struct input_result res;
	struct err e = ERR_INIT;

	ck_assert_int_eq(input_write_layer(fd, INPUT_HEAD_SIZE, NULL, &t, &res, &e), -EOPNOTSUPP);
	ck_assert_ptr_nonnull(strstr(e.text, why));
	(void)close(t.source_fd);
	(void)close(fd);
}

/* What overlayfs would make another thing of. */
START_TEST(not_for_layers)
{
	int fd;

	put_folder("source");
	put_file("source/a", "a");
	ck_assert_int_eq(linkat(top_fd, "source/a", top_fd, "source/b", 0), 0);
	expect_no_layer("source/b: has two names");
	ck_assert_int_eq(unlinkat(top_fd, "source/b", 0), 0);
	fd = open_at("source/hole", O_RDWR | O_CREAT);
	ck_assert_int_eq(ftruncate(fd, GIB), 0);
	(void)close(fd);
	expect_no_layer("source/hole: has a hole");
}
END_TEST

/*
 * A file that is replaced at once may get the old one's inode, and the archive says its size and
 * time: it is not taken for what was laid all the same.
 */
START_TEST(replaced_at_once)
{
	const struct timespec times[2] = {{.tv_sec = 1000, .tv_nsec = 5},
					  {.tv_sec = 1000, .tv_nsec = 5}};
	struct output_result res = {0};
	struct output_laid laid[3];
	const char *hit = NULL;
	struct err e = ERR_INIT;
	struct output_base base;
	struct changes c;
	struct base b;
	struct stat st;

	put_folder("source");
	put_file("source/a", "old");
	ck_assert_int_eq(utimensat(top_fd, "source/a", times, 0), 0);
	b = make_base();
	base = (struct output_base){.fd = b.fd,
				    .list = b.res.list.data,
				    .len = b.res.list.len,
				    .workspace_fd = -1,
				    .laid_fd = open_at("laid", O_RDWR | O_CREAT)};
	for (int i = 0; i < 40; i++) {
		changes_init(&c);
		put(&c, "workspace", AE_IFDIR, NULL);
		put(&c, "workspace/src/a", AE_IFREG, "new");
		changes_done(&c);
		ck_assert_int_eq(lseek(base.laid_fd, 0, SEEK_SET), 0);
		ck_assert_msg(output_extract(c.fd, &base, &plenty, top_fd, "fresh", 30000, &res,
					     &hit, &e) == 0,
			      "%s", e.text);
		expect_text("fresh/src/a", "new");
		ck_assert_int_eq(pread(base.laid_fd, laid, sizeof(laid), 0), sizeof(laid));
		ck_assert_int_eq(fstatat(top_fd, "fresh/src/a", &st, 0), 0);
		ck_assert_uint_ne(laid[2].ino, 0);
		ck_assert_msg(laid[2].ino != st.st_ino || laid[2].seconds != st.st_ctim.tv_sec ||
				      laid[2].nanoseconds != (uint32_t)st.st_ctim.tv_nsec,
			      "after %d times", i);
		ck_assert_int_eq(output_remove_tree(top_fd, "fresh", &e), 0);
		buf_done(&res.outside_links);
		(void)close(c.fd);
	}
	(void)close(base.laid_fd);
	base_done(&b);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("layer");
	TCase *tc = archive_case(s, "layer");

	tcase_add_test(tc, nothing_changed);
	tcase_add_test(tc, changed);
	tcase_add_test(tc, made_anew);
	tcase_add_test(tc, links);
	tcase_add_test(tc, limits_of_the_result);
	tcase_add_test(tc, refused);
	tcase_add_test(tc, link_for_a_folder);
	tcase_add_test(tc, no_base_no_whiteout);
	tcase_add_test(tc, not_for_layers);
	tcase_add_test(tc, nothing_returned);
	tcase_add_test(tc, replaced_at_once);
	return s;
}
