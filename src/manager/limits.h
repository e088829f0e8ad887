/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a worker has used, against what it was granted: a pure decision over one sample. */
#ifndef CONTRACTOR_MANAGER_LIMITS_H
#define CONTRACTOR_MANAGER_LIMITS_H

#include <stdbool.h>

#include "order.h"

/* One poll. Times in milliseconds, sizes in bytes. */
struct limits_sample {
	uint64_t at_ms;		/* since the start of the run */
	uint64_t cpu_ms;	/* CPU time of the whole QEMU process */
	uint64_t memory;	/* resident bytes of QEMU */
	uint64_t disk;		/* allocated blocks of the scratch disk */
	uint64_t output;	/* allocated blocks of the output disk */
	uint64_t log;		/* bytes of build output so far */
	uint64_t read, written; /* by the guest on all disks, as QEMU counts */
};

struct limits_hit {
	const char *name; /* as in the spec: time, cpu-time, disk, log */
	uint64_t granted, used;
};

/* Pure: true and *ret when the sample is over one of the order's limits. */
bool limits_over(const struct order *o, const struct limits_sample *s, struct limits_hit *ret);

/* Pure: raises each member of *peak to that of *s. */
void limits_peak(struct limits_sample *peak, const struct limits_sample *s);

#endif
