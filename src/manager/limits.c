/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The decision whether a sample is over a limit, and the peaks for the report. */
#include "limits.h"

#define POLL_LEAST_MS 10

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
	peak->up = MAX(peak->up, s->up);
	peak->down = MAX(peak->down, s->down);
	peak->kvm_exits = MAX(peak->kvm_exits, s->kvm_exits);
	for (size_t i = 0; i < _LIMITS_DISK_MAX; i++) {
		peak->disks[i].read = MAX(peak->disks[i].read, s->disks[i].read);
		peak->disks[i].written = MAX(peak->disks[i].written, s->disks[i].written);
	}
	for (size_t i = 0; i < LIMITS_VCPUS_MAX; i++)
		peak->vcpu_ms[i] = MAX(peak->vcpu_ms[i], s->vcpu_ms[i]);
	peak->n_vcpus = MAX(peak->n_vcpus, s->n_vcpus);
}

uint64_t limits_poll_ms(const struct order *o, const struct limits_sample *s)
{
	uint64_t left = o->cpu_time_ms > s->cpu_ms ? o->cpu_time_ms - s->cpu_ms : 0;

	/* never over the remaining time, and never so often that polling itself is a load */
	return MAX(MIN(left / (o->cpus + 1), (uint64_t)LIMITS_POLL_MS), (uint64_t)POLL_LEAST_MS);
}
