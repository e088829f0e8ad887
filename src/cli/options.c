/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading options by a verb's table, and what is said when they are wrong. */
#include "options.h"

#include <stdarg.h>

#include "base/text.h"
#include "cmd.h"

#define NAMES_MAX 64

void options_begin(struct options *o, const struct option_verb *verb, int argc, char **argv)
{
	*o = (struct options){
		.verb = verb, .argc = argc, .argv = argv, .at = 1, .operand = (const char **)argv};
}

int options_help(const struct option_verb *verb, struct buf *out)
{
	int r = buf_printf(out, "Usage: contractor %s [OPTION...]%s%s\n\n%s\n", verb->name,
			   *verb->operands ? " " : "", verb->operands, verb->about);

	for (const struct option_def *d = verb->defs; d->name && r == 0; d++) {
		char left[64];
		const char *p = d->help;

		(void)snprintf(left, sizeof(left), "%s--%s%s%s",
			       d->id < 256 ? (char[]){'-', (char)d->id, ',', ' ', '\0'} : "    ",
			       d->name, d->value ? " " : "", d->value ? d->value : "");
		r = buf_printf(out, "  %-26s ", left);
		while (r == 0 && *p) {
			size_t n = strcspn(p, "\n");

			r = buf_printf(out, "%.*s\n", (int)n, p);
			p += n + (p[n] == '\n');
			if (r == 0 && *p)
				r = buf_printf(out, "%29s", "");
		}
	}
	if (r == 0)
		r = buf_printf(out, "  %-26s %s\n", "-h, --help", "this text");
	if (r == 0 && verb->more)
		r = buf_printf(out, "\n%s", verb->more);
	return r;
}

int options_misuse(const struct option_verb *verb, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)fprintf(stderr, "contractor: %s: %s\nTry: contractor %s --help\n", verb->name, text,
		      verb->name);
	return CMD_USAGE;
}

int options_bad_value(const struct options *o, const char *option, const char *wanted)
{
	char shown[128];

	(void)text_escape_line(o->value, strlen(o->value), shown, sizeof(shown));
	return options_misuse(o->verb, "%s %s: %s", option, shown, wanted);
}

static int print_help(const struct option_verb *verb)
{
	_cleanup_buf_ struct buf out = {0};

	if (options_help(verb, &out) < 0 || fputs(buf_str(&out), stdout) < 0 || fflush(stdout) != 0)
		return CMD_INFRASTRUCTURE;
	return CMD_OK;
}

static const struct option_def *find_name(const struct option_verb *verb, const char *name,
					  size_t len)
{
	for (const struct option_def *d = verb->defs; d->name; d++) {
		if (strlen(d->name) == len && strncmp(d->name, name, len) == 0)
			return d;
	}
	return NULL;
}

static int unknown_name(const struct option_verb *verb, const char *name, size_t len)
{
	_cleanup_free_ char *word = strndup(name, len);
	const char *names[NAMES_MAX], *near;
	char shown[128];
	size_t n = 0;

	for (const struct option_def *d = verb->defs; d->name && n < NAMES_MAX - 1; d++)
		names[n++] = d->name;
	names[n++] = "help";
	near = word ? text_nearest(word, names, n) : NULL;
	(void)text_escape_line(name, len, shown, sizeof(shown));
	if (near)
		return options_misuse(verb, "--%s: no such option; did you mean --%s?", shown,
				      near);
	return options_misuse(verb, "--%s: no such option", shown);
}

/* What stands behind --: NAME, or NAME=VALUE, or NAME with its value in the next word. */
static int read_long(struct options *o, const char *word, int *ret_status)
{
	size_t len = strcspn(word, "=");
	const struct option_def *d = find_name(o->verb, word, len);

	if (!d && len == 4 && strncmp(word, "help", 4) == 0) {
		*ret_status = print_help(o->verb);
		return OPTIONS_EXIT;
	}
	if (!d) {
		*ret_status = unknown_name(o->verb, word, len);
		return OPTIONS_EXIT;
	}
	o->value = word[len] == '=' ? word + len + 1 : NULL;
	if (!d->value && o->value) {
		*ret_status = options_misuse(o->verb, "--%s takes no value", d->name);
		return OPTIONS_EXIT;
	}
	if (d->value && !o->value && o->at < o->argc)
		o->value = o->argv[o->at++];
	if (d->value && !o->value) {
		*ret_status = options_misuse(o->verb, "--%s wants a value: --%s %s", d->name,
					     d->name, d->value);
		return OPTIONS_EXIT;
	}
	return d->id;
}

/* One letter of a word such as -qv; a value is the rest of the word or the next one. */
static int read_letter(struct options *o, int *ret_status)
{
	const struct option_def *d = o->verb->defs;
	char letter = *o->cluster++;
	char shown[32];

	while (d->name && d->id != letter)
		d++;
	if (!d->name && letter == 'h') {
		*ret_status = print_help(o->verb);
		return OPTIONS_EXIT;
	}
	if (!d->name) {
		(void)text_escape_line(&letter, 1, shown, sizeof(shown));
		*ret_status = options_misuse(o->verb, "-%s: no such option", shown);
		return OPTIONS_EXIT;
	}
	o->value = NULL;
	if (d->value) {
		if (*o->cluster)
			o->value = o->cluster;
		else if (o->at < o->argc)
			o->value = o->argv[o->at++];
		o->cluster = NULL;
		if (!o->value) {
			*ret_status = options_misuse(o->verb, "-%c wants a value: -%c %s", letter,
						     letter, d->value);
			return OPTIONS_EXIT;
		}
	}
	return d->id;
}

static int finish(struct options *o, int *ret_status)
{
	const struct option_verb *v = o->verb;
	char shown[128];

	o->operand[o->n_operands] = NULL;
	if (o->n_operands < v->min) {
		*ret_status = options_misuse(v, "%s is missing: contractor %s %s", v->operands,
					     v->name, v->operands);
		return OPTIONS_EXIT;
	}
	if (o->n_operands > v->max) {
		const char *extra = o->operand[v->max];

		(void)text_escape_line(extra, strlen(extra), shown, sizeof(shown));
		if (v->max == 0)
			*ret_status = options_misuse(v, "%s: takes nothing but options", shown);
		else
			*ret_status = options_misuse(v, "%s: one too many, it takes %s", shown,
						     v->operands);
		return OPTIONS_EXIT;
	}
	return OPTIONS_DONE;
}

int options_next(struct options *o, int *ret_status)
{
	if (o->cluster && *o->cluster)
		return read_letter(o, ret_status);
	o->cluster = NULL;
	while (o->at < o->argc) {
		char *word = o->argv[o->at++];

		if (o->only_operands || word[0] != '-' || !word[1]) {
			/* never overtakes what is still to be read */
			o->operand[o->n_operands++] = word;
		} else if (word[1] != '-') {
			o->cluster = word + 1;
			return read_letter(o, ret_status);
		} else if (word[2]) {
			return read_long(o, word + 2, ret_status);
		} else {
			o->only_operands = true;
		}
	}
	return finish(o, ret_status);
}
