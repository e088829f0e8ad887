/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The top-level keys of a spec, and what they must be together. */
#include <errno.h>

#include "base/num.h"
#include "base/text.h"
#include "field.h"

/* The kernel takes no longer "NAME=value" at exec (MAX_ARG_STRLEN, 32 pages of 4 KiB). */
#define ENV_ENTRY_MAX (128 * KIB - 1)

static const char *const isolation_names[_SPEC_ISOLATION_MAX] = {
	[SPEC_ISOLATION_AUTO] = "auto",
	[SPEC_ISOLATION_NESTED] = "nested",
	[SPEC_ISOLATION_SINGLE] = "single",
};

const char *spec_isolation_name(enum spec_isolation i)
{
	return isolation_names[i];
}

static const char *const io_names[_SPEC_IO_MAX] = {
	[SPEC_IO_LOW] = "low",
	[SPEC_IO_IDLE] = "idle",
	[SPEC_IO_NORMAL] = "normal",
};

const char *spec_io_name(enum spec_io io)
{
	return io_names[io];
}

int spec_io_find(const char *name)
{
	for (int i = 0; i < _SPEC_IO_MAX; i++) {
		if (strcmp(io_names[i], name) == 0)
			return i;
	}
	return -ENOENT;
}

static int read_worker_image(struct reader *r, const struct node *v)
{
	return field_text(r, v, &r->spec->worker_image);
}

static int read_source(struct reader *r, const struct node *v)
{
	return field_text(r, v, &r->spec->source);
}

static int read_workspace(struct reader *r, const struct node *v)
{
	r->workspace = v;
	return field_text(r, v, &r->spec->workspace);
}

static int read_build(struct reader *r, const struct node *v)
{
	int rc = field_text(r, v, &r->spec->build);

	if (rc == 0 && r->spec->build[strspn(r->spec->build, " \t\n")] == '\0')
		return field_fail(r, v, "build has no command");
	return rc;
}

static int read_ansible(struct reader *r, const struct node *v)
{
	if (v->type != NODE_SEQ)
		return field_fail_type(r, v, "a playbook: a list of plays");
	r->spec->ansible = node_json(v);
	return r->spec->ansible ? 0 : err_oom(r->e);
}

static int read_ansible_files(struct reader *r, const struct node *v)
{
	return field_text(r, v, &r->spec->ansible_files);
}

static int read_max_age(struct reader *r, const struct node *v)
{
	uint64_t *age = &r->spec->prepare_max_age_ms;
	const char *word;
	int rc = field_word(r, v, "a duration, such as 7d", &word);

	if (rc < 0)
		return rc;
	if (parse_duration(v->type == NODE_INT ? v->number : word, age) < 0 || *age < 1000)
		return field_fail(r, v, "max-age must be a duration of 1s or more, such as 7d");
	return 0;
}

static int read_prepare(struct reader *r, const struct node *v)
{
	static const struct field fields[] = {{"max-age", read_max_age, false}};

	return field_read_all(r, v, "prepare", fields, ARRAY_SIZE(fields));
}

static int read_isolation(struct reader *r, const struct node *v)
{
	int i = field_choice(r, v, isolation_names, ARRAY_SIZE(isolation_names));

	if (i < 0)
		return i;
	r->spec->isolation = (enum spec_isolation)i;
	return 0;
}

static int read_arch(struct reader *r, const struct node *v)
{
	/* QEMU's names; the other two are what a distribution calls them */
	static const char *const names[] = {"aarch64", "arm",	  "i386",  "loongarch64",
					    "ppc64",   "riscv64", "s390x", "x86_64"};
	int i;

	if (v->type == NODE_STR && strcmp(v->text, "amd64") == 0)
		return field_fail(r, v, "arch: amd64 is called x86_64 here");
	if (v->type == NODE_STR && strcmp(v->text, "arm64") == 0)
		return field_fail(r, v, "arch: arm64 is called aarch64 here");
	i = field_choice(r, v, names, ARRAY_SIZE(names));
	return i < 0 ? i : field_text(r, v, &r->spec->arch);
}

static int read_limits(struct reader *r, const struct node *v)
{
	struct err why = ERR_INIT;

	if (v->type != NODE_MAP)
		return field_fail_type(r, v, "a mapping of limits to values");
	for (size_t i = 0; i < v->n; i++) {
		const struct node *key = v->pairs[i].key, *value = v->pairs[i].value;
		const char *word;
		int rc;

		if (spec_limit_find(key->text) < 0) {
			(void)spec_limit_set_value(&r->spec->limits, key->text, "", &why);
			return field_fail(r, key, "%s", why.text);
		}
		if (value->type == NODE_NULL)
			continue;
		r->key = key->text;
		rc = field_word(r, value, "a number or text with a unit", &word);
		if (rc < 0)
			return rc;
		if (value->type == NODE_INT)
			word = value->number;
		if (spec_limit_set_value(&r->spec->limits, key->text, word, &why) < 0)
			return field_fail(r, value, "%s", why.text);
	}
	return 0;
}

