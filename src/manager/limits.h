/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a worker has used, against what it was granted: a pure decision over one sample. */
#ifndef CONTRACTOR_MANAGER_LIMITS_H
#define CONTRACTOR_MANAGER_LIMITS_H

#include <stdbool.h>

#include "order.h"

#define LIMITS_POLL_MS	 250
#define LIMITS_VCPUS_MAX 32 /* of more, the first ones are shown */

/* The worker's disks, by the names of QEMU's block nodes. */
enum limits_disk {
	LIMITS_DISK_ROOT,
	LIMITS_DISK_INPUT,
	LIMITS_DISK_OUTPUT,
	LIMITS_DISK_SCRATCH,
	_LIMITS_DISK_MAX,
};

struct limits_io {
	uint64_t read, written; /* bytes */
};

/*
 * One poll. Times in milliseconds, sizes in bytes. What limits are judged by comes from the
 * kernel: times, memory, blocks of files, and what came through the log's socket. The traffic of
 * the disks and the exits are QEMU's word, which of the threads is which vCPU too; a QEMU that is
 * taken over may say what it likes there, and it is for the graph only.
 */
struct limits_sample {
	uint64_t at_ms;	 /* since the start of the run */
	uint64_t cpu_ms; /* CPU time of the whole QEMU process */
	uint64_t memory; /* resident bytes of QEMU: the guest's memory in use, and QEMU's own */
	uint64_t disk;	 /* allocated blocks of the scratch disk */
	uint64_t output; /* allocated blocks of the output disk */
	uint64_t log;	 /* bytes of build output so far */
	uint64_t read, written;			  /* by the guest on all disks */
	uint64_t up, down;			  /* payload from and to the worker's network */
	uint64_t kvm_exits;			  /* of all vCPUs; 0 where there is no KVM */
	struct limits_io disks[_LIMITS_DISK_MAX]; /* the same for each */
	uint64_t vcpu_ms[LIMITS_VCPUS_MAX];	  /* CPU time of each vCPU's thread */
	uint32_t n_vcpus;
};

struct limits_hit {
	const char *name; /* as in the spec: time, cpu-time, disk, log */
	uint64_t granted, used;
};

/* Pure: true and *ret when the sample is over one of the order's limits. */
bool limits_over(const struct order *o, const struct limits_sample *s, struct limits_hit *ret);

/* Pure: raises each member of *peak to that of *s. */
void limits_peak(struct limits_sample *peak, const struct limits_sample *s);

/*
 * Pure: how long the next poll may wait, 10 to LIMITS_POLL_MS ms: shorter as the CPU time runs
 * out, which all vCPUs and QEMU's main thread together can do in a fraction of what is left.
 */
uint64_t limits_poll_ms(const struct order *o, const struct limits_sample *s);

/* A disk's name: root, input, output, scratch. */
const char *limits_disk_name(enum limits_disk d);

/* Adds a sample's members to an object (allocation failures leave some out: it is telemetry). */
void limits_sample_to_json(const struct limits_sample *s, cJSON *o);

/* Reads them back; what is absent or no sane number is 0. Hostile input is fine. */
void limits_sample_from_json(const cJSON *o, struct limits_sample *ret);

#endif
