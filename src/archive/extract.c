/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reads a hostile tar with libarchive as parser only, and acts on what the filter says. */
#include "extract.h"

#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/num.h"
#include "base/text.h"
#include "lay.h"
#include "links.h"

#define BLOCK 512

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

int extract_count(struct extract *x, uint64_t entries, uint64_t data, uint64_t apparent)
{
	enum filter_limit hit = filter_count(&x->ret->sums, &x->allowed, entries, data, apparent);

	return hit == FILTER_LIMIT_NONE ? 0 : over_limit(x, hit);
}

/* A negative errno of the writer's side as the archive's fault or as the host's. */
int extract_write_failed(struct extract *x, int code)
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
	ssize_t n = x->job->read(x->job->user_data, x->chunk, EXTRACT_CHUNK, x->offset);

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

static void describe(const struct extract *x, struct archive_entry *entry, struct filter_entry *ret)
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
	} else if (x->over && archive_entry_filetype(entry) == AE_IFCHR &&
		   archive_entry_rdevmajor(entry) == 0 && archive_entry_rdevminor(entry) == 0) {
		ret->type = FILTER_WHITEOUT;
	}
}

/* Copies the archive's content; fd -1 only counts it. Holes stay holes. */
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
		r = extract_count(x, 0, n, 0);
		if (r == 0 && fd >= 0) {
			r = io_pwrite_full(fd, data, n, (uint64_t)offset);
			if (r < 0)
				r = extract_write_failed(x, r);
		}
		if (r < 0)
			return r;
	}
	if (at < size && fd >= 0 && ftruncate(fd, (off_t)size) < 0)
		return extract_write_failed(x, -errno);
	return 0;
}

/* Takes away what is at the path, with all below it, and out of the sums. */
static int clear_place(struct extract *x)
{
	struct filter_sums gone = {0}, *sums = &x->ret->sums;
	int r = place_remove(&x->place, x->plan.path, &gone);

	sums->entries -= MIN(sums->entries, gone.entries);
	sums->data -= MIN(sums->data, gone.data);
	sums->apparent -= MIN(sums->apparent, gone.apparent);
	return r;
}

/* True when what was in the way of the present entry is gone, and it can be tried again. */
static bool make_way(struct extract *x, int *code)
{
	if (!x->over || (*code != -EEXIST && *code != -ENOTDIR && *code != -ELOOP))
		return false;
	*code = clear_place(x);
	return *code == 0;
}

static int do_file(struct extract *x, uint64_t size)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, x->mtime};
	const uint64_t before = x->ret->sums.data;
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r;

	if (lay_link(x, before, &r))
		return r;
	if (x->job->root_fd >= 0) {
		r = place_file(&x->place, &x->plan, &fd);
		if (make_way(x, &r))
			r = place_file(&x->place, &x->plan, &fd);
		if (r < 0)
			return extract_write_failed(x, r);
	}
	r = x->from ? lay_content(x, fd) : copy_content(x, fd, size);
	if (r == 0 && fd >= 0 && futimens(fd, times) < 0)
		r = extract_write_failed(x, -errno);
	if (r == 0 && x->from && fstat(fd, &st) == 0)
		r = lay_note(x, &st, before, false);
	return r;
}

static int do_folder(struct extract *x)
{
	int r;

	if (x->job->root_fd < 0)
		return 0;
	r = place_folder(&x->place, &x->plan, &x->mtime);
	if (make_way(x, &r))
		r = place_folder(&x->place, &x->plan, &x->mtime);
	if (r > 0 && x->over)
		x->ret->sums.entries--; /* the base's own: it is one entry still */
	return r < 0 ? extract_write_failed(x, r) : 0;
}

/*
 * A link that is not created yet, or never, still takes its place until the end, so that no later
 * entry can take it or lead through it.
 */
static int do_symlink(struct extract *x, const char *target)
{
	const char *made;
	int r = 0;

	/* what looks like a placeholder is one: it is settled with the others */
	if (strcmp(target, LINKS_PLACEHOLDER) == 0)
		x->plan.link = FILTER_LINK_CHECK;
	made = x->plan.link == FILTER_LINK_INSIDE ? target : LINKS_PLACEHOLDER;
	if (x->plan.link != FILTER_LINK_INSIDE)
		r = links_add(&x->links, x->plan.link, x->plan.path, target);
	if (r == -E2BIG)
		return refuse(x, "is one of too many links that lead out of the workspace");
	if (r < 0)
		return err_oom(x->e);
	if (x->job->root_fd < 0)
		return r;
	r = place_symlink(&x->place, x->plan.path, made, &x->mtime);
	if (make_way(x, &r))
		r = place_symlink(&x->place, x->plan.path, made, &x->mtime);
	return r < 0 ? extract_write_failed(x, r) : 0;
}

