/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the input disk has behind its head: a walk over saved workspace and source at once. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/text.h"
#include "filter.h"
#include "input.h"
#include "layer.h"
#include "names.h"
#include "pack.h"
#include "sources.h"

#define TOP_LEN	    (sizeof(FILTER_TOP) - 1)
#define SOURCE_NAME "src"
/* The list of source paths of one build: enough for ten million files. */
#define SOURCES_MAX (1 * GIB)

/* A folder that was the source's and is not any more: it goes in only with something in it. */
struct late_folder {
	size_t path_len;
	struct stat st;
};

struct merge {
	const struct input_tree *tree;
	struct input_result *ret;
	struct err *e;
	struct pack *pack; /* one of the two */
	struct layer *layer;
	char path[TOP_LEN + 1 + FILTER_PATH_MAX + 1]; /* of the present entry, in the archive */
	size_t len;
	struct late_folder late[FILTER_DEPTH_MAX + 1];
	size_t n_late;
	struct sources old;
	char name[320]; /* scratch of here() */
};

/* Something met on disk: its status, and a descriptor if it is a folder or a file. */
struct found {
	int fd;
	struct stat st;
};

static int walk(struct merge *m, int ws_fd, int src_fd);

/* The part of the path below workspace/src/, or NULL if it is not there. */
static const char *source_path(const struct merge *m)
{
	const size_t skip = TOP_LEN + 1 + sizeof(SOURCE_NAME);

	return m->len > skip && m->path[skip - 1] == '/' &&
			       memcmp(m->path + TOP_LEN + 1, SOURCE_NAME, skip - TOP_LEN - 2) == 0
		       ? m->path + skip
		       : NULL;
}

/* What a message calls the present entry. */
static const char *here(struct merge *m, bool in_source)
{
	const char *inner = in_source ? source_path(m) : m->path + MIN(m->len, TOP_LEN + 1);
	const char *base = in_source ? m->tree->source_name : m->tree->workspace_name;
	size_t n;

	(void)text_escape_line(base, strlen(base), m->name, sizeof(m->name) / 2);
	n = strlen(m->name);
	if (inner && inner[0]) {
		m->name[n++] = '/';
		(void)text_escape_line(inner, strlen(inner), m->name + n, sizeof(m->name) - n);
	}
	return m->name;
}

static int put_folder(struct merge *m, const struct stat *st)
{
	return m->layer ? layer_folder(m->layer, m->path, st, m->e)
			: pack_folder(m->pack, m->path, st, m->e);
}

static int put_symlink(struct merge *m, const char *target, const struct stat *st)
{
	return m->layer ? layer_symlink(m->layer, m->path, target, st, m->e)
			: pack_symlink(m->pack, m->path, target, st, m->e);
}

static int put_file(struct merge *m, int fd, const struct stat *st, bool in_source)
{
	const char *name = here(m, in_source);

	return m->layer ? layer_file(m->layer, m->path, fd, st, !in_source, name, m->e)
			: pack_file(m->pack, m->path, fd, st, name, m->e);
}

static int enter(struct merge *m, const char *name)
{
	size_t n = strlen(name);

	if (m->len + 1 + n >= sizeof(m->path))
		return err_set(m->e, -ENAMETOOLONG,
			       "%s/...: a path of more than %d bytes cannot come back from a "
			       "worker",
			       here(m, source_path(m) != NULL), FILTER_PATH_MAX);
	m->path[m->len++] = '/';
	memcpy(m->path + m->len, name, n + 1);
	m->len += n;
	if (filter_inner_path(m->path + TOP_LEN + 1))
		return err_set(m->e, -ENAMETOOLONG,
			       "%s: %s, and so could not come back from a worker",
			       here(m, source_path(m) != NULL),
			       filter_inner_path(m->path + TOP_LEN + 1));
	return 0;
}

static void leave(struct merge *m, size_t len)
{
	m->len = len;
	m->path[len] = '\0';
}

static bool is_skipped(const struct merge *m, const struct stat *st)
{
	for (size_t i = 0; i < m->tree->n_skip; i++) {
		if (m->tree->skip[i].dev == st->st_dev && m->tree->skip[i].ino == st->st_ino)
			return true;
	}
	return false;
}

static int cannot(struct merge *m, bool in_source, int code)
{
	if (code == -ENOENT)
		return err_set(m->e, code, "%s: vanished while it was read", here(m, in_source));
	return err_errno(m->e, code, "%s: cannot read", here(m, in_source));
}

/*
 * Opens what `name` is. 1 if it is there, 0 if it is to be left out, or a negative errno.
 * O_NONBLOCK keeps a FIFO from hanging us and does nothing to files.
 */
