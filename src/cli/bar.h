/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What was used of a limit, in words and as a bar. */
#ifndef CONTRACTOR_CLI_BAR_H
#define CONTRACTOR_CLI_BAR_H

#include <stdint.h>

#include "base/num.h"

#define BAR_TEXT_MAX 160

/* Pure: the value in the unit of the spec's limit `name` ("12.4 s", "1.5 GiB", "200"); out. */
char *bar_value(const char *name, uint64_t v, char out[NUM_TEXT_MAX]);

/* Pure: used of granted in thousandths; more than 1000 is possible, 0 of 0 is 0. */
uint64_t bar_share(uint64_t granted, uint64_t used);

/* Pure: "cpu-time  [########............]  40 %  2 min 00 s of 5 min 00 s"; out. */
char *bar_text(const char *name, uint64_t granted, uint64_t used, char out[BAR_TEXT_MAX]);

#endif
