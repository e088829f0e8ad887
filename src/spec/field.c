/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading of mappings by table, and the errors that all of them share. */
#include "field.h"

#include <errno.h>
#include <stdarg.h>

#include "base/buf.h"
#include "base/text.h"

#define FIELDS_MAX 16

int field_fail(struct reader *r, const struct node *at, const char *fmt, ...)
{
	char what[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	return doc_error(r->e, -EINVAL, r->name, at->line, at->column, "%s", what);
}

int field_fail_type(struct reader *r, const struct node *at, const char *wanted)
{
	bool quote = strncmp(wanted, "text", 4) == 0 &&
		     (at->type == NODE_BOOL || at->type == NODE_INT || at->type == NODE_FLOAT);

	return field_fail(r, at, "%s must be %s, not %s%s", r->key, wanted,
			  node_type_words(at->type), quote ? "; put it in quotes" : "");
}

static int fail_unknown(struct reader *r, const struct node *key, const char *what,
			const struct field *fields, size_t n)
{
	_cleanup_buf_ struct buf known = {0};
	const char *names[FIELDS_MAX], *near, *word = key->text;
	char shown[80];

	for (size_t i = 0; i < n; i++) {
		names[i] = fields[i].name;
		if (buf_printf(&known, "%s%s", i ? ", " : "", names[i]) < 0)
			return err_oom(r->e);
	}
	near = text_nearest(word, names, n);
	(void)text_escape_line(word, strlen(word), shown, sizeof(shown));
	if (near)
		return field_fail(r, key, "unknown key \"%s\" in %s; did you mean \"%s\"?", shown,
				  what, near);
	return field_fail(r, key, "unknown key \"%s\" in %s; it may have %s", shown, what,
			  buf_str(&known));
}

static const struct node *find(const struct node *map, const char *name)
{
	for (size_t i = 0; i < map->n; i++) {
		const struct node *key = map->pairs[i].key;

		if (key->type == NODE_STR && strcmp(key->text, name) == 0)
			return map->pairs[i].value;
	}
	return NULL;
}

static bool is_known(const struct node *key, const struct field *fields, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (key->type == NODE_STR && strcmp(key->text, fields[i].name) == 0)
			return true;
	}
	return false;
}

int field_read_all(struct reader *r, const struct node *map, const char *what,
		   const struct field *fields, size_t n)
{
	if (map->type != NODE_MAP) {
		r->key = what;
		return field_fail_type(r, map, "a mapping of keys to values");
	}
	for (size_t i = 0; i < map->n; i++) {
		if (!is_known(map->pairs[i].key, fields, n))
			return fail_unknown(r, map->pairs[i].key, what, fields, n);
	}
	for (size_t i = 0; i < n; i++) {
		const struct node *value = find(map, fields[i].name);
		int rc;

		if (!value && fields[i].required)
			return field_fail(r, map, "%s has no key \"%s\"", what, fields[i].name);
		/* nothing behind an optional key: what a user leaves who comments its value out */
		if (!value || (value->type == NODE_NULL && !fields[i].required))
			continue;
		r->key = fields[i].name;
		rc = fields[i].read(r, value);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int field_text(struct reader *r, const struct node *v, char **ret)
{
	if (v->type != NODE_STR)
		return field_fail_type(r, v, "text");
	if (!v->text[0])
		return field_fail(r, v, "%s is empty", r->key);
	free(*ret);
	*ret = strdup(v->text);
	return *ret ? 0 : err_oom(r->e);
}

int field_word(struct reader *r, const struct node *v, const char *wanted, const char **ret)
{
	if (v->type != NODE_STR && v->type != NODE_INT && v->type != NODE_FLOAT)
		return field_fail_type(r, v, wanted);
	*ret = v->text;
	return 0;
}

int field_choice(struct reader *r, const struct node *v, const char *const *words, size_t n)
{
	_cleanup_buf_ struct buf all = {0};
	char shown[64];

	for (size_t i = 0; i < n; i++) {
		if (v->type == NODE_STR && strcmp(v->text, words[i]) == 0)
			return (int)i;
		if (buf_printf(&all, "%s%s", i == 0 ? "" : i + 1 < n ? ", " : " or ", words[i]) < 0)
			return err_oom(r->e);
	}
	if (v->type != NODE_STR)
		return field_fail_type(r, v, buf_str(&all));
	return field_fail(r, v, "%s must be %s, not \"%s\"", r->key, buf_str(&all),
			  text_escape_line(v->text, strlen(v->text), shown, sizeof(shown)));
}

int field_bool(struct reader *r, const struct node *v, bool *ret)
{
	if (v->type != NODE_BOOL)
		return field_fail_type(r, v, "true or false");
	*ret = v->truth;
	return 0;
}