static int look(struct merge *m, int dirfd, const char *name, bool in_source, struct found *ret)
{
	struct stat st;
	int code;

	ret->fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	code = ret->fd < 0 ? -errno : 0;
	if ((ret->fd >= 0 ? fstat(ret->fd, &ret->st)
			  : fstatat(dirfd, name, &ret->st, AT_SYMLINK_NOFOLLOW)) < 0) {
		code = -errno;
		fd_close(&ret->fd);
		return cannot(m, in_source, code);
	}
	if (in_source && is_skipped(m, &ret->st)) {
		fd_close(&ret->fd);
		return 0;
	}
	switch (ret->st.st_mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
		return ret->fd >= 0 ? 1 : cannot(m, in_source, code);
	case S_IFLNK:
		return 1;
	default:
		fd_close(&ret->fd);
		st = ret->st;
		m->ret->skipped++;
		log_warning("%s: is a %s, ignoring: it does not go into the worker",
			    here(m, in_source),
			    S_ISFIFO(st.st_mode)   ? "FIFO"
			    : S_ISSOCK(st.st_mode) ? "socket"
						   : "device");
		return 0;
	}
}

/* Writes the folders on the way to the present entry that waited for something in them. */
static int write_late_folders(struct merge *m)
{
	for (size_t i = 0; i < m->n_late; i++) {
		size_t len = m->late[i].path_len;
		char end = m->path[len];
		int r;

		m->path[len] = '\0';
		r = put_folder(m, &m->late[i].st);
		m->path[len] = end;
		if (r < 0)
			return r;
	}
	m->n_late = 0;
	return 0;
}

static int write_symlink(struct merge *m, int dirfd, const char *name, const struct stat *st,
			 bool in_source)
{
	char target[FILTER_TARGET_MAX + 2];
	ssize_t n = readlinkat(dirfd, name, target, sizeof(target) - 1);

	if (n < 0)
		return cannot(m, in_source, -errno);
	target[n] = '\0';
	return put_symlink(m, target, st);
}

/* Writes a file or symlink. */
static int write_leaf(struct merge *m, int dirfd, const char *name, const struct found *f,
		      bool in_source)
{
	int r = write_late_folders(m);

	if (r < 0)
		return r;
	if (S_ISLNK(f->st.st_mode))
		return write_symlink(m, dirfd, name, &f->st, in_source);
	return put_file(m, f->fd, &f->st, in_source);
}

