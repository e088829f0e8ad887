/* SPDX-License-Identifier: GPL-3.0-or-later */
/* report.json and the closing summary of a build. */
#ifndef CONTRACTOR_CLI_REPORT_H
#define CONTRACTOR_CLI_REPORT_H

#include "build.h"

/* The report as a JSON tree; NULL: OOM. */
cJSON *report_make(const struct build *b);

/* Writes the record's report.json. 0 or a negative errno. */
int report_write(const struct build *b, struct err *e);

/* The summary on stderr: verdict, phases, and where everything is. */
void report_summary(struct build *b);

#endif
