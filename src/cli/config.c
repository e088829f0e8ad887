/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading configuration files with the spec's own YAML reader, and laying them under a spec. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>

#include "base/io.h"
#include "base/json.h"
#include "base/num.h"
#include "base/text.h"
#include "paths.h"
#include "spec/doc.h"

#define MACHINE_FILE "/etc/contractor/config.yaml"

static const char *const key_names[_CONFIG_KEY_MAX] = {
	[CONFIG_ISOLATION] = "isolation",
	[CONFIG_CACHE_DIR] = "cache-dir",
	[CONFIG_JOBS_LIMIT] = "jobs-limit",
};

const char *config_key_name(enum config_key k)
{
	return key_names[k];
}

void config_done(struct config *c)
{
	for (int i = 0; i < _CONFIG_KEY_MAX; i++) {
		free(c->value[i].text);
		free(c->value[i].origin);
	}
	for (int i = 0; i < _SPEC_LIMIT_MAX; i++) {
		free(c->limit[i].text);
		free(c->limit[i].origin);
	}
	*c = (struct config){0};
}

static int set(struct config_value *v, const char *name, const struct node *at, struct err *e)
{
	_cleanup_free_ char *text = strdup(at->text ? at->text : ""), *origin = NULL;

	if (!text || asprintf(&origin, "%s:%d", name, at->line) < 0) {
		origin = NULL;
		return err_oom(e);
	}
	free(v->text);
	free(v->origin);
	v->text = take_ptr(&text);
	v->origin = take_ptr(&origin);
	return 0;
}

static bool is_scalar(const struct node *n)
{
	return n->type != NODE_SEQ && n->type != NODE_MAP && n->text;
}

static int wrong(struct err *e, const char *name, const struct node *at, const char *text)
{
	return doc_error(e, -EINVAL, name, at->line, at->column, "%s", text);
}

static int check_value(enum config_key k, const char *name, const struct node *v, struct err *e)
{
	uint64_t n;

	switch (k) {
	case CONFIG_ISOLATION:
		for (int i = 0; i < _SPEC_ISOLATION_MAX; i++) {
			if (strcmp(v->text, spec_isolation_name(i)) == 0)
				return 0;
		}
		return wrong(e, name, v, "isolation must be auto, nested or single");
	case CONFIG_CACHE_DIR:
		return v->text[0] == '/' ? 0
					 : wrong(e, name, v, "cache-dir must be an absolute path");
	case CONFIG_JOBS_LIMIT:
		if (parse_u64(v->text, &n) == 0 && n > 0)
			return 0;
		return wrong(e, name, v, "jobs-limit must be a number from 1 on");
	case _CONFIG_KEY_MAX:
		break;
	}
	return 0;
}

static int unknown(struct err *e, const char *name, const struct node *key, const char *near)
{
	char shown[64];

	(void)text_escape_line(node_key(key), strlen(node_key(key)), shown, sizeof(shown));
	if (near)
		return doc_error(e, -EINVAL, name, key->line, key->column,
				 "unknown key %s; did you mean %s?", shown, near);
	return doc_error(e, -EINVAL, name, key->line, key->column,
			 "unknown key %s; a configuration has isolation, cache-dir, jobs-limit and "
			 "limits",
			 shown);
}

static int read_limits(struct config *c, const char *name, const struct node *map, bool strict,
		       struct err *e)
{
	struct spec_limits scratch = spec_limits_default();
	const char *names[_SPEC_LIMIT_MAX];