/* An entry of the source, which takes the place of the workspace's, except folder with folder. */
static int do_source(struct merge *m, int ws_fd, int src_fd, const char *name,
		     const struct found *f)
{
	const char *inner = source_path(m);
	_cleanup_close_ int ws_sub = -1;
	int r = buf_put(&m->ret->sources, inner, strlen(inner) + 1);

	if (r < 0)
		return err_oom(m->e);
	if (!S_ISDIR(f->st.st_mode))
		return write_leaf(m, src_fd, name, f, true);
	r = write_late_folders(m);
	if (r == 0)
		r = put_folder(m, &f->st);
	if (r < 0)
		return r;
	if (ws_fd >= 0) {
		ws_sub = openat(ws_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (ws_sub < 0 && errno != ENOTDIR && errno != ELOOP && errno != ENOENT)
			return cannot(m, false, -errno);
	}
	return walk(m, ws_sub, f->fd);
}

/* An entry of the workspace alone. */
static int do_workspace(struct merge *m, int ws_fd, const char *name, const struct found *f)
{
	const char *inner = source_path(m);
	bool dropped = inner && sources_have(&m->old, inner);
	int r;

	if (!S_ISDIR(f->st.st_mode))
		return dropped ? 0 : write_leaf(m, ws_fd, name, f, false);
	if (!dropped) {
		r = write_late_folders(m);
		if (r == 0)
			r = put_folder(m, &f->st);
		return r < 0 ? r : walk(m, f->fd, -1);
	}
	m->late[m->n_late++] = (struct late_folder){.path_len = m->len, .st = f->st};
	r = walk(m, f->fd, -1);
	if (r == 0 && m->n_late > 0)
		m->n_late--; /* nothing came: it stays out */
	return r;
}

static int do_name(struct merge *m, int ws_fd, int src_fd, const char *name, unsigned int in)
{
	struct found f = {.fd = -1};
	int r = 0;

	if (in & NAMES_SOURCE) {
		r = look(m, src_fd, name, true, &f);
		if (r > 0)
			r = do_source(m, in & NAMES_WORKSPACE ? ws_fd : -1, src_fd, name, &f);
		else if (r == 0)
			in &= ~(unsigned int)NAMES_SOURCE;
		fd_close(&f.fd);
	}
	if (r == 0 && in == NAMES_WORKSPACE) {
		r = look(m, ws_fd, name, false, &f);
		if (r > 0)
			r = do_workspace(m, ws_fd, name, &f);
		fd_close(&f.fd);
	}
	return r;
}

/* The source itself, in place of whatever the workspace has there. */
static int do_source_root(struct merge *m, int ws_fd)
{
	_cleanup_close_ int ws_sub = -1;
	struct stat st;
	int r;

	if (fstat(m->tree->source_fd, &st) < 0)
		return cannot(m, true, -errno);
	r = put_folder(m, &st);
	if (r < 0)
		return r;
	if (ws_fd >= 0) {
		ws_sub =
			openat(ws_fd, SOURCE_NAME, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (ws_sub < 0 && errno != ENOTDIR && errno != ELOOP && errno != ENOENT)
			return cannot(m, false, -errno);
	}
	return walk(m, ws_sub, m->tree->source_fd);
}

/* One folder of either tree or of both (-1: not there), its own entry being written. */
static int walk_names(struct merge *m, int ws_fd, int src_fd, struct names *l)
{
	bool top = m->len == TOP_LEN, seen_source = false;
	size_t len = m->len;
	int r = 0;

	for (size_t i = 0; i <= l->n && r == 0; i++) {
		const char *name = i < l->n ? names_get(l, i) : NULL;

		/* src is always there, in its place in the order */
		if (top && !seen_source && (!name || strcmp(name, SOURCE_NAME) >= 0)) {
			r = enter(m, SOURCE_NAME);
			if (r == 0)
				r = do_source_root(m, ws_fd);
			leave(m, len);
			seen_source = true;
		}
		if (r < 0 || !name || (top && strcmp(name, SOURCE_NAME) == 0))
			continue;
		r = enter(m, name);
		if (r == 0)
			r = do_name(m, ws_fd, src_fd, name, l->list[i].in);
		leave(m, len);
	}
	return r;
}

static int walk(struct merge *m, int ws_fd, int src_fd)
{
	struct names l = {0};
	int r = 0;

	if (ws_fd >= 0) {
		r = names_read(&l, ws_fd, NAMES_WORKSPACE);
		if (r < 0)
			r = cannot(m, false, r);
	}
	if (r == 0 && src_fd >= 0) {
		r = names_read(&l, src_fd, NAMES_SOURCE);
		if (r < 0)
			r = cannot(m, true, r);
	}
	if (r == 0) {
		names_sort(&l);
		r = walk_names(m, ws_fd, src_fd, &l);
	}
	names_done(&l);
	return r;
}

/* The folder that would hold `path` below `root`, without following links; -1 if there is none. */
static int open_parent(int root, const char *path, const char **ret_name)
{
	_cleanup_close_ int fd = root < 0 ? -1 : openat(root, ".", O_PATH | O_CLOEXEC);
	char name[FILTER_NAME_MAX + 1];
	const char *slash;

	while (fd >= 0 && (slash = strchr(path, '/'))) {
		size_t n = (size_t)(slash - path);
		int sub;

		memcpy(name, path, n);
		name[n] = '\0';
		sub = openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		(void)close(fd);
		fd = sub;
		path = slash + 1;
	}
	*ret_name = path;
	return take_fd(&fd);
}

/* Is there a folder for `path` below root, and is the place itself free? */
static bool has_room(int root, const char *path, bool *ret_taken)
{
	_cleanup_close_ int fd = -1;
	const char *name;
	struct stat st;

	*ret_taken = false;
	fd = open_parent(root, path, &name);
	if (fd < 0)
		return false;
	*ret_taken = fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	return !*ret_taken;
}

/* Does the source have something else where `inner` needs a folder? */
static bool is_barred(const struct merge *m, const char *inner)
{
	char folder[FILTER_PATH_MAX + 1];

	for (const char *slash = strchr(inner, '/'); slash; slash = strchr(slash + 1, '/')) {
		_cleanup_close_ int fd = -1;
		const char *name;
		struct stat st;

		(void)snprintf(folder, sizeof(folder), "%.*s", (int)(slash - inner), inner);
		fd = open_parent(m->tree->source_fd, folder, &name);
		if (fd < 0 || fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return false;
		if ((S_ISREG(st.st_mode) || S_ISLNK(st.st_mode)) && !is_skipped(m, &st))
			return true;
	}
	return false;
}

/* Does the link go back? Its folder must still be there, its place free, and not the source's. */
static bool goes_back(struct merge *m, const char *path)
{
	const char *inner = strncmp(path, SOURCE_NAME "/", sizeof(SOURCE_NAME)) == 0
				    ? path + sizeof(SOURCE_NAME)
				    : NULL;
	bool in_ws, in_src = false, taken_ws, taken_src = false;

	in_ws = has_room(m->tree->workspace_fd, path, &taken_ws);
	if (inner) {
		in_src = has_room(m->tree->source_fd, inner, &taken_src);
		if (sources_have(&m->old, inner) || is_barred(m, inner))
			return false;
	}
	return (in_ws || in_src) && !taken_ws && !taken_src;
}

/* Folders on the way to the link at m->path that stayed out, as nothing else is in them. */
static int write_way_back(struct merge *m)
{
	for (char *slash = strchr(m->path, '/'); slash; slash = strchr(slash + 1, '/')) {
		struct stat st = {.st_mode = S_IFDIR | 0755, .st_mtim = {.tv_sec = 946684800}};
		_cleanup_close_ int fd = -1;
		const char *name;
		int r = 0;

		*slash = '\0';
		if (m->layer && !layer_has(m->layer, m->path)) {
			fd = open_parent(m->tree->workspace_fd, m->path + TOP_LEN + 1, &name);
			if (fd >= 0)
				(void)fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW);
			r = put_folder(m, &st);
		}
		*slash = '/';
		if (r < 0)
			return r;
	}
	return 0;
}

static int write_outside_links(struct merge *m)
{
	const struct stat st = {.st_mtim = {.tv_sec = 946684800}};
	const char *list = m->tree->outside_links, *path, *target;
	size_t len = m->tree->outside_links_len;
	int r = 0;

	while (len > 0 && list[len - 1] != '\0')
		len--;
	for (size_t at = 0; at < len && r == 0; at += strlen(target) + 1) {
		path = list + at;
		at += strlen(path) + 1;
		if (at >= len)
			break;
		target = list + at;
		if (!path[0] || !target[0] || filter_inner_path(path) || !goes_back(m, path))
			continue;
		(void)snprintf(m->path, sizeof(m->path), "%s/%s", FILTER_TOP, path);
		r = write_way_back(m);
		if (r == 0)
			r = put_symlink(m, target, &st);
	}
	return r;
}

static int write_all(struct merge *m)
{
	const struct input_tree *t = m->tree;
	struct stat st;
	int r;

	m->len = TOP_LEN;
	memcpy(m->path, FILTER_TOP, TOP_LEN + 1);
	if (fstat(t->workspace_fd >= 0 ? t->workspace_fd : t->source_fd, &st) < 0)
		return cannot(m, false, -errno);
	r = put_folder(m, &st);
	if (r == 0)
		r = walk(m, t->workspace_fd, -1);
	if (r == 0)
		r = write_outside_links(m);
	return r;
}

/* The walk with one of the two writers. */
static int run(const struct input_tree *t, struct pack *pack, struct layer *layer,
	       struct input_result *res, struct err *e)
{
	struct merge *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return err_oom(e);
	m->tree = t;
	m->ret = res;
	m->e = e;
	m->pack = pack;
	m->layer = layer;
	r = sources_init(&m->old, t->old_sources, t->old_sources_len);
	r = r < 0 ? err_oom(e) : write_all(m);
	sources_done(&m->old);
	free(m);
	return r;
}

void input_result_done(struct input_result *res)
{
	buf_done(&res->sources);
	buf_done(&res->list);
}

int input_write_tree(int fd, const struct input_tree *t, struct input_result *ret, struct err *e)
{
	_cleanup_(pack_free_p) struct pack *pack = NULL;
	struct input_result res = {.sources = {.cap = SOURCES_MAX}};
	int r = pack_new(fd, &pack, e);

	if (r == 0)
		r = run(t, pack, NULL, &res, e);
	if (r == 0)
		r = pack_finish(pack, e);
	if (r < 0) {
		input_result_done(&res);
		return r;
	}
	res.entries = pack_entries(pack);
	res.bytes = pack_bytes(pack);
	*ret = res;
	return 0;
}

int input_write_layer(int fd, uint64_t at, const struct layer_below *below,
		      const struct input_tree *t, struct input_result *ret, struct err *e)
{
	_cleanup_(layer_free_p) struct layer *layer = NULL;
	struct input_result res = {.sources = {.cap = SOURCES_MAX}};
	int r = layer_new(fd, at, below, &layer, e);

	if (r == 0)
		r = run(t, NULL, layer, &res, e);
	if (r == 0)
		r = layer_finish(layer, &res.layer_size, &res.list, e);
	if (r < 0) {
		input_result_done(&res);
		return r;
	}
	res.entries = layer_entries(layer);
	res.bytes = layer_bytes(layer);
	res.surprises = layer_surprises(layer);
	*ret = res;
	return 0;
}
