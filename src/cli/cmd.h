/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The verbs: each takes its own argv (argv[0] is the verb) and returns the exit status. */
#ifndef CONTRACTOR_CLI_CMD_H
#define CONTRACTOR_CLI_CMD_H

enum cmd_status {
	CMD_OK = 0,
	CMD_FAILED = 1,
	CMD_USAGE = 2,
	CMD_LIMIT = 3,
	CMD_DENIED = 4,
	CMD_INFRASTRUCTURE = 5,
};

int cmd_build(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_dump(int argc, char **argv);
int cmd_image(int argc, char **argv);
int cmd_manager(int argc, char **argv);

#endif
