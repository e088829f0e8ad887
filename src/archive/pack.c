/* SPDX-License-Identifier: GPL-3.0-or-later */
/* libarchive's pax writer, fed with one file at a time, holes left out. */
#include "pack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdbool.h>
#include <sys/mman.h>

#include "base/io.h"
#include "base/log.h"
#include "base/text.h"
#include "inodes.h"

#define PACK_BLOCK (128 * KIB) /* bytes of one write to the descriptor */
#define PACK_READ  (256 * KIB) /* bytes of one read from a file */
/* Pages that nothing ever touches: the writer skips what lies in a hole, but wants an address. */
#define PACK_HOLE (64 * MIB)
/* A file with more stretches of data is written with the rest of its holes as zeros. */
#define PACK_STRETCHES_MAX 4096
/* What ext4, which a worker unpacks to, can hold; the time for a larger hole would be wasted. */
#define PACK_FILE_MAX (16ULL * 1024 * GIB)

struct pack {
	struct archive *a;
	struct archive_entry *entry;
	int fd;
	int write_error;
	locale_t locale;
	locale_t old_locale;
	char *chunk;
	void *hole; /* mapped at the first use */
	struct inodes inodes;
	bool inodes_full;
	bool utf8; /* the locale knows UTF-8 */
	uint64_t entries;
	uint64_t bytes;
};

static ssize_t on_write(struct archive *a, void *user_data, const void *data, size_t n)
{
	struct pack *p = user_data;
	int r = p->write_error;

	if (r == 0)
		r = io_write_full(p->fd, data, n);
	if (r < 0) {
		p->write_error = r;
		archive_set_error(a, -r, "write error");
		return -1;
	}
	return (ssize_t)n;
}

static int writer_failed(struct pack *p, const char *path, struct err *e)
{
	char link[64], target[512];
	ssize_t n;

	if (!p->write_error)
		return err_set(e, -EIO, "%s: cannot be archived: %s",
			       text_escape_line(path, strlen(path), target, sizeof(target)),
			       archive_error_string(p->a));
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", p->fd);
	n = readlink(link, target, sizeof(target) - 1);
	target[n > 0 ? n : 0] = '\0';
	return err_errno(e, p->write_error, "input disk: cannot write to %s",
			 n > 0 ? target : "its file");
}

int pack_new(int fd, struct pack **ret, struct err *e)
{
	_cleanup_(pack_free_p) struct pack *p = calloc(1, sizeof(*p));

	if (!p)
		return err_oom(e);
	p->fd = fd;
	p->locale = newlocale(LC_ALL_MASK, "C.UTF-8", NULL);
	p->utf8 = p->locale != NULL;
	if (!p->locale)
		p->locale = newlocale(LC_ALL_MASK, "C", NULL);
	if (!p->locale)
		return err_oom(e);
	p->old_locale = uselocale(p->locale);
	p->chunk = malloc(PACK_READ);
	p->a = archive_write_new();
	p->entry = archive_entry_new();
	if (!p->chunk || !p->a || !p->entry)
		return err_oom(e);
	/* not "restricted", which forgets a time's nanoseconds where nothing else needs pax */
	if (archive_write_set_format_pax(p->a) != ARCHIVE_OK ||
	    archive_write_set_bytes_per_block(p->a, PACK_BLOCK) != ARCHIVE_OK ||
	    archive_write_set_bytes_in_last_block(p->a, 512) != ARCHIVE_OK ||
	    archive_write_open(p->a, p, NULL, on_write, NULL) != ARCHIVE_OK)
		return writer_failed(p, "input disk", e);
	*ret = take_ptr(&p);
	return 0;
}

struct pack *pack_free(struct pack *p)
{
	if (!p)
		return NULL;
	/* freeing would write on, and archive_write_fail() leaks the writer's buffer (3.6.2) */
	if (p->write_error == 0)
		p->write_error = -ECANCELED;
	(void)archive_write_free(p->a);
	archive_entry_free(p->entry);
	if (p->hole)
		(void)munmap(p->hole, PACK_HOLE);
	free(p->chunk);
	inodes_done(&p->inodes);
	if (p->locale) {
		(void)uselocale(p->old_locale);
		freelocale(p->locale);
	}
	free(p);
	return NULL;
}

