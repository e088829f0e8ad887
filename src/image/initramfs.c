/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Puts the initramfs together; modules are unpacked here, once, and not at each boot. */
#include "initramfs.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>

#include "base/io.h"
#include "cpio.h"
#include "tree.h"

#define FILE_MAX    (16 * MIB) /* of busybox and of one module */
#define DEP_MAX	    (4 * MIB)
#define PATH_LEN    512
#define MODULES_MAX 256 /* that a worker loads, with what they need */

/* Files of modules.dep, pointing into its text: "path" up to one of " :\n\0". */
struct files {
	const char *at[MODULES_MAX];
	size_t n;
};

static size_t path_len(const char *path)
{
	return strcspn(path, " :\n");
}

/* The length without the ending of a compressed file. */
static size_t plain_len(const char *path)
{
	static const char *const endings[] = {".xz", ".zst", ".gz"};
	size_t n = path_len(path);

	for (size_t i = 0; i < ARRAY_SIZE(endings); i++) {
		size_t len = strlen(endings[i]);

		if (n > len && memcmp(path + n - len, endings[i], len) == 0)
			return n - len;
	}
	return n;
}

/* Is this the file of the module? In names of modules - and _ are the same. */
static bool is_module(const char *path, const char *name, size_t len)
{
	size_t n = plain_len(path);
	const char *base = memrchr(path, '/', n);

	base = base ? base + 1 : path;
	n -= (size_t)(base - path);
	if (n != len + 3 || memcmp(base + len, ".ko", 3) != 0)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (base[i] != name[i] && !(base[i] == '-' && name[i] == '_') &&
		    !(base[i] == '_' && name[i] == '-'))
			return false;
	}
	return true;
}

static const char *next_line(const char *line)
{
	const char *end = strchr(line, '\n');

	return end ? end + 1 : line + strlen(line);
}

static bool same_path(const char *a, const char *b)
{
	return path_len(a) == path_len(b) && memcmp(a, b, path_len(a)) == 0;
}

/* Adds the file and, one after the other, all that its line says it needs (the line has all). */
static int add_line(const char *dep, const char *line, struct files *f, struct err *e)
{
	const char *p = line;

	while (*p && *p != '\n') {
		const char *l = dep;
		bool known = false;

		for (size_t i = 0; i < f->n; i++)
			known |= same_path(f->at[i], p);
		while (*l && !same_path(l, p))
			l = next_line(l);
		if (!*l)
			return err_set(e, -EBADMSG, "modules.dep: no line for %.*s",
				       (int)path_len(p), p);
		if (!known && f->n == MODULES_MAX)
			return err_set(e, -E2BIG, "more than %d kernel modules to load",
				       MODULES_MAX);
		if (!known)
			f->at[f->n++] = l;
		p += path_len(p);
		p += strspn(p, " :");
	}
	return 0;
}

static int compare_paths(const void *a, const void *b)
{
	const char *x = *(const char *const *)a, *y = *(const char *const *)b;
	size_t n = MIN(path_len(x), path_len(y));
	int r = memcmp(x, y, n);

	return r ? r : (path_len(x) > n) - (path_len(y) > n);
}

static int collect(const char *dep, const char *wanted, struct files *f, struct buf *ret_load,
		   struct err *e)
{
	for (const char *w = wanted; *w; w = next_line(w)) {
		size_t len = strcspn(w, " \t\n");
		const char *line = dep;

		if (*w == '#' || len == 0)
			continue;
		while (*line && !is_module(line, w, len))
			line = next_line(line);
		if (!*line)
			continue;
		if ((ret_load->len > 0 && buf_putc(ret_load, ' ') < 0) ||
		    buf_put(ret_load, w, len) < 0)
			return err_oom(e);
		if (add_line(dep, line, f, e) < 0)
			return -EBADMSG;
	}
	if (f->n > 0)
		qsort(f->at, f->n, sizeof(f->at[0]), compare_paths);
	return buf_putc(ret_load, '\n') < 0 ? err_oom(e) : 0;
}

static int put_dep(const struct files *f, struct buf *ret_dep, struct err *e)
{
	for (size_t i = 0; i < f->n; i++) {
		const char *p = f->at[i];
		int r = buf_put(ret_dep, p, plain_len(p));

		if (r == 0)
			r = buf_putc(ret_dep, ':');
		for (p += path_len(p); r == 0 && *p && *p != '\n'; p += path_len(p)) {
			p += strspn(p, " :");
			if (path_len(p) > 0 && (r = buf_putc(ret_dep, ' ')) == 0)
				r = buf_put(ret_dep, p, plain_len(p));
		}
		if (r < 0 || buf_putc(ret_dep, '\n') < 0)
			return err_oom(e);
	}
	return 0;
}

