/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Writing completion scripts: which words may stand where is in the tables alone. */
#include "completion.h"

#include <errno.h>

static const char ids[] = "$(contractor status --all 2>/dev/null | cut -d' ' -f1)";

/* The first word of "image build", or all of "build". */
static size_t group_len(const struct option_verb *v)
{
	return strcspn(v->name, " ");
}

static bool is_grouped(const struct option_verb *v)
{
	return v->name[group_len(v)] != '\0';
}

/* True for the first verb of its group. */
static bool is_first(const struct option_verb *const *verbs, size_t i)
{
	for (size_t k = 0; k < i; k++) {
		if (group_len(verbs[k]) == group_len(verbs[i]) &&
		    strncmp(verbs[k]->name, verbs[i]->name, group_len(verbs[i])) == 0)
			return false;
	}
	return true;
}

/* The second words of a group, each followed by a space. */
static int put_seconds(struct buf *out, const struct option_verb *const *verbs, size_t n, size_t of)
{
	size_t len = group_len(verbs[of]);
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		if (group_len(verbs[i]) == len && is_grouped(verbs[i]) &&
		    strncmp(verbs[i]->name, verbs[of]->name, len) == 0)
			r = buf_printf(out, "%s ", verbs[i]->name + len + 1);
	}
	return r;
}

/* A help text in single quotes, on one line, brackets escaped where zsh wants it. */
static int put_help(struct buf *out, const char *help, bool brackets)
{
	int r = 0;

	for (const char *p = help; *p && r == 0; p++) {
		if (*p == '\'')
			r = buf_puts(out, "'\\''");
		else if (brackets && (*p == '[' || *p == ']' || *p == ':'))
			r = buf_printf(out, "\\%c", *p);
		else
			r = buf_putc(out, *p == '\n' ? ' ' : *p);
	}
	return r;
}

static int bash_words(struct buf *out, const char *words)
{
	if (!words)
		return buf_puts(out, "return");
	if (strcmp(words, "@file") == 0)
		return buf_puts(out, "COMPREPLY=($(compgen -f -- \"$cur\"))");
	if (strcmp(words, "@dir") == 0)
		return buf_puts(out, "COMPREPLY=($(compgen -d -- \"$cur\"))");
	if (strcmp(words, "@spec") == 0)
		return buf_puts(out, "COMPREPLY=($(compgen -f -X '!*.yaml' -- \"$cur\") $(compgen "
				     "-d -- \"$cur\"))");
	return buf_printf(out, "COMPREPLY=($(compgen -W \"%s\" -- \"$cur\"))",
			  strcmp(words, "@id") == 0 ? ids : words);
}

static int bash_verb(struct buf *out, const struct option_verb *v)
{
	int r = buf_printf(out, "\t'%s')\n\t\tcase $prev in\n", v->name);

	for (const struct option_def *d = v->defs; d->name && r == 0; d++) {
		if (!d->value)
			continue;
		r = d->id < 256 ? buf_printf(out, "\t\t--%s|-%c) ", d->name, d->id)
				: buf_printf(out, "\t\t--%s) ", d->name);
		if (r == 0)
			r = bash_words(out, d->words);
		if (r == 0)
			r = buf_puts(out, "; return ;;\n");
	}
	if (r == 0)
		r = buf_puts(out,
			     "\t\tesac\n\t\tif [[ $cur == -* ]]; then\n\t\t\tCOMPREPLY=($(compgen "
			     "-W '");
	for (const struct option_def *d = v->defs; d->name && r == 0; d++)
		r = buf_printf(out, "--%s ", d->name);
	if (r == 0)
		r = buf_puts(out, "--help' -- \"$cur\"))\n\t\t\treturn\n\t\tfi\n\t\t");
	if (r == 0)
		r = v->max ? bash_words(out, v->words) : buf_puts(out, "return");
	return r < 0 ? r : buf_puts(out, " ;;\n");
}

