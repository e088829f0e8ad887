/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Limits for people to read: units by the spec's table, bars in plain ASCII. */
#include "bar.h"

#include <inttypes.h>

#include "spec/spec.h"

#define BAR_WIDTH 20

char *bar_value(const char *name, uint64_t v, char out[NUM_TEXT_MAX])
{
	int i = spec_limit_find(name);
	enum spec_unit unit = i < 0 ? SPEC_UNIT_BYTES : spec_limit_unit((enum spec_limit)i);

	switch (unit) {
	case SPEC_UNIT_MS:
		return format_duration(v, out);
	case SPEC_UNIT_COUNT:
		(void)snprintf(out, NUM_TEXT_MAX, "%" PRIu64, v);
		return out;
	case SPEC_UNIT_BYTES:
	case _SPEC_UNIT_MAX:
		break;
	}
	return format_size(v, out);
}

uint64_t bar_share(uint64_t granted, uint64_t used)
{
	if (granted == 0)
		return used ? 1000 : 0;
	/* both are far below 2^54, whatever a hostile manager says: see json_u64 */
	return used > UINT64_MAX / 1000 ? UINT64_MAX / 1000 : used * 1000 / granted;
}

char *bar_text(const char *name, uint64_t granted, uint64_t used, char out[BAR_TEXT_MAX])
{
	uint64_t share = bar_share(granted, used);
	uint64_t filled = MIN((share * BAR_WIDTH + 500) / 1000, (uint64_t)BAR_WIDTH);
	char had[NUM_TEXT_MAX], took[NUM_TEXT_MAX], bar[BAR_WIDTH + 1];

	memset(bar, '.', BAR_WIDTH);
	memset(bar, '#', (size_t)filled);
	bar[BAR_WIDTH] = '\0';
	(void)snprintf(out, BAR_TEXT_MAX, "%-8s [%s] %3" PRIu64 " %%  %s of %s", name, bar,
		       MIN(share / 10, (uint64_t)999), bar_value(name, used, took),
		       bar_value(name, granted, had));
	return out;
}
