/* SPDX-License-Identifier: GPL-3.0-or-later */
/* contractor completion: the script for a shell, from the tables of all verbs. */
#include <errno.h>

#include "cmd.h"
#include "completion.h"

static const struct option_def defs[] = {
	{0},
};

const struct option_verb verb_completion = {
	.name = "completion",
	.operands = "SHELL",
	.about = "Prints the completions for bash, zsh or fish, which an installation has put in "
		 "its\n"
		 "place: source <(contractor completion bash).\n",
	.defs = defs,
	.min = 1,
	.max = 1,
	.words = "bash zsh fish",
};

static const struct option_verb *const all[] = {
	&verb_build,	      &verb_cache_clear,
	&verb_cache_list,     &verb_cache_verify,
	&verb_check,	      &verb_completion,
	&verb_config_show,    &verb_doctor,
	&verb_dump,	      &verb_gc,
	&verb_image_build,    &verb_image_import,
	&verb_image_inspect,  &verb_image_list,
	&verb_image_verify,   &verb_log,
	&verb_manager_build,  &verb_manager_start,
	&verb_manager_status, &verb_manager_stop,
	&verb_report,	      &verb_shell,
	&verb_status,
};

int cmd_completion(int argc, char **argv)
{
	_cleanup_buf_ struct buf out = {0};
	struct options o;
	int r = CMD_USAGE;

	options_begin(&o, &verb_completion, argc, argv);
	if (options_next(&o, &r) < 0)
		return r;
	r = completion_make(o.operand[0], all, ARRAY_SIZE(all), &out);
	if (r == -EINVAL)
		return options_misuse(&verb_completion, "bash, zsh or fish, nothing else");
	if (r < 0 || fputs(buf_str(&out), stdout) < 0 || fflush(stdout) != 0) {
		(void)fprintf(stderr, "contractor: cannot print the completions\n");
		return CMD_INFRASTRUCTURE;
	}
	return CMD_OK;
}