static int do_hardlink(struct extract *x)
{
	int r;

	if (x->job->root_fd < 0)
		return 0;
	r = place_hardlink(&x->place, &x->plan);
	if (make_way(x, &r))
		r = place_hardlink(&x->place, &x->plan);
	if (r == -ENOENT)
		return refuse(x, "is a hard link to what is not in the archive before it");
	if (r == -EPERM)
		return refuse(x, "is a hard link to what is no regular file");
	return r < 0 ? extract_write_failed(x, r) : 0;
}

static int do_whiteout(struct extract *x)
{
	int r = clear_place(x);

	return r < 0 && r != -ENOENT ? extract_write_failed(x, r) : 0;
}

/* One entry, of the archive or of the base, that is described by fe. */
int extract_put(struct extract *x, const struct filter_entry *fe)
{
	const char *rule;
	uint64_t implied = x->place.implied;
	int r = 0;

	(void)text_escape_line(fe->path ? fe->path : "", fe->path ? strlen(fe->path) : 0, x->name,
			       sizeof(x->name));
	rule = filter_entry(fe, &x->plan);
	if (rule)
		return refuse(x, rule);
	if (fe->type == FILTER_WHITEOUT)
		return do_whiteout(x);
	r = extract_count(x, 1, 0, fe->type == FILTER_FILE ? (uint64_t)fe->size : 0);
	if (r < 0)
		return r;
	switch (fe->type) {
	case FILTER_FILE:
		r = do_file(x, (uint64_t)fe->size);
		break;
	case FILTER_FOLDER:
		r = do_folder(x);
		break;
	case FILTER_SYMLINK:
		r = do_symlink(x, fe->target);
		break;
	case FILTER_HARDLINK:
		r = do_hardlink(x);
		break;
	case FILTER_WHITEOUT:
	case FILTER_OTHER:
	case _FILTER_TYPE_MAX:
		break;
	}
	return r < 0 ? r : extract_count(x, x->place.implied - implied, 0, 0);
}

static int do_entry(struct extract *x, struct archive_entry *entry)
{
	struct filter_entry fe;

	describe(x, entry, &fe);
	x->mtime = (struct timespec){.tv_sec = archive_entry_mtime(entry),
				     .tv_nsec = archive_entry_mtime_nsec(entry)};
	if (x->mtime.tv_nsec < 0 || x->mtime.tv_nsec >= 1000000000L)
		x->mtime.tv_nsec = 0;
	return extract_put(x, &fe);
}

/* After the last entry: was that the end, and was there anything? */
static int finish(struct extract *x)
{
	int r;

	/* not even the workspace's own folder: of a base there would be entries all the same */
	if (!x->any)
		return err_set(x->e, -ENODATA, "the worker returned no workspace");
	if (x->at_end && !x->zeros_last)
		return err_set(
			x->e, -EBADMSG,
			"returned archive: ends without an end-of-archive marker, after '%s'",
			x->name);
	if (x->job->root_fd < 0)
		return 0;
	x->allowed = x->job->limits;
	r = extract_count(x, 0, 0, 0);
	if (r < 0)
		return r;
	r = links_settle(&x->links, &x->place, &x->ret->outside_links);
	if (r < 0)
		return err_errno(x->e, r, "cannot settle the links");
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
		x->any = true;
		r = do_entry(x, entry);
		if (r < 0)
			return r;
	}
}

static int run(struct extract *x)
{
	int r;

	x->chunk = malloc(EXTRACT_CHUNK);
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
	r = x->job->base ? lay_base(x) : 0;
	if (r == 0 && x->job->enter)
		r = x->job->enter(x->job->user_data, x->e);
	if (r < 0)
		return r;
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
	x->links.cap = EXTRACT_LINKS_MAX;
	x->allowed = job->limits;
	r = run(x);
	(void)archive_read_free(x->a);
	place_done(&x->place);
	buf_done(&x->links);
	free(x->chunk);
	free(x);
	return r;
}