int pack_finish(struct pack *p, struct err *e)
{
	return archive_write_close(p->a) == ARCHIVE_OK ? 0 : writer_failed(p, "input disk", e);
}

static void begin(struct pack *p, const char *path, unsigned int type, mode_t mode,
		  const struct stat *st)
{
	archive_entry_clear(p->entry);
	archive_entry_copy_pathname(p->entry, path);
	archive_entry_set_filetype(p->entry, type);
	archive_entry_set_perm(p->entry, mode & 0777);
	archive_entry_set_uid(p->entry, 0);
	archive_entry_set_gid(p->entry, 0);
	archive_entry_set_size(p->entry, 0);
	if (st)
		archive_entry_set_mtime(p->entry, st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
}

/* Names that are no UTF-8 give a warning: the writer then says so in the header, as is right. */
static int write_header(struct pack *p, const char *path, struct err *e)
{
	int r = archive_write_header(p->a, p->entry);

	if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
		return writer_failed(p, path, e);
	p->entries++;
	return 0;
}

static int write_data(struct pack *p, const char *path, const void *data, size_t n, struct err *e)
{
	while (n > 0) {
		la_ssize_t w = archive_write_data(p->a, data, n);

		if (w <= 0)
			return writer_failed(p, path, e);
		data = (const char *)data + w;
		n -= (size_t)w;
	}
	return 0;
}

int pack_folder(struct pack *p, const char *path, const struct stat *st, struct err *e)
{
	begin(p, path, AE_IFDIR, st->st_mode, st);
	return write_header(p, path, e);
}

int pack_symlink(struct pack *p, const char *path, const char *target, const struct stat *st,
		 struct err *e)
{
	begin(p, path, AE_IFLNK, 0777, st);
	archive_entry_copy_symlink(p->entry, target);
	return write_header(p, path, e);
}

int pack_data(struct pack *p, const char *path, const void *data, size_t len, mode_t mode,
	      struct err *e)
{
	/* not 1970, which GNU tar complains about, and not now, so that equal input is equal */
	const struct stat st = {.st_mtim = {.tv_sec = 946684800}};
	int r;

	begin(p, path, AE_IFREG, mode, &st);
	archive_entry_set_size(p->entry, (la_int64_t)len);
	r = write_header(p, path, e);
	if (r < 0)
		return r;
	p->bytes += len;
	return write_data(p, path, data, len, e);
}

/* One stretch of content, from the file. */
static int copy_stretch(struct pack *p, const char *path, int fd, uint64_t at, uint64_t end,
			const char *name, struct err *e)
{
	while (at < end) {
		ssize_t n = pread(fd, p->chunk, (size_t)MIN(end - at, PACK_READ), (off_t)at);
		int r;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, -errno, "%s: cannot read", name);
		if (n == 0)
			return err_set(e, -ESTALE, "%s: became shorter while it was read", name);
		r = write_data(p, path, p->chunk, (size_t)n, e);
		if (r < 0)
			return r;
		at += (uint64_t)n;
		p->bytes += (uint64_t)n;
	}
	return 0;
}

/* One hole: the writer counts its bytes and never looks at them. */
static int skip_hole(struct pack *p, const char *path, uint64_t n, struct err *e)
{
	if (n > 0 && !p->hole) {
		p->hole = mmap(NULL, PACK_HOLE, PROT_READ,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (p->hole == MAP_FAILED) {
			p->hole = NULL;
			return err_oom(e);
		}
	}
	while (n > 0) {
		size_t step = (size_t)MIN(n, PACK_HOLE);
		int r = write_data(p, path, p->hole, step, e);

		if (r < 0)
			return r;
		n -= step;
	}
	return 0;
}

/*
 * libarchive 3.6.2 gives a sparse file a wrong name when it cannot convert the name and
 * has to cut it for the plain header: it then reads the name that it has just overwritten. Such a
 * file goes in with zeros for holes.
 */
static bool may_be_sparse(const struct pack *p, const char *path)
{
	size_t len = strlen(path);

	if (len < 64)
		return true;
	if (p->utf8)
		return text_is_utf8(path, len);
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)path[i] >= 0x80)
			return false;
	}
	return true;
}

