/* SPDX-License-Identifier: GPL-3.0-or-later */
/* contractor: the verbs, help and version. */
#include <signal.h>

#include "base/log.h"
#include "base/text.h"
#include "cmd.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} verbs[] = {
	{"build", cmd_build, "run a build in a throw-away virtual machine"},
	{"check", cmd_check, "check a spec, and what its network rules allow"},
	{"doctor", cmd_doctor, "tell what this machine has for builds, and what is missing"},
	{"dump", cmd_dump, "print a spec as JSON"},
	{"image", cmd_image, "make worker images"},
	{"manager", cmd_manager, "make the image of the manager VM"},
};

static void print_help(FILE *f)
{
	(void)fprintf(f, "Usage: contractor VERB [OPTION...] [SPEC]\n"
			 "Run builds of code that you did not write, each in a virtual machine of "
			 "its own.\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		(void)fprintf(f, "  %-8s %s\n", verbs[i].name, verbs[i].help);
	(void)fprintf(f, "\ncontractor VERB --help tells more; --version prints the version.\n");
}

static int unknown_verb(const char *word)
{
	const char *names[ARRAY_SIZE(verbs)], *near;
	char shown[64];

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		names[i] = verbs[i].name;
	near = text_nearest(word, names, ARRAY_SIZE(names));
	(void)text_escape_line(word, strlen(word), shown, sizeof(shown));
	if (near)
		(void)fprintf(stderr, "contractor: %s: no such verb; did you mean %s?\n", shown,
			      near);
	else
		(void)fprintf(stderr,
			      "contractor: %s: no such verb; contractor --help lists them\n",
			      shown);
	return CMD_USAGE;
}

int main(int argc, char **argv)
{
	log_setup("contractor", LOG_WARNING);
	(void)signal(SIGPIPE, SIG_IGN);
	if (argc < 2) {
		print_help(stderr);
		return CMD_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		print_help(stdout);
		return CMD_OK;
	}
	if (strcmp(argv[1], "--version") == 0) {
		(void)printf("contractor %s\n", CONTRACTOR_VERSION);
		return CMD_OK;
	}
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (strcmp(argv[1], verbs[i].name) == 0)
			return verbs[i].run(argc - 1, argv + 1);
	}
	return unknown_verb(argv[1]);
}
