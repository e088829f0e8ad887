/* SPDX-License-Identifier: GPL-3.0-or-later */
/* contractor dump SPEC: the spec as JSON, through the real parser. */
#include <errno.h>

#include "base/json.h"
#include "cmd.h"
#include "options.h"
#include "spec/spec.h"

static const struct option_def defs[] = {
	{0},
};

const struct option_verb verb_dump = {
	.name = "dump",
	.operands = "SPEC",
	.about = "Checks the build spec and prints it as JSON.\n",
	.defs = defs,
	.min = 1,
	.max = 1,
	.words = "@spec",
};

/* True if all of it has reached stdout's file; what is closed or full is an error, not silence. */
static bool put_stdout(const char *text)
{
	return fputs(text, stdout) >= 0 && fflush(stdout) == 0;
}

static int dump(const char *path)
{
	_cleanup_(spec_free_p) struct spec *s = NULL;
	_cleanup_free_ char *text = NULL;
	struct err e = ERR_INIT;

	if (spec_load(path, &s, &e) < 0)
		return cmd_fail(&e, CMD_USAGE);
	text = json_print_pretty(s->tree);
	if (!text || !put_stdout(text)) {
		(void)fprintf(stderr, "contractor: cannot print the spec: %s\n",
			      text ? strerror(errno) : "out of memory");
		return 2;
	}
	return 0;
}

int cmd_dump(int argc, char **argv)
{
	struct options o;
	int r = CMD_USAGE;

	options_begin(&o, &verb_dump, argc, argv);
	if (options_next(&o, &r) < 0)
		return r;
	return dump(o.operand[0]);
}