static int read_nice(struct reader *r, const struct node *v)
{
	uint64_t n;

	if (v->type != NODE_INT || parse_u64(v->number, &n) < 0 || n > 19)
		return field_fail(r, v, "nice must be a whole number from 0 to 19");
	r->spec->priority.nice = (int)n;
	return 0;
}

static int read_io(struct reader *r, const struct node *v)
{
	int i = field_choice(r, v, io_names, ARRAY_SIZE(io_names));

	if (i < 0)
		return i;
	r->spec->priority.io = (enum spec_io)i;
	return 0;
}

static int read_priority(struct reader *r, const struct node *v)
{
	static const struct field fields[] = {
		{"nice", read_nice, false},
		{"io", read_io, false},
	};

	return field_read_all(r, v, "priority", fields, ARRAY_SIZE(fields));
}

static int read_template(struct reader *r, const struct node *v)
{
	return field_bool(r, v, &r->spec->template);
}

static bool is_env_name(const char *s)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";

	if (!*s || !strchr(letters, *s))
		return false;
	for (; *s; s++) {
		if (!strchr(letters, *s) && (*s < '0' || *s > '9'))
			return false;
	}
	return true;
}

static int read_variable(struct reader *r, const struct node_pair *p, struct spec_env *env)
{
	const struct node *v = p->value;
	char shown[64];

	(void)text_escape_line(p->key->text, strlen(p->key->text), shown, sizeof(shown));
	if (p->key->type != NODE_STR || !is_env_name(p->key->text))
		return field_fail(r, p->key,
				  "\"%s\" is no name for a variable (letters, digits, _)%s", shown,
				  p->key->type == NODE_STR ? "" : "; is it meant so? quote it");
	if (v->type == NODE_NULL)
		return field_fail(r, v, "%s has no value; write '' for an empty one", shown);
	if (v->type == NODE_SEQ || v->type == NODE_MAP)
		return field_fail(r, v, "%s must be text or a number, not %s", shown,
				  node_type_words(v->type));
	if (strlen(p->key->text) + strlen(v->text) + 1 > ENV_ENTRY_MAX)
		return field_fail(r, v, "%s is too long for an environment variable", shown);
	env->name = strdup(p->key->text);
	env->value = strdup(v->text);
	return env->name && env->value ? 0 : err_oom(r->e);
}

static int read_env(struct reader *r, const struct node *v)
{
	struct spec *s = r->spec;

	if (v->type != NODE_MAP)
		return field_fail_type(r, v, "a mapping of names to values");
	s->env = calloc(v->n + 1, sizeof(*s->env));
	if (!s->env)
		return err_oom(r->e);
	for (size_t i = 0; i < v->n; i++) {
		int rc = read_variable(r, &v->pairs[i], &s->env[s->n_env++]);

		if (rc < 0)
			return rc;
	}
	return 0;
}

/* True if the absolute path is the folder or lies in it. */
static bool is_inside(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	if (strcmp(folder, "/") == 0)
		return true;
	return strncmp(path, folder, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* The workspace is replaced as a whole after a build: nothing else of the user's may be in it. */
static int check_workspace(struct reader *r)
{
	const struct spec *s = r->spec;
	const struct {
		const char *what, *path;
	} others[] = {
		{"the spec", "."},
		{"the source", s->source},
		{"the worker image", s->worker_image},
		{"the files of the play", s->ansible_files ? s->ansible_files : s->source},
	};
	_cleanup_free_ char *workspace = spec_resolve(s->dir, s->workspace);

	if (!workspace)
		return err_oom(r->e);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		_cleanup_free_ char *other = spec_resolve(s->dir, others[i].path);

		if (!other)
			return err_oom(r->e);
		if (is_inside(other, workspace))
			return field_fail(r, r->workspace,
					  "the workspace would hold %s, and be replaced with it; "
					  "name a folder of its own",
					  others[i].what);
	}
	return 0;
}

int spec_read_root(struct reader *r, const struct node *root)
{
	static const struct field fields[] = {
		{"worker-image", read_worker_image, true},
		{"ansible", read_ansible, false},
		{"ansible-files", read_ansible_files, false},
		{"prepare", read_prepare, false},
		{"template", read_template, false},
		{"source", read_source, true},
		{"workspace", read_workspace, true},
		{"build", read_build, true},
		{"isolation", read_isolation, false},
		{"arch", read_arch, false},
		{"limits", read_limits, false},
		{"priority", read_priority, false},
		{"network", network_read, false},
		{"env", read_env, false},
	};
	int rc = field_read_all(r, root, "the spec", fields, ARRAY_SIZE(fields));

	return rc < 0 ? rc : check_workspace(r);
}
