/* SPDX-License-Identifier: GPL-3.0-or-later */
/* contractor dump SPEC: the spec as JSON, through the real parser. */
#include <errno.h>
#include <getopt.h>

#include "base/json.h"
#include "cmd.h"
#include "spec/spec.h"

static const char usage[] = "usage: contractor dump SPEC\n"
			    "\n"
			    "Checks the build spec and prints it as JSON.\n"
			    "\n"
			    "  -h, --help  this text\n";

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

	if (spec_load(path, &s, &e) < 0) {
		(void)fprintf(stderr, "contractor: %s\n", e.text);
		return 2;
	}
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
	static const struct option options[] = {
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int c;

	optind = 0; /* glibc: start anew, whatever was parsed before */
	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'h')
			return put_stdout(usage) ? 0 : 2;
		(void)fputs(usage, stderr);
		return 2;
	}
	if (argc - optind != 1) {
		(void)fputs(usage, stderr);
		return 2;
	}
	return dump(argv[optind]);
}