static int make_bash(const struct option_verb *const *verbs, size_t n, struct buf *out)
{
	int r = buf_puts(out, "# bash completion for contractor, made by contractor completion\n"
			      "_contractor()\n{\n"
			      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} "
			      "prev=${COMP_WORDS[COMP_CWORD-1]} verb=${COMP_WORDS[1]}\n"
			      "\tCOMPREPLY=()\n\tif ((COMP_CWORD == 1)); then\n"
			      "\t\tCOMPREPLY=($(compgen -W '");

	for (size_t i = 0; i < n && r == 0; i++) {
		if (is_first(verbs, i))
			r = buf_printf(out, "%.*s ", (int)group_len(verbs[i]), verbs[i]->name);
	}
	if (r == 0)
		r = buf_puts(out, "--help --version' -- \"$cur\"))\n\t\treturn\n\tfi\n"
				  "\tcase $verb in\n");
	for (size_t i = 0; i < n && r == 0; i++) {
		if (!is_first(verbs, i) || !is_grouped(verbs[i]))
			continue;
		r = buf_printf(out,
			       "\t%.*s)\n\t\tverb=\"$verb ${COMP_WORDS[2]}\"\n"
			       "\t\tif ((COMP_CWORD == 2)); then\n"
			       "\t\t\tCOMPREPLY=($(compgen -W '",
			       (int)group_len(verbs[i]), verbs[i]->name);
		if (r == 0)
			r = put_seconds(out, verbs, n, i);
		if (r == 0)
			r = buf_puts(out, "' -- \"$cur\"))\n\t\t\treturn\n\t\tfi ;;\n");
	}
	if (r == 0)
		r = buf_puts(out, "\tesac\n\tcase $verb in\n");
	for (size_t i = 0; i < n && r == 0; i++)
		r = bash_verb(out, verbs[i]);
	return r < 0 ? r
		     : buf_puts(out, "\tesac\n}\n"
				     "complete -o filenames -F _contractor contractor\n");
}

static int zsh_words(struct buf *out, const char *words)
{
	if (!words)
		return buf_puts(out, " ");
	if (strcmp(words, "@file") == 0)
		return buf_puts(out, "_files");
	if (strcmp(words, "@dir") == 0)
		return buf_puts(out, "_files -/");
	if (strcmp(words, "@spec") == 0)
		return buf_puts(out, "_files -g \"*.yaml\"");
	if (strcmp(words, "@id") == 0)
		return buf_puts(out, "($(contractor status --all 2>/dev/null | cut -d\" \" -f1))");
	return buf_printf(out, "(%s)", words);
}

static int zsh_verb(struct buf *out, const struct option_verb *v)
{
	int r = buf_printf(out, "\t'%s')\n\t\t_arguments '(- *)'{-h,--help}'[this text]'", v->name);

	for (const struct option_def *d = v->defs; d->name && r == 0; d++) {
		r = d->id < 256
			    ? buf_printf(out, " \\\n\t\t\t{-%c%s,--%s%s}'[", d->id,
					 d->value ? "+" : "", d->name, d->value ? "=" : "")
			    : buf_printf(out, " \\\n\t\t\t'--%s%s[", d->name, d->value ? "=" : "");
		if (r == 0)
			r = put_help(out, d->help, true);
		if (r == 0)
			r = buf_puts(out, "]");
		if (r == 0 && d->value) {
			r = buf_printf(out, ":%s:", d->value);
			if (r == 0)
				r = zsh_words(out, d->words);
		}
		if (r == 0)
			r = buf_puts(out, "'");
	}
	if (r == 0 && v->max) {
		r = buf_puts(out, " \\\n\t\t\t'1:");
		if (r == 0)
			r = put_help(out, v->operands, true);
		if (r == 0)
			r = buf_puts(out, ":");
		if (r == 0)
			r = zsh_words(out, v->words);
		if (r == 0)
			r = buf_puts(out, "'");
	}
	return r < 0 ? r : buf_puts(out, " ;;\n");
}

static int make_zsh(const struct option_verb *const *verbs, size_t n, struct buf *out)
{
	int r = buf_puts(out, "#compdef contractor\n"
			      "# made by contractor completion\n"
			      "_contractor()\n{\n\tlocal verb=$words[2]\n"
			      "\tif ((CURRENT == 2)); then\n\t\tcompadd -- ");

	for (size_t i = 0; i < n && r == 0; i++) {
		if (is_first(verbs, i))
			r = buf_printf(out, "%.*s ", (int)group_len(verbs[i]), verbs[i]->name);
	}
	if (r == 0)
		r = buf_puts(out, "--help --version\n\t\treturn\n\tfi\n"
				  "\tshift words\n\t((CURRENT--))\n\tcase $verb in\n");
	for (size_t i = 0; i < n && r == 0; i++) {
		if (!is_first(verbs, i) || !is_grouped(verbs[i]))
			continue;
		r = buf_printf(out, "\t%.*s)\n\t\tif ((CURRENT == 2)); then\n\t\t\tcompadd -- ",
			       (int)group_len(verbs[i]), verbs[i]->name);
		if (r == 0)
			r = put_seconds(out, verbs, n, i);
		if (r == 0)
			r = buf_puts(out, "\n\t\t\treturn\n\t\tfi\n"
					  "\t\tverb=\"$verb $words[2]\"\n"
					  "\t\tshift words\n\t\t((CURRENT--)) ;;\n");
	}
	if (r == 0)
		r = buf_puts(out, "\tesac\n\tcase $verb in\n");
	for (size_t i = 0; i < n && r == 0; i++)
		r = zsh_verb(out, verbs[i]);
	return r < 0 ? r
		     : buf_puts(out, "\tesac\n}\n"
				     "if [ \"$funcstack[1]\" = _contractor ]; then\n"
				     "\t_contractor \"$@\"\nelse\n\tcompdef _contractor "
				     "contractor\nfi\n");
}

