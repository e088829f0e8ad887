/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The verbs: each takes its own argv (argv[0] is the verb) and returns the exit status. */
#ifndef CONTRACTOR_CLI_CMD_H
#define CONTRACTOR_CLI_CMD_H

#include <stddef.h>

#include "base/err.h"

enum cmd_status {
	CMD_OK = 0,
	CMD_FAILED = 1,
	CMD_USAGE = 2,
	CMD_LIMIT = 3,
	CMD_DENIED = 4,
	CMD_INFRASTRUCTURE = 5,
};

struct option_verb;

struct cmd_verb {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help; /* a few words */
};

/*
 * Runs the verb that argv[1] names, argv[0] being the word before it: `group` ("image", NULL at the
 * top). Without a word, and with one that is none of them, a message and the status for usage.
 * "help VERB..." is taken as "VERB... --help"; argv is changed then.
 */
int cmd_dispatch(const char *group, const struct cmd_verb *verbs, size_t n, int argc, char **argv);

/* "contractor: TEXT" to stderr. */
void cmd_say(const char *text, void *unused);

/* The same with an error's text; returns the status. */
int cmd_fail(const struct err *e, int status);

/* What each verb says of itself. */
extern const struct option_verb verb_build;
extern const struct option_verb verb_cache_clear;
extern const struct option_verb verb_cache_list;
extern const struct option_verb verb_cache_verify;
extern const struct option_verb verb_check;
extern const struct option_verb verb_completion;
extern const struct option_verb verb_config_show;
extern const struct option_verb verb_doctor;
extern const struct option_verb verb_dump;
extern const struct option_verb verb_gc;
extern const struct option_verb verb_image_build;
extern const struct option_verb verb_image_import;
extern const struct option_verb verb_image_inspect;
extern const struct option_verb verb_image_list;
extern const struct option_verb verb_image_verify;
extern const struct option_verb verb_log;
extern const struct option_verb verb_manager_build;
extern const struct option_verb verb_manager_start;
extern const struct option_verb verb_manager_status;
extern const struct option_verb verb_manager_stop;
extern const struct option_verb verb_report;
extern const struct option_verb verb_shell;
extern const struct option_verb verb_status;

int cmd_build(int argc, char **argv);
int cmd_cache(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_completion(int argc, char **argv);
int cmd_config(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_dump(int argc, char **argv);
int cmd_gc(int argc, char **argv);
int cmd_image(int argc, char **argv);
int cmd_log(int argc, char **argv);
int cmd_manager(int argc, char **argv);
int cmd_manager_start(int argc, char **argv);
int cmd_manager_status(int argc, char **argv);
int cmd_manager_stop(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_shell(int argc, char **argv);
int cmd_status(int argc, char **argv);

#endif