	if (map->type == NODE_NULL)
		return 0;
	if (map->type != NODE_MAP)
		return wrong(e, name, map, "limits must be a mapping of limits to values");
	for (int i = 0; i < _SPEC_LIMIT_MAX; i++)
		names[i] = spec_limit_name(i);
	for (size_t i = 0; i < map->n; i++) {
		const struct node *key = map->pairs[i].key, *v = map->pairs[i].value;
		int limit = spec_limit_find(node_key(key)), r;
		struct err why = ERR_INIT;

		if (limit < 0 && strict)
			return unknown(e, name, key,
				       text_nearest(node_key(key), names, ARRAY_SIZE(names)));
		if (limit < 0 || v->type == NODE_NULL)
			continue;
		if (!is_scalar(v))
			return wrong(e, name, v, "a limit must be a number or text");
		r = spec_limit_set_value(&scratch, names[limit], v->text, &why);
		if (r < 0)
			return wrong(e, name, v, why.text);
		r = set(&c->limit[limit], name, v, e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_root(struct config *c, const char *name, const struct node *root, bool strict,
		     struct err *e)
{
	const char *names[_CONFIG_KEY_MAX + 1];
	int r = 0;

	if (root->type == NODE_NULL)
		return 0;
	if (root->type != NODE_MAP)
		return wrong(e, name, root, "a configuration is a mapping of keys to values");
	memcpy(names, key_names, sizeof(key_names));
	names[_CONFIG_KEY_MAX] = "limits";
	for (size_t i = 0; i < root->n && r == 0; i++) {
		const struct node *key = root->pairs[i].key, *v = root->pairs[i].value;
		int k = 0;

		while (k <= _CONFIG_KEY_MAX && strcmp(node_key(key), names[k]) != 0)
			k++;
		if (k > _CONFIG_KEY_MAX && strict)
			r = unknown(e, name, key,
				    text_nearest(node_key(key), names, ARRAY_SIZE(names)));
		else if (k == _CONFIG_KEY_MAX)
			r = read_limits(c, name, v, strict, e);
		else if (k > _CONFIG_KEY_MAX || v->type == NODE_NULL)
			continue;
		else if (!is_scalar(v))
			r = wrong(e, name, v, "must be a number or text");
		else
			r = check_value(k, name, v, e);
		if (r == 0 && k < _CONFIG_KEY_MAX)
			r = set(&c->value[k], name, v, e);
	}
	return r;
}

int config_read(struct config *c, const char *name, const char *text, size_t len, bool strict,
		struct err *e)
{
	_cleanup_(doc_free_p) struct doc *doc = NULL;
	/* an empty file, or one of comments alone, is no document for the reader */
	const char *p = text + strspn(text, " \t\r\n");
	int r;

	while (*p == '#')
		p += strcspn(p, "\n"), p += strspn(p, " \t\r\n");
	if (!*p)
		return 0;
	r = doc_parse(name, text, len, &doc, e);
	return r < 0 ? r : read_root(c, name, doc->root, strict, e);
}

static int read_file(struct config *c, const char *path, bool strict, struct err *e)
{
	_cleanup_buf_ struct buf text = {0};
	struct err why = ERR_INIT;
	int r = io_read_file(AT_FDCWD, path, DOC_FILE_MAX, &text, &why);

	if (strict && (r == -ENOENT || r == -ENOTDIR))
		return 0;
	if (r < 0)
		return err_set(e, r, "%s", why.text);
	return config_read(c, path, buf_str(&text), text.len, strict, e);
}

int config_read_spec(struct config *c, const char *path, struct err *e)
{
	return read_file(c, path, false, e);
}

int config_load(struct config *ret, struct err *e)
{
	const char *machine = getenv("CONTRACTOR_SYSTEM_CONFIG");
	_cleanup_free_ char *user = paths_config();
	struct config c = {0};
	int r = read_file(&c, machine ? machine : MACHINE_FILE, true, e);

	if (r == 0 && user)
		r = read_file(&c, user, true, e);
	if (r < 0) {
		config_done(&c);
		return r;
	}
	*ret = c;
	return 0;
}

/* Whether the spec itself has the limit, not its default. */
static bool spec_has(const struct spec *s, const char *map, const char *key)
{
	const cJSON *o = map ? json_get(s->tree, map) : s->tree;
	const cJSON *v = json_get(o, key);

	return v && !cJSON_IsNull(v);
}

int config_apply(const struct config *c, struct spec *s, struct err *e)
{
	const char *isolation = c->value[CONFIG_ISOLATION].text;
	int r = 0;

	for (int i = 0; i < _SPEC_LIMIT_MAX && r == 0; i++) {
		if (c->limit[i].text && !spec_has(s, "limits", spec_limit_name(i)))
			r = spec_limit_set_value(&s->limits, spec_limit_name(i), c->limit[i].text,
						 e);
	}
	for (int i = 0; isolation && i < _SPEC_ISOLATION_MAX; i++) {
		if (strcmp(isolation, spec_isolation_name(i)) == 0 &&
		    !spec_has(s, NULL, "isolation"))
			s->isolation = i;
	}
	return r;
}
