/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From a word to the verb that it names, and what is said when it names none. */
#include "base/text.h"
#include "cmd.h"

#define NAMES_MAX 32

static void print_help(const char *group, const struct cmd_verb *verbs, size_t n)
{
	const char *space = group ? " " : "";

	group = group ? group : "";
	(void)printf("Usage: contractor%s%s VERB [OPTION...] [SPEC]\n", space, group);
	if (!*group)
		(void)printf("Run builds of code that you did not write, each in a virtual machine "
			     "of its own.\n");
	(void)printf("\n");
	for (size_t i = 0; i < n; i++)
		(void)printf("  %-10s %s\n", verbs[i].name, verbs[i].help);
	(void)printf("\ncontractor%s%s VERB --help tells more%s.\n", space, group,
		     *group ? "" : "; --version prints the version");
}

/* One or two lines: people type verbs wrong far more often than they want to read all of them. */
static int misuse(const char *group, const char *word, const char *near)
{
	size_t len = strlen(word);
	const char *space = group ? " " : "";

	group = group ? group : "";
	if (!*group && !near && len > 5 && strcmp(word + len - 5, ".yaml") == 0)
		(void)fprintf(stderr,
			      "contractor: %s: no such verb; did you mean contractor build %s?\n",
			      word, word);
	else if (near)
		(void)fprintf(stderr, "contractor: %s%s%s: no such verb; did you mean %s?\n", group,
			      space, word, near);
	else
		(void)fprintf(stderr,
			      "contractor: %s%s%s: no such verb; contractor%s%s --help lists "
			      "them\n",
			      group, space, word, space, group);
	return CMD_USAGE;
}

int cmd_dispatch(const char *group, const struct cmd_verb *verbs, size_t n, int argc, char **argv)
{
	const char *names[NAMES_MAX], *word = argc < 2 ? NULL : argv[1];
	char shown[64];
	size_t n_names = 0;
	char option[] = "--help";

	if (word && strcmp(word, "help") == 0 && argc > 2) {
		/* help VERB... is VERB... --help */
		memmove(argv + 1, argv + 2, ((size_t)argc - 2) * sizeof(*argv));
		argv[argc - 1] = option;
		word = argv[1];
	}
	if (!word && group)
		(void)fprintf(stderr,
			      "contractor: %s: which verb? contractor %s --help lists them\n",
			      group, group);
	else if (!word)
		(void)fprintf(stderr, "contractor: nothing to do\n"
				      "Try: contractor build hello.yaml, or: contractor --help\n");
	if (!word)
		return CMD_USAGE;
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
		print_help(group, verbs, n);
		return fflush(stdout) == 0 ? CMD_OK : CMD_INFRASTRUCTURE;
	}
	for (size_t i = 0; i < n; i++) {
		if (strcmp(word, verbs[i].name) == 0)
			return verbs[i].run(argc - 1, argv + 1);
	}
	for (size_t i = 0; i < n && i < NAMES_MAX; i++)
		names[n_names++] = verbs[i].name;
	(void)text_escape_line(word, strlen(word), shown, sizeof(shown));
	return misuse(group, shown, text_nearest(word, names, n_names));
}

void cmd_say(const char *text, void *unused)
{
	(void)fprintf(stderr, "contractor: %s\n", text);
}

int cmd_fail(const struct err *e, int status)
{
	cmd_say(e->text, NULL);
	return status;
}
