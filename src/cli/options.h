/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Options of the verbs by one table each, from which parsing, help and completions are made. */
#ifndef CONTRACTOR_CLI_OPTIONS_H
#define CONTRACTOR_CLI_OPTIONS_H

#include <stdbool.h>

#include "base/buf.h"

/* One option. `id` is its letter where there is one (below 256), else any number above. */
struct option_def {
	int id;
	const char *name;  /* without the dashes; NULL ends a table */
	const char *value; /* what its value is called, "FILE"; NULL: it takes none */
	const char *help;  /* one sentence, may have line feeds */
	const char *words; /* for completions: the values, or @file, @dir; NULL: anything */
};

/* A verb as its user sees it; all are constants. */
struct option_verb {
	const char *name;     /* "build", "image build" */
	const char *operands; /* "SPEC", "[ID]", "" */
	const char *about;    /* for --help, sentences with line feeds */
	const char *more;     /* behind the options, or NULL */
	const struct option_def *defs;
	int min, max;	   /* how many operands */
	const char *words; /* for completions of the operands: @file, @spec, @id or NULL */
};

/* A parse in progress; borrows argv. */
struct options {
	const struct option_verb *verb;
	char **argv; /* argv[0] is the verb's (last) word */
	int argc, at;
	const char *cluster;  /* the rest of -abc */
	const char *value;    /* of the option that was returned */
	const char **operand; /* those so far, in argv's own room */
	int n_operands;
	bool only_operands; /* behind -- */
};

#define OPTIONS_DONE 0
#define OPTIONS_EXIT (-1)

/* Begins; argv is reordered by and by: operands come to its front. */
void options_begin(struct options *o, const struct option_verb *verb, int argc, char **argv);

/*
 * The id of the next option, its value in o->value; OPTIONS_DONE when all is read and the number of
 * operands is right (o->operand, o->n_operands); OPTIONS_EXIT after --help was printed or a mistake
 * told on stderr, the exit status then in *ret_status.
 */
int options_next(struct options *o, int *ret_status);

/* Tells a wrong value on stderr, with what was wanted; returns the exit status for usage. */
int options_bad_value(const struct options *o, const char *option, const char *wanted);

/* Any other mistake in how a verb was called: one sentence, and where help is. The same status. */
int options_misuse(const struct option_verb *verb, const char *fmt, ...) _printf_(2, 3);

/* Pure: the text of --help. 0 or -ENOMEM. */
int options_help(const struct option_verb *verb, struct buf *out);

#endif