/* Puts the file's stretches of data into the entry, if it has holes at all. */
static void map_holes(struct pack *p, const char *path, int fd, const struct stat *st)
{
	off_t at = 0;

	if (st->st_size == 0 || (uint64_t)st->st_blocks * 512 >= (uint64_t)st->st_size ||
	    !may_be_sparse(p, path))
		return;
	for (int i = 0; at < st->st_size; i++) {
		off_t data = lseek(fd, at, SEEK_DATA), end;

		if (data < 0 && errno == ENXIO)
			data = st->st_size; /* nothing but a hole up to the end */
		if (data < 0)
			break; /* no such seek here: the rest counts as data */
		if (data >= st->st_size) {
			/* an empty stretch at the end makes the hole before it known */
			if (at == 0)
				archive_entry_sparse_add_entry(p->entry, st->st_size, 0);
			return;
		}
		end = lseek(fd, data, SEEK_HOLE);
		if (end < 0 || end > st->st_size || i >= PACK_STRETCHES_MAX)
			end = st->st_size;
		if (data == 0 && end == st->st_size)
			return; /* no holes */
		archive_entry_sparse_add_entry(p->entry, data, end - data);
		at = end;
	}
	if (at < st->st_size)
		archive_entry_sparse_add_entry(p->entry, at, st->st_size - at);
}

static int copy_content(struct pack *p, const char *path, int fd, const struct stat *st,
			const char *name, struct err *e)
{
	uint64_t size = (uint64_t)st->st_size, at = 0;
	la_int64_t offset, len;
	int r = 0;

	if (archive_entry_sparse_reset(p->entry) == 0)
		return copy_stretch(p, path, fd, 0, size, name, e);
	while (r == 0 && archive_entry_sparse_next(p->entry, &offset, &len) == ARCHIVE_OK) {
		r = skip_hole(p, path, (uint64_t)offset - at, e);
		at = (uint64_t)(offset + len);
		if (r == 0)
			r = copy_stretch(p, path, fd, (uint64_t)offset, at, name, e);
	}
	return r < 0 ? r : skip_hole(p, path, size - at, e);
}

/* True if the file went in as a link to what is there already. */
static bool try_hardlink(struct pack *p, const char *path, const struct stat *st, int *ret,
			 struct err *e)
{
	const char *first = inodes_find(&p->inodes, st->st_dev, st->st_ino);

	if (first) {
		begin(p, path, AE_IFREG, st->st_mode, st);
		archive_entry_copy_hardlink(p->entry, first);
		*ret = write_header(p, path, e);
		return true;
	}
	*ret = inodes_add(&p->inodes, st->st_dev, st->st_ino, path);
	if (*ret == -E2BIG) {
		if (!p->inodes_full)
			log_warning("too many hard links: some become copies");
		p->inodes_full = true;
		*ret = 0;
	} else if (*ret < 0) {
		*ret = err_oom(e);
	}
	return *ret < 0;
}

int pack_file(struct pack *p, const char *path, int fd, const struct stat *st, const char *name,
	      struct err *e)
{
	int r;

	if (st->st_nlink > 1 && try_hardlink(p, path, st, &r, e))
		return r;
	if ((uint64_t)st->st_size > PACK_FILE_MAX)
		return err_set(e, -EFBIG, "%s: is larger than the 16 TiB that a worker can hold",
			       name);
	begin(p, path, AE_IFREG, st->st_mode, st);
	archive_entry_set_size(p->entry, st->st_size);
	map_holes(p, path, fd, st);
	r = write_header(p, path, e);
	return r < 0 ? r : copy_content(p, path, fd, st, name, e);
}

uint64_t pack_entries(const struct pack *p)
{
	return p->entries;
}

uint64_t pack_bytes(const struct pack *p)
{
	return p->bytes;
}
