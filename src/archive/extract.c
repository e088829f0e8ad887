/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reads a hostile tar with libarchive as parser only, and acts on what the filter says. */
#include "extract.h"

#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/num.h"
#include "base/text.h"
#include "place.h"

#define BLOCK	   512
#define READ_CHUNK (256 * KIB)

/* What stands in for a link whose fate is only known at the end: it leads nowhere. */
#define PLACEHOLDER ".contractor-pending"

struct extract {
	const struct extract_job *job;
	struct extract_result *ret;
	struct err *e;
	struct archive *a;
	struct place place;
	struct filter_plan plan;
	struct timespec mtime;
	struct buf pending; /* symlinks to be checked at the end: path, target, NUL-terminated */
	char name[320];	    /* the present entry, for messages */

	char *chunk;
	uint64_t offset; /* of the next read */
	int read_error;
	bool at_end;	 /* the source has no more */
	bool zeros_last; /* the last block read was the end-of-archive kind */
};

static int refuse(struct extract *x, const char *rule)
{
	return err_set(x->e, -EBADMSG, "returned archive: '%s' %s", x->name, rule);
}

static int over_limit(struct extract *x, enum filter_limit limit)
{
	const struct output_limits *l = &x->job->limits;
	char text[NUM_TEXT_MAX];

	x->ret->limit_hit = limit;
	if (limit == FILTER_LIMIT_FILES)
		return err_set(x->e, -E2BIG,
			       "returned archive: more than %llu files, folders and links, at '%s'",
			       (unsigned long long)l->entries, x->name);
	return err_set(x->e, -E2BIG,
		       "returned archive: the files are larger than the %s allowed, at '%s'",
		       format_size(l->bytes, text), x->name);
}

static int count(struct extract *x, uint64_t entries, uint64_t data, uint64_t apparent)
{
	enum filter_limit hit =
		filter_count(&x->ret->sums, &x->job->limits, entries, data, apparent);

	return hit == FILTER_LIMIT_NONE ? 0 : over_limit(x, hit);
}

/* A negative errno of the writer's side as the archive's fault or as the host's. */
static int write_failed(struct extract *x, int code)
{
	switch (code) {
	case -EEXIST:
		return refuse(x, "is in the archive twice");
	case -ENOTDIR:
	case -ELOOP:
		return refuse(x,
			      "leads through, or takes the place of, an entry that is no folder");
	case -EDQUOT:
		code = -ENOSPC;
		break;
	default:
		break;
	}
	return err_errno(x->e, code, "cannot unpack '%s'", x->name);
}

static ssize_t on_read(struct archive *a, void *user_data, const void **ret_data)
{
	struct extract *x = user_data;
	ssize_t n = x->job->read(x->job->user_data, x->chunk, READ_CHUNK, x->offset);

	if (n < 0) {
		x->read_error = (int)n;
		archive_set_error(a, EIO, "read error");
		return ARCHIVE_FATAL;
	}
	if (n == 0)
		x->at_end = true;
	if (n >= BLOCK) {
		const char *last = x->chunk + n - BLOCK;

		x->zeros_last = last[0] == 0 && memcmp(last, last + 1, BLOCK - 1) == 0;
	}
	x->offset += (uint64_t)n;
	*ret_data = x->chunk;
	return n;
}

static int parser_failed(struct extract *x)
{
	const char *text = archive_error_string(x->a);

	if (x->read_error)
		return err_errno(x->e, x->read_error, "cannot read the returned archive");
	if (x->offset == 0)
		return err_set(x->e, -ENODATA, "the worker returned no workspace");
	return err_set(x->e, -EBADMSG, "returned archive: %s%s%s%s", text ? text : "broken",
		       x->name[0] ? ", after '" : "", x->name, x->name[0] ? "'" : "");
}

static bool is_ascii(const char *s)
{
	while (s && *s) {
		if ((unsigned char)*s++ >= 0x80)
			return false;
	}
	return true;
}

/*
 * The parser warns of a name that the C locale has no characters for, and then gives its bytes,
 * which is what we want. It also warns of malformed headers, which we do not want.
 */
static bool is_name_warning(struct archive_entry *entry)
{
	return !is_ascii(archive_entry_pathname(entry)) ||
	       !is_ascii(archive_entry_hardlink(entry)) ||
	       !is_ascii(archive_entry_symlink(entry)) || !is_ascii(archive_entry_uname(entry)) ||
	       !is_ascii(archive_entry_gname(entry));
}

