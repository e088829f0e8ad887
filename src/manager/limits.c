/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The decision whether a sample is over a limit, and the peaks for the report. */
#include "limits.h"

bool limits_over(const struct order *o, const struct limits_sample *s, struct limits_hit *ret)
{
	const struct limits_hit all[] = {
		{"cpu-time", o->cpu_time_ms, s->cpu_ms},
		{"time", o->time_ms, s->at_ms},
		{"log", o->log, s->log},
	};

	if (s->disk >= o->disk_full_at) {
		*ret = (struct limits_hit){"disk", o->disk, MAX(s->disk, o->disk)};
		return true;
	}

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		if (all[i].used > all[i].granted) {
			*ret = all[i];
			return true;
		}
	}
	return false;
}

void limits_peak(struct limits_sample *peak, const struct limits_sample *s)
{
	peak->at_ms = MAX(peak->at_ms, s->at_ms);
	peak->cpu_ms = MAX(peak->cpu_ms, s->cpu_ms);
	peak->memory = MAX(peak->memory, s->memory);
	peak->disk = MAX(peak->disk, s->disk);
	peak->output = MAX(peak->output, s->output);
	peak->log = MAX(peak->log, s->log);
	peak->read = MAX(peak->read, s->read);
	peak->written = MAX(peak->written, s->written);
}
