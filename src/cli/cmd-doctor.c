/* SPDX-License-Identifier: GPL-3.0-or-later */
/* contractor doctor: what this machine has, and what builds will do with it. */
#include <errno.h>

#include "cmd.h"
#include "doctor.h"
#include "options.h"

static const struct option_def defs[] = {
	{256, "json", NULL, "one JSON object, not text", NULL},
	{0},
};

const struct option_verb verb_doctor = {
	.name = "doctor",
	.operands = "",
	.about = "Tells what this machine has for builds, and what is missing. Exit status 0 when "
		 "a build\n"
		 "can run, 5 when none can.\n",
	.defs = defs,
};

int cmd_doctor(int argc, char **argv)
{
	_cleanup_buf_ struct buf out = {0};
	struct doctor_facts facts;
	struct doctor_report report;
	bool json = false;
	struct options o;
	int c, r = CMD_USAGE;

	options_begin(&o, &verb_doctor, argc, argv);
	while ((c = options_next(&o, &r)) > 0)
		json = true;
	if (c < 0)
		return r;
	doctor_probe(&facts);
	doctor_judge(&facts, &report);
	if ((json ? doctor_print_json(&report, &out) : doctor_print_text(&report, &out)) < 0 ||
	    fputs(buf_str(&out), stdout) < 0 || fflush(stdout) != 0) {
		(void)fprintf(stderr, "contractor: cannot print the report: %s\n", strerror(errno));
		return CMD_INFRASTRUCTURE;
	}
	return report.can_build ? CMD_OK : CMD_INFRASTRUCTURE;
}