int initramfs_modules(const char *dep, const char *wanted, struct buf *ret_load,
		      struct buf *ret_dep, struct err *e)
{
	struct files f = {.n = 0};
	int r = collect(dep, wanted, &f, ret_load, e);

	return r < 0 ? r : put_dep(&f, ret_dep, e);
}

bool initramfs_has(const char *load, const char *builtin, const char *name)
{
	size_t len = strlen(name), n;

	for (const char *p = load; *p; p += n + strspn(p + n, " \n")) {
		n = strcspn(p, " \n");
		if (n == len && memcmp(p, name, n) == 0)
			return true;
	}
	for (const char *line = builtin; *line; line = next_line(line)) {
		if (is_module(line, name, len))
			return true;
	}
	return false;
}

/* Reads a file through whatever compression it has. */
static int read_unpacked(int root, const char *path, struct buf *out, struct err *e)
{
	_cleanup_close_ int fd = tree_open(root, path, O_RDONLY, 0);
	struct archive *a = archive_read_new();
	struct archive_entry *entry;
	int r = -ENOMEM;

	if (!a)
		return err_oom(e);
	(void)archive_read_support_filter_all(a);
	(void)archive_read_support_format_raw(a);
	if (fd < 0 || archive_read_open_fd(a, fd, 64 * KIB) != ARCHIVE_OK ||
	    archive_read_next_header(a, &entry) != ARCHIVE_OK) {
		r = err_set(e, -EIO, "%s in the image: cannot read: %s", path,
			    fd < 0 ? strerror(-fd) : archive_error_string(a));
		(void)archive_read_free(a);
		return r;
	}
	while ((r = buf_reserve(out, 64 * KIB)) == 0) {
		la_ssize_t n = archive_read_data(a, out->data + out->len, 64 * KIB);

		if (n <= 0) {
			r = n < 0 ? -EIO : 0;
			break;
		}
		out->len += (size_t)n;
		if (out->len > FILE_MAX) {
			r = -EFBIG;
			break;
		}
	}
	(void)archive_read_free(a);
	return r < 0 ? err_errno(e, r, "%s in the image: cannot unpack", path) : 0;
}

/*
 * Cuts the signature off a module: "<signature> <12 bytes, the last 4 the signature's length, big
 * endian> ~Module signature appended~\n", include/linux/module_signature.h of Linux. Checking the
 * signatures of a handful of modules takes a sixth of all instructions of a boot; a kernel that
 * does not insist on one notes that it is missing, and the initramfs is not a way in: who can
 * change it can change the kernel.
 */
static void drop_signature(struct buf *module)
{
	static const char mark[] = "~Module signature appended~\n";
	const size_t mark_len = sizeof(mark) - 1, info_len = 12;
	const unsigned char *p;
	size_t n;

	if (module->len < mark_len + info_len ||
	    memcmp(module->data + module->len - mark_len, mark, mark_len) != 0)
		return;
	p = (const unsigned char *)module->data + module->len - mark_len - 4;
	n = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
	if (n <= module->len - mark_len - info_len)
		module->len -= n + mark_len + info_len;
}

/* Adds the folders above `path` that the archive lacks: those that `last` does not have either. */
static int add_parents(struct cpio *c, const char *path, const char *last)
{
	char part[PATH_LEN];
	int r = 0;

	for (const char *p = strchr(path, '/'); p && r == 0; p = strchr(p + 1, '/')) {
		size_t n = (size_t)(p - path);

		if (n >= sizeof(part))
			return -E2BIG;
		if (strncmp(path, last, n + 1) == 0)
			continue;
		memcpy(part, path, n);
		part[n] = '\0';
		r = cpio_add_dir(c, part);
	}
	return r;
}