static void describe(struct archive_entry *entry, struct filter_entry *ret)
{
	*ret = (struct filter_entry){
		.type = FILTER_OTHER,
		.path = archive_entry_pathname(entry),
		.mode = archive_entry_mode(entry),
		.size = archive_entry_size(entry),
	};
	if (archive_entry_hardlink(entry)) {
		ret->type = FILTER_HARDLINK;
		ret->target = archive_entry_hardlink(entry);
	} else if (archive_entry_filetype(entry) == AE_IFREG) {
		ret->type = FILTER_FILE;
	} else if (archive_entry_filetype(entry) == AE_IFDIR) {
		ret->type = FILTER_FOLDER;
	} else if (archive_entry_filetype(entry) == AE_IFLNK) {
		ret->type = FILTER_SYMLINK;
		ret->target = archive_entry_symlink(entry);
	}
}

static int write_at(int fd, const char *data, size_t n, uint64_t offset)
{
	while (n > 0) {
		ssize_t w = pwrite(fd, data, n, (off_t)offset);

		if (w < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		data += w;
		n -= (size_t)w;
		offset += (uint64_t)w;
	}
	return 0;
}

/* Copies the content; fd -1 only counts it. Holes stay holes. */
static int copy_content(struct extract *x, int fd, uint64_t size)
{
	uint64_t at = 0;

	for (;;) {
		const void *data;
		la_int64_t offset;
		size_t n;
		int r = archive_read_data_block(x->a, &data, &n, &offset);

		if (r == ARCHIVE_EOF)
			break;
		if (r != ARCHIVE_OK)
			return parser_failed(x);
		if (n == 0)
			continue;
		if (offset < 0 || (uint64_t)offset < at || (uint64_t)offset > size ||
		    n > size - (uint64_t)offset)
			return refuse(x, "has content beyond its size");
		at = (uint64_t)offset + n;
		r = count(x, 0, n, 0);
		if (r == 0 && fd >= 0) {
			r = write_at(fd, data, n, (uint64_t)offset);
			if (r < 0)
				r = write_failed(x, r);
		}
		if (r < 0)
			return r;
	}
	if (at < size && fd >= 0 && ftruncate(fd, (off_t)size) < 0)
		return write_failed(x, -errno);
	return 0;
}

static int do_file(struct extract *x, uint64_t size)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, x->mtime};
	_cleanup_close_ int fd = -1;
	int r;

	if (x->job->root_fd >= 0) {
		r = place_file(&x->place, &x->plan, &fd);
		if (r < 0)
			return write_failed(x, r);
	}
	r = copy_content(x, fd, size);
	if (r == 0 && fd >= 0 && futimens(fd, times) < 0)
		r = write_failed(x, -errno);
	return r;
}

/* Remembers a link, path and target, both with their NUL. */
static int remember(struct extract *x, struct buf *list, const char *path, const char *target)
{
	int r;

	if (x->pending.len + x->ret->outside_links.len + strlen(path) + strlen(target) + 2 >
	    EXTRACT_LINKS_MAX)
		return refuse(x, "is one of too many links that lead out of the workspace");
	r = buf_put(list, path, strlen(path) + 1);
	if (r == 0)
		r = buf_put(list, target, strlen(target) + 1);
	return r < 0 ? err_oom(x->e) : 0;
}

/*
 * A link that is not created yet, or never, still takes its place until the end, so that no later
 * entry can take it or lead through it.
 */
static int do_symlink(struct extract *x, const char *target)
{
	const char *made = x->plan.link == FILTER_LINK_INSIDE ? target : PLACEHOLDER;
	int r = 0;

	if (x->plan.link == FILTER_LINK_OUTSIDE)
		r = remember(x, &x->ret->outside_links, x->plan.path, target);
	else if (x->plan.link == FILTER_LINK_CHECK)
		r = remember(x, &x->pending, x->plan.path, target);
	if (r < 0 || x->job->root_fd < 0)
		return r;
	r = place_symlink(&x->place, x->plan.path, made, &x->mtime);
	return r < 0 ? write_failed(x, r) : 0;
}

static int do_hardlink(struct extract *x)
{
	int r;

	if (x->job->root_fd < 0)
		return 0;
	r = place_hardlink(&x->place, &x->plan);
	if (r == -ENOENT)
		return refuse(x, "is a hard link to what is not in the archive before it");
	if (r == -EPERM)
		return refuse(x, "is a hard link to what is no regular file");
	return r < 0 ? write_failed(x, r) : 0;
}

static int do_entry(struct extract *x, struct archive_entry *entry)
{
	struct filter_entry fe;
	const char *rule;
	uint64_t implied = x->place.implied;
	int r;

	describe(entry, &fe);
	(void)text_escape_line(fe.path ? fe.path : "", fe.path ? strlen(fe.path) : 0, x->name,
			       sizeof(x->name));
	rule = filter_entry(&fe, &x->plan);
	if (rule)
		return refuse(x, rule);
	r = count(x, 1, 0, fe.type == FILTER_FILE ? (uint64_t)fe.size : 0);
	if (r < 0)
		return r;
	x->mtime = (struct timespec){.tv_sec = archive_entry_mtime(entry),
				     .tv_nsec = archive_entry_mtime_nsec(entry)};
	if (x->mtime.tv_nsec < 0 || x->mtime.tv_nsec >= 1000000000L)
		x->mtime.tv_nsec = 0;
	switch (fe.type) {
	case FILTER_FILE:
		r = do_file(x, (uint64_t)fe.size);
		break;
	case FILTER_FOLDER:
		if (x->job->root_fd >= 0) {
			r = place_folder(&x->place, &x->plan, &x->mtime);
			r = r < 0 ? write_failed(x, r) : 0;
		}
		break;
	case FILTER_SYMLINK:
		r = do_symlink(x, fe.target);
		break;
	case FILTER_HARDLINK:
		r = do_hardlink(x);
		break;
	case FILTER_OTHER:
	case _FILTER_TYPE_MAX:
		break;
	}
	return r < 0 ? r : count(x, x->place.implied - implied, 0, 0);
}

