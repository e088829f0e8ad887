/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From a file to a spec: reading, defaults, paths and the end. */
#include "spec.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>

#include "base/buf.h"
#include "base/io.h"
#include "field.h"

char *spec_resolve(const char *dir, const char *path)
{
	_cleanup_buf_ struct buf b = {0};
	const char *parts[] = {*path == '/' ? "" : dir, path};

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		const char *p = parts[i];

		while (*p) {
			size_t n = strcspn(p, "/");

			if (n == 2 && strncmp(p, "..", 2) == 0) {
				while (b.len > 0 && b.data[b.len - 1] != '/')
					b.len--;
				if (b.len > 0)
					b.len--;
			} else if (n > 0 && !(n == 1 && *p == '.')) {
				if (buf_putc(&b, '/') < 0 || buf_put(&b, p, n) < 0)
					return NULL;
			}
			p += n + (p[n] == '/');
		}
	}
	if (b.len == 0 && buf_putc(&b, '/') < 0)
		return NULL;
	b.data[b.len] = '\0';
	return buf_take(&b);
}

int spec_parse(const char *path, const char *dir, const char *text, size_t len, struct spec **ret,
	       struct err *e)
{
	_cleanup_(spec_free_p) struct spec *s = calloc(1, sizeof(*s));
	_cleanup_(doc_free_p) struct doc *doc = NULL;
	struct reader reader = {.spec = s, .name = path, .e = e};
	int r;

	if (!s)
		return err_oom(e);
	s->limits = spec_limits_default();
	s->priority.nice = SPEC_NICE_DEFAULT;
	s->template = true;
	s->network.denied_fails = true;
	s->network.prepare_repositories = true;
	s->path = strdup(path);
	s->dir = strdup(dir);
	if (!s->path || !s->dir)
		return err_oom(e);
	r = doc_parse(path, text, len, &doc, e);
	if (r < 0)
		return r;
	r = spec_read_root(&reader, doc->root);
	if (r < 0)
		return r;
	s->tree = node_json(doc->root);
	if (!s->tree)
		return err_oom(e);
	*ret = take_ptr(&s);
	return 0;
}

int spec_load(const char *path, struct spec **ret, struct err *e)
{
	_cleanup_free_ char *folder = strdup(path), *dir = NULL;
	_cleanup_buf_ struct buf text = {0};
	char *slash;
	int r = io_read_file(AT_FDCWD, path, DOC_FILE_MAX, &text, e);

	if (r < 0)
		return r;
	if (!folder)
		return err_oom(e);
	slash = strrchr(folder, '/');
	if (slash)
		slash[slash == folder] = '\0';
	dir = realpath(slash ? folder : ".", NULL);
	if (!dir)
		return err_errno(e, -errno, "%s: cannot find its folder", path);
	return spec_parse(path, dir, buf_str(&text), text.len, ret, e);
}

int spec_load_tree(const char *path, cJSON **ret, struct err *e)
{
	_cleanup_(doc_free_p) struct doc *doc = NULL;
	_cleanup_buf_ struct buf text = {0};
	cJSON *tree;
	int r = io_read_file(AT_FDCWD, path, DOC_FILE_MAX, &text, e);

	if (r == 0)
		r = doc_parse(path, buf_str(&text), text.len, &doc, e);
	if (r < 0)
		return r;
	tree = node_json(doc->root);
	if (!tree)
		return err_oom(e);
	*ret = tree;
	return 0;
}

struct spec *spec_free(struct spec *s)
{
	if (!s)
		return NULL;
	for (size_t i = 0; i < s->n_env; i++) {
		free(s->env[i].name);
		free(s->env[i].value);
	}
	free(s->env);
	free(s->network.rules);
	free(s->path);
	free(s->dir);
	free(s->worker_image);
	free(s->source);
	free(s->workspace);
	free(s->build);
	free(s->arch);
	free(s->ansible_files);
	cJSON_Delete(s->ansible);
	cJSON_Delete(s->tree);
	free(s);
	return NULL;
}
