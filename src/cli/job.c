/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From the build and what of it is to be done now to the order and the input of one worker. */
#include "job.h"

#include <sys/stat.h>

#include "disks.h"
#include "home.h"
#include "paths.h"

/* A limit of 0 would be none, or refused: 1 is as good as nothing. */
static uint64_t left(uint64_t granted, uint64_t spent)
{
	return granted > spent ? granted - spent : 1;
}

uint64_t job_total(const struct build *b)
{
	uint64_t total = b->spec->network.total;

	return total ? left(total, b->spent.up + b->spent.down) : 0;
}

bool job_keeps_home(const struct build *b, const struct session_job *job)
{
	return b->nested && job->template != ORDER_TEMPLATE_NONE;
}

void job_limits_left(const struct build *b, struct order *o)
{
	const struct spec_limits *l = &b->spec->limits;

	o->time_ms = left(l->time_ms, b->spent.at_ms);
	o->cpu_time_ms = left(l->cpu_time_ms, b->spent.cpu_ms);
	o->log = l->log - MIN(l->log, b->spent.log);
}

void job_order(const struct build *b, const struct session_job *job, struct order *o)
{
	const struct spec_limits *l = &b->spec->limits;
	const struct manifest *m = b->manifest;

	*o = (struct order){
		.machine = VM_MACHINE_VIRT,
		.force_tcg = b->opt.force_tcg || (b->nested && !b->plan.worker_kvm),
		.cpus = b->nested ? b->plan.worker_cpus : l->cpus,
		.memory = l->memory,
		.root = {m->root.offset, m->root.size},
		.kernel = {m->kernel.offset, m->kernel.size},
		.initrd = {m->initrd.offset, m->initrd.size},
		.seed = {m->seed.offset, m->seed.size},
		.boot_ms = b->opt.boot_ms,
		.template = job->template,
		.prepare = job->prepare,
		.disk = l->disk,
		.disk_full_at = job->scratch_full_at,
		.output = job->prepare ? DISKS_NO_OUTPUT : l->output,
		.nice = b->spec->priority.nice,
		.io = home_io(b->spec->priority.io),
		.network =
			{
				.enabled = job->n_rules > 0,
				.rules = (struct net_rule *)job->rules,
				.n_rules = job->n_rules,
				.rate = b->spec->network.rate,
				.total = job_total(b),
			},
	};
	job_limits_left(b, o);
	if (job_keeps_home(b, job)) {
		/* the same for every build that goes on from there */
		o->template = ORDER_TEMPLATE_HOLD;
		o->disk_full_at = l->disk; /* in there nobody sees how much is allocated */
		o->network.total = b->spec->network.total;
	}
	if (strcmp(b->machine, "microvm") == 0)
		o->machine = VM_MACHINE_MICROVM;
	else if (strcmp(b->machine, "q35") == 0)
		o->machine = VM_MACHINE_Q35;
	(void)snprintf(o->arch, sizeof(o->arch), "%s", m->arch);
	(void)snprintf(o->cmdline, sizeof(o->cmdline), "%s", m->cmdline);
}

void job_tree(const struct build *b, const struct session_job *job, struct input_tree *t,
	      struct input_skip skip[JOB_SKIP_MAX])
{
	_cleanup_free_ char *cache = NULL;
	struct err e = ERR_INIT;
	struct stat st;

	if (job->prepare) {
		*t = (struct input_tree){
			.workspace_fd = -1,
			.source_fd = job->files,
			.workspace_name = "",
			.source_name = b->spec->ansible_files ? b->spec->ansible_files : "",
			.old_sources = "",
			.outside_links = "",
		};
		return;
	}
	*t = (struct input_tree){
		.workspace_fd = b->workspace.fd,
		.source_fd = b->source_fd,
		.workspace_name = b->spec->workspace,
		.source_name = b->spec->source,
		.skip = skip,
		.old_sources = buf_str(&b->workspace.sources),
		.old_sources_len = b->workspace.sources.len,
		.outside_links = buf_str(&b->workspace.outside_links),
		.outside_links_len = b->workspace.outside_links.len,
	};
	/* with `source: .` all of these may lie in the source, and none is source */
	if (b->workspace.fd >= 0 && fstat(b->workspace.fd, &st) == 0)
		skip[t->n_skip++] = (struct input_skip){st.st_dev, st.st_ino};
	if (fstat(b->image_fd, &st) == 0)
		skip[t->n_skip++] = (struct input_skip){st.st_dev, st.st_ino};
	if (paths_cache(&cache, &e) == 0 && stat(cache, &st) == 0)
		skip[t->n_skip++] = (struct input_skip){st.st_dev, st.st_ino};
}

void job_count_spent(const struct build *b, struct verdict *v)
{
	const struct {
		const char *name;
		uint64_t spent;
	} all[] = {
		{"time", b->spent.at_ms},
		{"cpu-time", b->spent.cpu_ms},
		{"log", b->spent.log},
		{"bandwidth", b->spent.up + b->spent.down},
	};
	const struct verdict old = *v;

	if (v->kind != VERDICT_LIMIT)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		if (strcmp(old.limit, all[i].name) != 0 || all[i].spent == 0)
			continue;
		*v = verdict_limit(old.limit, old.granted + all[i].spent, old.used + all[i].spent,
				   old.at_ms + b->spent.at_ms);
		v->exit_code = old.exit_code;
	}
}

void job_add_spent(const struct build *b, struct limits_sample *s)
{
	const struct limits_sample *before = &b->spent;

	s->at_ms += before->at_ms;
	s->cpu_ms += before->cpu_ms;
	s->log += before->log;
	s->read += before->read;
	s->written += before->written;
	s->up += before->up;
	s->down += before->down;
	s->kvm_exits += before->kvm_exits;
	for (size_t i = 0; i < _LIMITS_DISK_MAX; i++) {
		s->disks[i].read += before->disks[i].read;
		s->disks[i].written += before->disks[i].written;
	}
	for (uint32_t i = 0; i < s->n_vcpus; i++)
		s->vcpu_ms[i] += before->vcpu_ms[i];
}
