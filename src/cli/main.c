/* SPDX-License-Identifier: GPL-3.0-or-later */
/* contractor: the verbs and the version. */
#include <signal.h>

#include "base/log.h"
#include "cmd.h"

static const struct cmd_verb verbs[] = {
	{"build", cmd_build, "run a build in a throw-away virtual machine"},
	{"cache", cmd_cache, "list, verify or clear what is kept for later builds"},
	{"check", cmd_check, "check a spec, and what its network rules allow"},
	{"completion", cmd_completion, "print the completions for a shell"},
	{"config", cmd_config, "show the configuration that holds"},
	{"doctor", cmd_doctor, "tell what this machine has for builds, and what is missing"},
	{"dump", cmd_dump, "print a spec as JSON"},
	{"gc", cmd_gc, "remove the records of old builds"},
	{"image", cmd_image, "make, import and look at worker images"},
	{"log", cmd_log, "print the output of a past or running build"},
	{"manager", cmd_manager, "managers in virtual machines: their image, those that wait"},
	{"report", cmd_report, "tell how a past build went"},
	{"shell", cmd_shell, "work in a worker by hand"},
	{"status", cmd_status, "list running, waiting and past builds"},
};

int main(int argc, char **argv)
{
	log_setup("contractor", LOG_WARNING);
	(void)signal(SIGPIPE, SIG_IGN);
	if (argc >= 2 && strcmp(argv[1], "--version") == 0) {
		(void)printf("contractor %s\n", CONTRACTOR_VERSION);
		return CMD_OK;
	}
	return cmd_dispatch(NULL, verbs, ARRAY_SIZE(verbs), argc, argv);
}
