/* SPDX-License-Identifier: GPL-3.0-or-later */
/* main() of a program that is `contractor check` and nothing else. */
#include "../../../src/cli/cmd.h"

int main(int argc, char **argv)
{
	return cmd_check(argc, argv);
}