/* True if the link at `path` would lead to something in the workspace, on the disk as it is. */
static bool leads_inside(struct extract *x, const char *path, const char *target)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC,
			       .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
	char full[FILTER_PATH_MAX + FILTER_TARGET_MAX + 2];
	const char *slash = strrchr(path, '/');
	int len = slash ? (int)(slash - path) + 1 : 0;
	_cleanup_close_ int fd = -1;

	(void)snprintf(full, sizeof(full), "%.*s%s", len, path, target);
	fd = (int)syscall(SYS_openat2, x->place.levels[0].fd, full, &how, sizeof(how));
	return fd >= 0;
}

/* Takes the placeholders away; links that lead inside for sure take their places. */
static int settle_links(struct extract *x)
{
	const struct timespec now = {.tv_nsec = UTIME_NOW};
	struct buf *outside = &x->ret->outside_links;
	const char *path, *target;
	int r = 0;

	for (size_t at = 0; at < outside->len && r == 0; at += strlen(outside->data + at) + 1) {
		path = outside->data + at;
		at += strlen(path) + 1; /* and the loop steps over the target */
		r = place_unlink(&x->place, path);
	}
	for (size_t at = 0; at < x->pending.len && r == 0; at += strlen(target) + 1) {
		path = x->pending.data + at;
		at += strlen(path) + 1;
		target = x->pending.data + at;
		r = place_unlink(&x->place, path);
		if (r < 0)
			break;
		if (leads_inside(x, path, target))
			r = place_symlink(&x->place, path, target, &now);
		else if (remember(x, outside, path, target) < 0)
			return x->e ? x->e->code : -ENOMEM;
	}
	return r < 0 ? err_errno(x->e, r, "cannot settle the links") : 0;
}

/* After the last entry: was that the end, and was there anything? */
static int finish(struct extract *x)
{
	int r;

	if (x->ret->sums.entries == 0)
		return err_set(x->e, -ENODATA, "the worker returned no workspace");
	if (x->at_end && !x->zeros_last)
		return err_set(
			x->e, -EBADMSG,
			"returned archive: ends without an end-of-archive marker, after '%s'",
			x->name);
	if (x->job->root_fd < 0)
		return 0;
	r = settle_links(x);
	if (r < 0)
		return r;
	r = place_finish(&x->place);
	return r < 0 ? err_errno(x->e, r, "cannot set a folder's time") : 0;
}

static int read_entries(struct extract *x)
{
	for (;;) {
		struct archive_entry *entry;
		int r = archive_read_next_header(x->a, &entry);

		if (r == ARCHIVE_EOF)
			return finish(x);
		if (r != ARCHIVE_OK && (r != ARCHIVE_WARN || !is_name_warning(entry)))
			return parser_failed(x);
		r = do_entry(x, entry);
		if (r < 0)
			return r;
	}
}

static int run(struct extract *x)
{
	int r;

	x->chunk = malloc(READ_CHUNK);
	x->a = archive_read_new();
	if (!x->chunk || !x->a)
		return err_oom(x->e);
	/* tar alone, and no decompression: the rest of the parser is not reachable */
	if (archive_read_support_format_tar(x->a) != ARCHIVE_OK)
		return err_oom(x->e);
	if (x->job->root_fd >= 0) {
		r = place_init(&x->place, x->job->root_fd);
		if (r < 0)
			return err_errno(x->e, r, "cannot open the new folder");
	}
	if (archive_read_open(x->a, x, NULL, on_read, NULL) != ARCHIVE_OK)
		return parser_failed(x);
	return read_entries(x);
}

int extract_run(const struct extract_job *job, struct extract_result *ret, struct err *e)
{
	struct extract *x;
	int r;

	x = calloc(1, sizeof(*x));
	if (!x)
		return err_oom(e);
	x->job = job;
	x->ret = ret;
	x->e = e;
	x->pending.cap = EXTRACT_LINKS_MAX;
	r = run(x);
	(void)archive_read_free(x->a);
	place_done(&x->place);
	buf_done(&x->pending);
	free(x->chunk);
	free(x);
	return r;
}