static int fish_words(struct buf *out, const char *words)
{
	if (!words)
		return buf_puts(out, " -x");
	if (strcmp(words, "@file") == 0 || strcmp(words, "@spec") == 0)
		return buf_puts(out, " -rF");
	if (strcmp(words, "@dir") == 0)
		return buf_puts(out, " -xa '(__fish_complete_directories)'");
	if (strcmp(words, "@id") == 0)
		return buf_puts(out,
				" -xa '(contractor status --all 2>/dev/null | cut -d\" \" -f1)'");
	return buf_printf(out, " -xa '%s'", words);
}

/* The condition under which a verb's words are offered. */
static int fish_when(struct buf *out, const struct option_verb *v)
{
	size_t len = group_len(v);
	int r = buf_printf(out, "complete -c contractor -n '__contractor_at %.*s", (int)len,
			   v->name);

	if (r == 0 && is_grouped(v))
		r = buf_printf(out, " %s", v->name + len + 1);
	return r < 0 ? r : buf_puts(out, "'");
}

static int fish_verb(struct buf *out, const struct option_verb *v)
{
	int r = 0;

	for (const struct option_def *d = v->defs; d->name && r == 0; d++) {
		r = fish_when(out, v);
		if (r == 0)
			r = buf_printf(out, " -l %s", d->name);
		if (r == 0 && d->id < 256)
			r = buf_printf(out, " -s %c", d->id);
		if (r == 0 && d->value)
			r = fish_words(out, d->words);
		if (r == 0)
			r = buf_puts(out, " -d '");
		if (r == 0)
			r = put_help(out, d->help, false);
		if (r == 0)
			r = buf_puts(out, "'\n");
	}
	if (r == 0)
		r = fish_when(out, v);
	if (r == 0)
		r = buf_puts(out, " -l help -s h -d 'this text'\n");
	if (r == 0 && v->words) {
		r = fish_when(out, v);
		if (r == 0)
			r = fish_words(out, v->words);
		if (r == 0)
			r = buf_puts(out, "\n");
	}
	return r;
}

static int make_fish(const struct option_verb *const *verbs, size_t n, struct buf *out)
{
	int r = buf_puts(out, "# fish completion for contractor, made by contractor completion\n"
			      "function __contractor_at\n"
			      "\tset -l words (commandline -opc)\n"
			      "\ttest \"$words[2]\" = \"$argv[1]\"; or return 1\n"
			      "\ttest (count $argv) -lt 2; or test \"$words[3]\" = \"$argv[2]\"\n"
			      "end\n"
			      "complete -c contractor -f\n"
			      "complete -c contractor -n __fish_use_subcommand -l help -s h\n"
			      "complete -c contractor -n __fish_use_subcommand -l version\n");

	for (size_t i = 0; i < n && r == 0; i++) {
		if (!is_first(verbs, i))
			continue;
		r = buf_printf(out, "complete -c contractor -n __fish_use_subcommand -a %.*s\n",
			       (int)group_len(verbs[i]), verbs[i]->name);
		if (r < 0 || !is_grouped(verbs[i]))
			continue;
		r = buf_printf(out, "complete -c contractor -n '__contractor_at %.*s' -a '",
			       (int)group_len(verbs[i]), verbs[i]->name);
		if (r == 0)
			r = put_seconds(out, verbs, n, i);
		if (r == 0)
			r = buf_puts(out, "'\n");
	}
	for (size_t i = 0; i < n && r == 0; i++)
		r = fish_verb(out, verbs[i]);
	return r;
}

int completion_make(const char *shell, const struct option_verb *const *verbs, size_t n,
		    struct buf *out)
{
	if (strcmp(shell, "bash") == 0)
		return make_bash(verbs, n, out);
	if (strcmp(shell, "zsh") == 0)
		return make_zsh(verbs, n, out);
	if (strcmp(shell, "fish") == 0)
		return make_fish(verbs, n, out);
	return -EINVAL;
}
