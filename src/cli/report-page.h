/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A build's report as one HTML file that fetches nothing and runs nothing. */
#ifndef CONTRACTOR_CLI_REPORT_PAGE_H
#define CONTRACTOR_CLI_REPORT_PAGE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/json.h"

/*
 * Pure: the page of a report.json and the end of its log (with whether that is all of the log).
 * Nothing in them is trusted: every text is escaped, every number read as one. 0, -ENOMEM or
 * -E2BIG.
 */
int report_page(const cJSON *report, const char *log, size_t log_len, bool log_whole,
		struct buf *out);

/* Pure: appends text so that it is text in an element and in a quoted attribute, whatever it is. */
int page_text(struct buf *out, const char *text, size_t len);

/* Pure: appends the plots of the report's samples. */
int report_plots(const cJSON *report, struct buf *out);

#endif