static int add_modules(struct cpio *c, int root, const char *release, const char *dep,
		       const char *pruned, struct err *e)
{
	char last[PATH_LEN] = "", to[PATH_LEN], from[PATH_LEN];
	int r;

	(void)snprintf(to, sizeof(to), "lib/modules/%s/modules.dep", release);
	r = add_parents(c, to, last);
	if (r == 0)
		r = cpio_add_file(c, to, 0644, pruned, strlen(pruned));
	memcpy(last, to, sizeof(last));
	for (const char *p = pruned; r == 0 && *p; p = next_line(p)) {
		_cleanup_buf_ struct buf data = {0};
		const char *line = dep;
		int n = (int)path_len(p);

		(void)snprintf(to, sizeof(to), "lib/modules/%s/%.*s", release, n, p);
		while (*line && !(plain_len(line) == (size_t)n && memcmp(line, p, (size_t)n) == 0))
			line = next_line(line);
		(void)snprintf(from, sizeof(from), "lib/modules/%s/%.*s", release,
			       (int)path_len(line), line);
		r = read_unpacked(root, from, &data, e);
		if (r < 0)
			return r;
		drop_signature(&data);
		r = add_parents(c, to, last);
		if (r == 0)
			r = cpio_add_file(c, to, 0644, data.data, data.len);
		memcpy(last, to, sizeof(last));
	}
	return r < 0 ? err_errno(e, r, "cannot put the modules into the initramfs") : 0;
}

static int add_firmware(struct cpio *c, int firmware_fd, const char *name, const char *to,
			mode_t mode, struct err *e)
{
	_cleanup_buf_ struct buf data = {0};
	int r = io_read_file(firmware_fd, name, FILE_MAX, &data, e);

	if (r < 0)
		return err_wrap(e, "the worker's firmware");
	r = cpio_add_file(c, to, mode, data.data, data.len);
	return r < 0 ? err_errno(e, r, "cannot put %s into the initramfs", name) : 0;
}

static int add_base(struct cpio *c, int root, int firmware_fd, struct err *e)
{
	/* mount points of init and of its fstab.* */
	static const char *const dirs[] = {"bin", "dev",  "etc",     "image", "lib",
					   "new", "proc", "scratch", "sys"};
	_cleanup_buf_ struct buf busybox = {0};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(dirs) && r == 0; i++)
		r = cpio_add_dir(c, dirs[i]);
	if (r < 0)
		return err_errno(e, r, "cannot make the initramfs");
	if ((r = add_firmware(c, firmware_fd, "init", "init", 0755, e)) < 0 ||
	    (r = add_firmware(c, firmware_fd, "fstab.kernel", "etc/fstab.kernel", 0644, e)) < 0 ||
	    (r = add_firmware(c, firmware_fd, "fstab.root", "etc/fstab.root", 0644, e)) < 0 ||
	    (r = tree_read(root, "bin/busybox", FILE_MAX, &busybox, e)) < 0)
		return r;
	r = cpio_add_file(c, "bin/busybox", 0755, busybox.data, busybox.len);
	return r < 0 ? err_errno(e, r, "cannot put busybox into the initramfs") : 0;
}

int initramfs_build(int root, const char *release, int firmware_fd, struct buf *out,
		    bool *ret_layers, struct err *e)
{
	_cleanup_buf_ struct buf dep = {0}, wanted = {0}, load = {0}, pruned = {0}, builtin = {0};
	_cleanup_(cpio_done) struct cpio c = {.entries = 0};
	char path[PATH_LEN];
	int r;

	(void)snprintf(path, sizeof(path), "lib/modules/%s/modules.dep", release);
	if ((r = tree_read(root, path, DEP_MAX, &dep, e)) < 0 ||
	    (r = io_read_file(firmware_fd, "modules", DEP_MAX, &wanted, e)) < 0 ||
	    (r = initramfs_modules(buf_str(&dep), buf_str(&wanted), &load, &pruned, e)) < 0 ||
	    (r = add_base(&c, root, firmware_fd, e)) < 0)
		return r;
	r = cpio_add_file(&c, "etc/modules", 0644, load.data, load.len);
	if (r < 0)
		return err_errno(e, r, "cannot make the initramfs");
	r = add_modules(&c, root, release, buf_str(&dep), buf_str(&pruned), e);
	if (r < 0)
		return r;
	r = cpio_end(&c);
	if (r < 0)
		return err_errno(e, r, "cannot make the initramfs");
	(void)snprintf(path, sizeof(path), "lib/modules/%s/modules.builtin", release);
	(void)tree_read(root, path, DEP_MAX, &builtin, NULL);
	*ret_layers = initramfs_has(buf_str(&load), buf_str(&builtin), "erofs");
	*out = c.out;
	c.out = (struct buf){0};
	return 0;
}
