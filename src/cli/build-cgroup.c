/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The cgroup of one build: how large, what the kernel did in it, what the report says of it. */
#include <fcntl.h>

#include "base/io.h"
#include "build.h"
#include "vm/walls.h"

/* What QEMU takes beside the guest's memory: 128 MiB resident at most, and the kernel for it. */
#define OWN_MEMORY (160 * MIB)
/* The manager VM's keeps more translated code: see home.c. */
#define OWN_MEMORY_NESTED (768 * MIB)

void build_cgroup_make(struct build *b)
{
	const struct spec_limits *l = &b->spec->limits;
	_cleanup_buf_ struct buf self = {0};
	struct cgroup_walls w = {
		.cpus = b->nested ? b->plan.cpus : (unsigned)l->cpus,
		.memory = b->nested ? b->plan.memory + OWN_MEMORY_NESTED : l->memory + OWN_MEMORY,
	};
	struct err e = ERR_INIT;

	b->cgroup = (struct cgroup)CGROUP_INIT;
	w.pids = vm_threads_max(w.cpus);
	if (io_read_file(AT_FDCWD, "/proc/self/cgroup", 64 * KIB, &self, &e) < 0)
		(void)snprintf(b->cgroup.why, sizeof(b->cgroup.why), "%.200s", e.text);
	else
		cgroup_make(CGROUP_ROOT, buf_str(&self), getpid(), &w, &b->cgroup);
}

void build_cgroup_leave(struct build *b, const char *why)
{
	cgroup_done(&b->cgroup);
	b->cgroup = (struct cgroup)CGROUP_INIT;
	(void)snprintf(b->cgroup.why, sizeof(b->cgroup.why), "%s", why);
}

void build_cgroup_judge(struct build *b)
{
	uint64_t granted = b->spec->limits.memory;

	if (b->verdict.kind == VERDICT_INFRASTRUCTURE && cgroup_oom_kills(&b->cgroup) > 0)
		b->verdict = verdict_limit("memory", granted, MAX(b->peak.memory, granted + 1),
					   b->peak.at_ms);
}

void build_cgroup_report(const struct build *b, cJSON *report)
{
	const struct cgroup *c = &b->cgroup;
	cJSON *o = cJSON_AddObjectToObject(report, "cgroup");

	if (c->path[0]) {
		(void)cJSON_AddStringToObject(o, "path", c->path);
		(void)cJSON_AddBoolToObject(o, "cpu.max", c->cpu);
		(void)cJSON_AddBoolToObject(o, "memory.max", c->memory);
		(void)cJSON_AddBoolToObject(o, "pids.max", c->pids);
	}
	if (c->why[0])
		(void)cJSON_AddStringToObject(o, "why", c->why);
}
