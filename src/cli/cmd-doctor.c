/* SPDX-License-Identifier: GPL-3.0-or-later */
/* contractor doctor: what this machine has, and what builds will do with it. */
#include <errno.h>
#include <getopt.h>

#include "cmd.h"
#include "doctor.h"

static const char usage[] =
	"usage: contractor doctor [--json]\n"
	"\n"
	"Tells what this machine has for builds, and what is missing. Exit status 0 when a build\n"
	"can run, 5 when none can.\n"
	"\n"
	"      --json  one JSON object, not text\n"
	"  -h, --help  this text\n";

int cmd_doctor(int argc, char **argv)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	_cleanup_buf_ struct buf out = {0};
	struct doctor_facts facts;
	struct doctor_report report;
	bool json = false;
	int c;

	optind = 0;
	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'h')
			return fputs(usage, stdout) < 0 ? CMD_USAGE : CMD_OK;
		if (c == 'j') {
			json = true;
			continue;
		}
		(void)fputs(usage, stderr);
		return CMD_USAGE;
	}
	if (optind != argc) {
		(void)fputs(usage, stderr);
		return CMD_USAGE;
	}
	doctor_probe(&facts);
	doctor_judge(&facts, &report);
	if ((json ? doctor_print_json(&report, &out) : doctor_print_text(&report, &out)) < 0 ||
	    fputs(buf_str(&out), stdout) < 0 || fflush(stdout) != 0) {
		(void)fprintf(stderr, "contractor: cannot print the report: %s\n", strerror(errno));
		return CMD_INFRASTRUCTURE;
	}
	return report.can_build ? CMD_OK : CMD_INFRASTRUCTURE;
}
