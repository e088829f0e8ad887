/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Resolving module dependencies from the modules themselves: a package that was only unpacked has
 * no modules.dep. */
#include "modules.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdint.h>

#include "base/child.h"
#include "base/io.h"
#include "elf-section.h"

#define MODULE_MAX   (64 * MIB)
#define UNPACK_S     60 /* for one */
#define MODULES_MAX  256
#define NAME_MAX_LEN 64
#define DEPTH_MAX    16

/* All modules of the folder: what was found while walking. */
struct found {
	char *name, *path;
};

struct search {
	const char *dir;
	struct found *v;
	size_t n, size;
	struct buf builtin; /* modules.builtin */
	struct modules *out;
};

/* In the kernel's own spelling, with _ for -. */
static int copy_name(const char *name, size_t n, char out[NAME_MAX_LEN], struct err *e)
{
	if (n >= NAME_MAX_LEN)
		return err_set(e, -EBADMSG, "%.*s: too long for a module's name", NAME_MAX_LEN,
			       name);
	for (size_t i = 0; i < n; i++)
		out[i] = (char)(name[i] == '-' ? '_' : name[i]);
	out[n] = '\0';
	return 0;
}

/* "virtio-rng.ko.xz" has the name virtio_rng; 0, or -EINVAL where it is no module. */
static int module_name(const char *file, char out[NAME_MAX_LEN])
{
	const char *end = strstr(file, ".ko");

	if (!end || end == file || (end[3] != '\0' && end[3] != '.'))
		return -EINVAL;
	return copy_name(file, (size_t)(end - file), out, NULL);
}

static int compare_found(const void *a, const void *b)
{
	return strcmp(((const struct found *)a)->name, ((const struct found *)b)->name);
}

static int compare_entries(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

static int add_found(struct search *s, const char *name, const char *path)
{
	struct found *f;

	if (s->n == s->size) {
		size_t size = s->size ? s->size * 2 : 256;

		f = reallocarray(s->v, size, sizeof(*f));
		if (!f)
			return -ENOMEM;
		s->v = f;
		s->size = size;
	}
	f = &s->v[s->n];
	f->name = strdup(name);
	f->path = strdup(path);
	s->n++;
	return f->name && f->path ? 0 : -ENOMEM;
}

static int walk(struct search *s, struct err *e)
{
	_cleanup_free_ char *dir = strdup(s->dir);
	char *const roots[] = {dir, NULL};
	char name[NAME_MAX_LEN];
	FTSENT *ent;
	int r = 0;
	FTS *fts;

	if (!dir)
		return err_oom(e);
	fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, compare_entries);
	if (!fts)
		return err_errno(e, -errno, "%s", s->dir);
	while (r == 0 && (ent = fts_read(fts))) {
		if (ent->fts_info == FTS_F && module_name(ent->fts_name, name) == 0)
			r = add_found(s, name, ent->fts_path + strlen(s->dir) + 1);
	}
	(void)fts_close(fts);
	if (r < 0)
		return err_oom(e);
	if (s->n == 0)
		return err_set(e, -ENOENT,
			       "%s: no kernel modules in it; name the folder lib/modules/"
			       "VERSION that belongs to the kernel",
			       s->dir);
	qsort(s->v, s->n, sizeof(*s->v), compare_found);
	return 0;
}

/* modules.builtin has lines "kernel/drivers/block/virtio_blk.ko". */
static bool is_builtin(const struct search *s, const char *name)
{
	const char *p = buf_str(&s->builtin);
	char file[256], have[NAME_MAX_LEN];

	while (*p) {
		const char *end = strchrnul(p, '\n'), *slash = memrchr(p, '/', (size_t)(end - p));
		const char *base = slash ? slash + 1 : p;

		(void)snprintf(file, sizeof(file), "%.*s", (int)(end - base), base);
		if (module_name(file, have) == 0 && strcmp(have, name) == 0)
			return true;
		p = *end ? end + 1 : end;
	}
	return false;
}

/* Uncompressed, by the program that the file's name asks for. */
static int read_module(const struct search *s, const char *path, struct buf *out, struct err *e)
{
	static const char *const tools[][2] = {{".xz", "xz"}, {".zst", "zstd"}, {".gz", "gzip"}};
	_cleanup_free_ char *full = NULL;
	const char *dot = strrchr(path, '.');

	out->cap = MODULE_MAX;
	if (asprintf(&full, "%s/%s", s->dir, path) < 0)
		return err_oom(e);
	for (size_t i = 0; i < ARRAY_SIZE(tools); i++) {
		const char *argv[] = {tools[i][1], "-dc", full, NULL};

		if (strcmp(dot, tools[i][0]) == 0)
			return child_run(argv, out, MODULE_MAX, UNPACK_S, e);
	}
	return io_read_file(AT_FDCWD, full, MODULE_MAX, out, e);
}

const char *modules_info(const char *modinfo, size_t len, const char *key)
{
	size_t k = strlen(key);

	for (size_t at = 0; at < len;) {
		const char *end = memchr(modinfo + at, '\0', len - at);

		if (!end)
			return NULL;
		if (strncmp(modinfo + at, key, k) == 0 && modinfo[at + k] == '=')
			return modinfo + at + k + 1;
		at = (size_t)(end - modinfo) + 1;
	}
	return NULL;
}

static bool known(const struct modules *m, const char *name)
{
	for (size_t i = 0; i < m->n; i++) {
		if (strcmp(m->v[i].name, name) == 0)
			return true;
	}
	return false;
}

static int add_module(struct search *s, const char *name, bool optional, int depth, struct err *e);

/* `depends` is "virtio,virtio_ring", or "". */
static int add_depends(struct search *s, const char *depends, bool optional, int depth,
		       struct err *e)
{
	int r = 0;

	while (r == 0 && *depends) {
		size_t n = strcspn(depends, ",");
		char name[NAME_MAX_LEN];

		r = copy_name(depends, n, name, e);
		if (r == 0)
			r = add_module(s, name, optional, depth + 1, e);
		depends += n + (depends[n] == ',');
	}
	return r;
}

static int append(struct modules *m, const struct found *f, bool optional, struct buf *content)
{
	struct module *v = reallocarray(m->v, m->n + 1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	m->v = v;
	v += m->n;
	*v = (struct module){.name = strdup(f->name),
			     .path = strdup(f->path),
			     .optional = optional};
	if (!v->name || !v->path) {
		free(v->name);
		free(v->path);
		return -ENOMEM;
	}
	v->content = *content;
	*content = (struct buf){0};
	m->n++;
	return 0;
}

static int add_module(struct search *s, const char *name, bool optional, int depth, struct err *e)
{
	_cleanup_buf_ struct buf content = {0};
	const struct found *f = bsearch(&(struct found){.name = (char *)name}, s->v, s->n,
					sizeof(*s->v), compare_found);
	const char *info, *depends;
	size_t len;
	int r;

	if (known(s->out, name))
		return 0;
	if (!f) {
		if (optional || is_builtin(s, name))
			return 0;
		return err_set(e, -ENOENT,
			       "%s: the kernel has no module %s, and it is not built in", s->dir,
			       name);
	}
	if (depth > DEPTH_MAX || s->out->n >= MODULES_MAX)
		return err_set(e, -EBADMSG, "%s: the modules depend on each other without end",
			       s->dir);
	r = read_module(s, f->path, &content, e);
	if (r < 0)
		return r;
	r = elf_section(content.data, content.len, ".modinfo", &info, &len);
	depends = r == 0 ? modules_info(info, len, "depends") : NULL;
	if (!depends)
		return err_set(e, -EBADMSG, "%s/%s: not a kernel module of this architecture",
			       s->dir, f->path);
	r = add_depends(s, depends, optional, depth, e);
	if (r < 0)
		return r;
	return append(s->out, f, optional, &content) < 0 ? err_oom(e) : 0;
}

/* Only the optional ones of the list, or only the others. */
static int add_wanted(struct search *s, const char *wanted, bool optional, struct err *e)
{
	int r = 0;

	while (r == 0 && *wanted) {
		const char *end = strchrnul(wanted, '\n');
		bool is_optional = *wanted == '?';
		char name[NAME_MAX_LEN] = "";

		wanted += is_optional;
		r = copy_name(wanted, strcspn(wanted, "# \t\n"), name, e);
		if (r == 0 && name[0] && is_optional == optional)
			r = add_module(s, name, optional, 0, e);
		wanted = *end ? end + 1 : end;
	}
	return r;
}

int modules_find(const char *dir, const char *wanted, struct modules *ret, struct err *e)
{
	_cleanup_free_ char *builtin = NULL;
	struct modules out = {0};
	struct search s = {.dir = dir, .out = &out};
	int r;

	if (asprintf(&builtin, "%s/modules.builtin", dir) < 0) {
		builtin = NULL;
		return err_oom(e);
	}
	r = io_read_file(AT_FDCWD, builtin, MIB, &s.builtin, e);
	if (r == 0)
		r = walk(&s, e);
	if (r == 0)
		r = add_wanted(&s, wanted, false, e);
	/* after the others, so that what both need is not optional */
	if (r == 0)
		r = add_wanted(&s, wanted, true, e);
	for (size_t i = 0; i < s.n; i++) {
		free(s.v[i].name);
		free(s.v[i].path);
	}
	free(s.v);
	buf_done(&s.builtin);
	if (r < 0)
		modules_done(&out);
	else
		*ret = out;
	return r;
}

void modules_done(struct modules *m)
{
	for (size_t i = 0; i < m->n; i++) {
		free(m->v[i].name);
		free(m->v[i].path);
		buf_done(&m->v[i].content);
	}
	free(m->v);
	*m = (struct modules){0};
}
