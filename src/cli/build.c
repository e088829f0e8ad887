/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A build in order: image, workspace, disks, session, save, report. */
#include "build.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "archive/output.h"
#include "base/io.h"
#include "base/num.h"
#include "config.h"
#include "disks.h"
#include "events.h"
#include "isolation.h"
#include "paths.h"
#include "prepare.h"
#include "progress.h"
#include "report.h"
#include "save.h"
#include "scratch.h"
#include "session.h"
#include "stock.h"
#include "template.h"
#include "turn.h"
#include "vm/find.h"

/* Emulated boots take seconds, overloaded build servers a multiple; nobody waits five minutes. */
#define BOOT_DEADLINE_MS 300000
/* Report, console, and the lists of the workspace. */
#define RECORD_WORST (8 * MIB)

uint64_t build_now(const struct build *b)
{
	return io_now_ms() - b->started_ms;
}

/* A phase that has ended, with what it copied. */
static void tell_phase(struct build *b, const struct build_phase *p)
{
	struct build_progress all = {.phase = p->name, .ms = p->end_ms - p->start_ms};
	char text[160];

	if (strcmp(p->name, "copy-in") == 0)
		all.bytes = b->layers[0] ? b->in_moved : b->in_bytes;
	else if (strcmp(p->name, "save") == 0)
		all.bytes = b->out_bytes;
	all.rate = all.ms ? all.bytes * 1000 / all.ms : 0;
	ui_detail(&b->ui, "%s", progress_text(&all, text, sizeof(text)));
	if (all.bytes)
		events_progress(b, &all);
}

void build_phase(struct build *b, const char *name)
{
	uint64_t now = build_now(b);
	struct build_phase *p;

	if (b->n_phases > 0) {
		p = &b->phases[b->n_phases - 1];
		if (p->end_ms == 0) {
			p->end_ms = MAX(now, (uint64_t)1);
			tell_phase(b, p);
		}
	}
	if (!name || strcmp(name, "done") == 0 || b->n_phases == BUILD_PHASES_MAX)
		return;
	p = &b->phases[b->n_phases++];
	*p = (struct build_phase){.start_ms = now};
	(void)snprintf(p->name, sizeof(p->name), "%s", name);
	if (b->n_samples > 0 && strcmp(name, "copy-in") == 0)
		b->read_before = b->samples[b->n_samples - 1].read;
	record_phase(&b->record, p->name);
	events_phase(b, p);
}

void build_add_sample(struct build *b, const struct limits_sample *s)
{
	if (!b->samples) {
		b->samples = calloc(BUILD_SAMPLES_MAX, sizeof(*b->samples));
		if (!b->samples)
			return;
	}
	if (b->n_samples == BUILD_SAMPLES_MAX) {
		/* every second one goes: the spacing doubles, the shape stays */
		for (size_t i = 0; i < BUILD_SAMPLES_MAX / 2; i++)
			b->samples[i] = b->samples[2 * i];
		b->n_samples = BUILD_SAMPLES_MAX / 2;
	}
	b->samples[b->n_samples++] = *s;
}

static void on_wait(const char *path, void *user_data)
{
	struct build *b = user_data;

	ui_say(&b->ui, "%s: another build holds this workspace; waiting for it", path);
}

/* What the machine and the user have set, under what the spec and the options say. */
static int load_config(struct build *b, struct err *e)
{
	_cleanup_(config_done) struct config c = {0};
	const char *cache, *jobs;
	int r = config_load(&c, e);

	if (r == 0)
		r = config_apply(&c, b->spec, e);
	if (r < 0)
		return r;
	jobs = c.value[CONFIG_JOBS_LIMIT].text;
	if (jobs && b->opt.jobs_limit == 0)
		(void)parse_u64(jobs, &b->opt.jobs_limit); /* checked when it was read */
	cache = b->opt.cache_dir ? b->opt.cache_dir : c.value[CONFIG_CACHE_DIR].text;
	if (cache && setenv("CONTRACTOR_CACHE_DIR", cache, 1) < 0)
		return err_oom(e);
	return 0;
}

static int load_spec(struct build *b, struct err *e)
{
	int r = spec_load(b->opt.spec_path, &b->spec, e);

	if (r == 0)
		r = load_config(b, e);
	for (size_t i = 0; i < b->opt.n_limits && r == 0; i++)
		r = spec_limit_set(&b->spec->limits, b->opt.limits[i], e);
	if (r == 0 && b->opt.nice >= 0)
		b->spec->priority.nice = b->opt.nice;
	if (r == 0 && b->opt.io >= 0)
		b->spec->priority.io = (enum spec_io)b->opt.io;
	return r;
}

/* Under make -j a build has one processor for itself, and takes what others leave. */
static void take_processors(struct build *b)
{
	struct spec_limits *l = &b->spec->limits;

	if (!b->opt.jobserver || l->cpus < 2)
		return;
	if (jobserver_take(getenv("MAKEFLAGS"), l->cpus - 1, &b->jobserver))
		l->cpus = 1 + b->jobserver.n;
	ui_detail(&b->ui, "processors: %llu%s", (unsigned long long)l->cpus,
		  b->jobserver.read_fd < 0 ? "" : ", by make's jobserver");
}

/* What the manager VM cannot do. */
static int check_nested(const struct build *b, struct err *e)
{
	if (strcmp(b->manifest->arch, "x86_64") != 0)
		return err_set(e, -EINVAL,
			       "isolation: nested is for x86_64 workers, and %s is one for %s; "
			       "use single",
			       b->spec->worker_image, b->manifest->arch);
	return 0;
}

static int choose_isolation(struct build *b, struct err *e)
{
	enum spec_isolation want = b->spec->isolation, taken;
	struct isolation_facts facts = {0};

	if (b->opt.isolation) {
		if (strcmp(b->opt.isolation, "single") == 0)
			want = SPEC_ISOLATION_SINGLE;
		else if (strcmp(b->opt.isolation, "nested") == 0)
			want = SPEC_ISOLATION_NESTED;
		else if (strcmp(b->opt.isolation, "auto") == 0)
			want = SPEC_ISOLATION_AUTO;
		else
			return err_set(e, -EINVAL, "--isolation %s: is not auto, nested or single",
				       b->opt.isolation);
	}
	if (want != SPEC_ISOLATION_SINGLE) {
		isolation_probe(b->manifest->arch, &facts);
		if (b->opt.force_tcg)
			facts.kvm = false;
	}
	taken = isolation_choose(want, &facts, b->isolation_why, sizeof(b->isolation_why));
	b->isolation = spec_isolation_name(taken);
	b->nested = taken == SPEC_ISOLATION_NESTED;
	b->plan = nested_plan(&b->spec->limits, facts.kvm, facts.nested);
	b->plan.priority = b->spec->priority;
	b->isolation_auto = want == SPEC_ISOLATION_AUTO;
	if (b->opt.boot_ms == 0)
		b->opt.boot_ms = b->nested		 ? b->plan.boot_ms
				 : b->manifest->firmware ? 2 * BOOT_DEADLINE_MS
							 : BOOT_DEADLINE_MS;
	return b->nested ? check_nested(b, e) : 0;
}

static int open_image(struct build *b, struct err *e)
{
	_cleanup_free_ char *path = paths_join(b->spec->dir, b->spec->worker_image);
	int r;

	if (!path)
		return err_oom(e);
	r = manifest_load(path, &b->manifest, &b->image_fd, e);
	if (r < 0)
		return r;
	if (b->spec->arch && strcmp(b->spec->arch, b->manifest->arch) != 0)
		return err_set(e, -EINVAL, "%s: the image is for %s, but the spec says arch: %s",
			       b->spec->worker_image, b->manifest->arch, b->spec->arch);
	b->machine = strcmp(b->manifest->arch, "x86_64") == 0 ? "microvm" : "virt";
	if (b->manifest->firmware)
		b->machine = "q35";
	if (b->opt.machine)
		b->machine = b->opt.machine;
	return b->manifest->firmware ? stock_check(b, e) : 0;
}

static int look_at_play(struct build *b, struct err *e)
{
	b->play = play_need(b->spec->ansible, b->manifest);
	return b->play == PLAY_RUN ? play_check_image(b->spec->worker_image, b->manifest, e) : 0;
}

static int open_source(struct build *b, struct err *e)
{
	_cleanup_free_ char *path = paths_join(b->spec->dir, b->spec->source);

	if (!path)
		return err_oom(e);
	b->source_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (b->source_fd < 0)
		return err_errno(e, -errno, "source: %s", path);
	return 0;
}

static int open_workspace(struct build *b, const char *state, struct err *e)
{
	_cleanup_free_ char *path = paths_join(b->spec->dir, b->spec->workspace);

	if (!path)
		return err_oom(e);
	return workspace_open(path, state, b->opt.lock_wait_s, on_wait, b, &b->workspace, e);
}

/* Nothing that the user wrote, however early it comes. */
static bool host_is_short(int r)
{
	return r == -EMFILE || r == -ENFILE || r == -ENOMEM || r == -ENOSPC || r == -EDQUOT ||
	       r == -EIO || r == -EAGAIN;
}

/* What the spec asks for, checked before anything is started; the verdict of a refusal is in *kind.
 */
static int prepare(struct build *b, enum verdict_kind *kind, struct err *e)
{
	_cleanup_free_ char *state = NULL;
	int r = load_spec(b, e);

	*kind = VERDICT_USAGE;
	if (r == 0)
		r = open_image(b, e);
	if (r == 0)
		r = look_at_play(b, e);
	if (r == 0)
		r = open_source(b, e);
	if (host_is_short(r))
		*kind = VERDICT_INFRASTRUCTURE;
	if (r < 0)
		return r;
	*kind = VERDICT_INFRASTRUCTURE;
	r = vm_find_qemu(b->manifest->arch, (char[PATH_MAX]){0}, e);
	if (r == 0)
		r = choose_isolation(b, e);
	if (r == 0)
		r = paths_state(&state, e);
	if (r == 0)
		r = open_workspace(b, state, e);
	if (r == -EINVAL)
		*kind = VERDICT_USAGE;
	if (r == 0)
		r = record_new(state, &b->record, e);
	if (r == 0)
		r = jobs_enter(state, b->record.id, &b->jobs, e);
	return r;
}

/* Attempts at forbidden network access fail the build, whatever its own exit code was. */
void build_judge_denied(struct build *b)
{
	int code = b->verdict.exit_code;

	if (b->n_denied == 0 || !b->spec->network.denied_fails ||
	    (b->verdict.kind != VERDICT_BUILT && b->verdict.kind != VERDICT_FAILED))
		return;
	b->verdict = verdict_make(VERDICT_DENIED, "the build tried to reach %s%s%s, which %s",
				  b->denied[0].host[0] ? b->denied[0].host : b->denied[0].address,
				  b->n_denied > 1 ? " and more" : "", "",
				  "its rules do not allow (network: on-denied: fail)");
	b->verdict.exit_code = code;
}

/* Whether there is room to start, and a word to the user when there is not for the worst case. */
static int check_space(struct build *b, const char *cache, const char *parent, struct err *e)
{
	const struct spec_limits *l = &b->spec->limits;
	const struct space_use uses[] = {
		{cache, l->disk * (b->play == PLAY_RUN ? 2 : 1) + l->output},
		{parent, l->output},
		{b->record.dir, l->log + RECORD_WORST},
	};
	struct err worst = ERR_INIT;
	int r = space_look(uses, ARRAY_SIZE(uses), &b->space, e);

	if (r == 0)
		r = space_check(&b->space, e);
	if (r == 0 && space_worst(&b->space, &worst))
		ui_say(&b->ui, "%s", worst.text);
	return r;
}

/* The scratch disk's blocks can be seen from here as well, whatever the manager has said. */
void build_judge_disk(struct build *b, const struct disks *d)
{
	uint64_t granted = b->spec->limits.disk, used;
	int code = b->verdict.exit_code;
	char text[NUM_TEXT_MAX];
	struct stat st;

	if (fstat(d->scratch, &st) < 0)
		return;
	used = (uint64_t)st.st_blocks * 512;
	b->peak.disk = MAX(b->peak.disk, used);
	if (b->verdict.kind != VERDICT_BUILT && b->verdict.kind != VERDICT_FAILED)
		return;
	if (used >= d->scratch_full_at) {
		b->verdict = verdict_limit("disk", granted, MAX(used, granted), b->peak.at_ms);
		b->verdict.exit_code = code;
	} else if (scratch_inodes_gone(d->scratch)) {
		b->verdict = verdict_limit("disk", granted, granted, b->peak.at_ms);
		b->verdict.exit_code = code;
		(void)snprintf(b->verdict.reason, sizeof(b->verdict.reason),
			       "the build is over its limit of disk: granted %s, and on a disk of "
			       "this size there was no room for one more file",
			       format_size(granted, text));
	}
}

/* Whether the worker can mount its workspace, by the program that comes with it. */
static bool can_mount(const struct build *b)
{
	return b->manifest->layers && disks_can_restore(b->manifest->arch);
}

/* One worker, booted or restored, up to its verdict. */
static void run_once(struct build *b, const struct template_worker *w, const struct template *t,
		     const struct kept *k, struct disks *disks)
{
	const bool warm = t->memory >= 0;
	const struct disks_copy stock = stock_disk(b);
	const struct disks_input input = {k ? k->fd : -1, k ? k->end : 0};
	char shell[SESSION_WISH_MAX];
	const struct disks_request q = {.dir = w->cache,
					.spec = b->spec,
					.rules = w->rules,
					.n_rules = w->n_rules,
					.layer = w->layer >= 0,
					.shell = session_shell_wish(b, shell),
					.input = input.fd >= 0 ? &input : NULL,
					.scratch = warm		? &t->scratch
						   : stock.size ? &stock
								: NULL};
	struct err e = ERR_INIT;

	if (disks_make(&q, disks, &e) < 0) {
		b->verdict = verdict_make(VERDICT_INFRASTRUCTURE, "%s", e.text);
		return;
	}
	const struct session_job job = {
		.template = warm ? ORDER_TEMPLATE_USE : ORDER_TEMPLATE_NONE,
		.memory = t->memory,
		.state = t->state,
		.input_rw = disks->input_rw,
		.kept = k,
		.input = disks->input,
		.output = disks->output,
		.scratch = disks->scratch,
		.layer = w->layer,
		.scratch_full_at = disks->scratch_full_at,
		.rules = w->rules,
		.n_rules = w->n_rules,
		.files = -1,
	};
	build_cgroup_make(b);
	session_run(b, &job);
	build_cgroup_judge(b);
	cgroup_done(&b->cgroup);
}

/* The build itself, in a worker that has the layer (-1: none) below its disk. */
static void run_build(struct build *b, const char *cache, int layer)
{
	_cleanup_(disks_done) struct disks disks = DISKS_INIT;
	_cleanup_free_ struct net_rule *rules = NULL;
	struct template_worker w = {.cache = cache, .layer = layer};
	struct template t = TEMPLATE_INIT;
	const struct kept *mounted = NULL; /* &kept, where the worker can mount it */
	struct kept kept = KEPT_INIT;
	struct err e = ERR_INIT;

	if (prepare_rules(b, NET_PHASE_BUILD, &rules, &w.n_rules, &e) < 0) {
		b->verdict = verdict_make(VERDICT_INFRASTRUCTURE, "%s", e.text);
		return;
	}
	w.rules = rules;
	if (template_get(b, &w, &t)) {
		if (can_mount(b)) {
			kept_take(b, cache, &kept);
			mounted = &kept;
		}
		run_once(b, &w, &t, mounted, &disks);
		if (b->verdict.cold) {
			template_failed(b, &t, b->verdict.reason);
			disks_done(&disks);
			buf_done(&b->sources);
			buf_done(&b->base);
			b->spent = b->peak;
			run_once(b, &w, &t, mounted, &disks);
		}
		ui_output_end(&b->ui);
		build_judge_disk(b, &disks);
		if (b->verdict.kind == VERDICT_BUILT || b->verdict.kind == VERDICT_FAILED)
			save_workspace(b, &disks, &kept);
		build_judge_denied(b);
	}
	kept_done(&kept);
	template_done(b, &t);
}

static void run_worker(struct build *b)
{
	_cleanup_free_ char *cache = NULL, *parent = strdup(b->workspace.path);
	_cleanup_close_ int layer = -1;
	struct err e = ERR_INIT;
	int r;

	build_phase(b, "start");
	r = parent ? paths_cache(&cache, &e) : err_oom(&e);
	if (r == 0)
		r = check_space(b, cache, dirname(parent), &e);
	if (r < 0) {
		b->verdict = verdict_make(VERDICT_INFRASTRUCTURE, "%s", e.text);
		return;
	}
	if (b->play == PLAY_DONE)
		ui_say(&b->ui, "prepare: the image has all that the play installs");
	if (b->play == PLAY_RUN && !prepare_run(b, cache, &layer))
		return;
	run_build(b, cache, layer);
}

void build_run(struct build *b)
{
	enum verdict_kind kind;
	struct err e = ERR_INIT;
	int r;

	b->started_ms = io_now_ms();
	r = prepare(b, &kind, &e);
	if (r < 0) {
		b->verdict = verdict_make(kind, "%s", e.text);
		ui_error(&b->ui, "%s", e.text);
		events_end(b);
		return;
	}
	record_spec(&b->record, b->spec->path);
	events_start(b);
	if (b->isolation_auto)
		ui_say(&b->ui, "isolation: %s: %s", b->isolation, b->isolation_why);
	if (turn_wait(b)) {
		take_processors(b);
		run_worker(b);
	}
	build_phase(b, NULL);
	if (report_write(b, &e) < 0)
		b->verdict =
			verdict_make(VERDICT_INFRASTRUCTURE, "the build's report (%s) is lost: %s",
				     verdict_name(b->verdict.kind), e.text);
	report_summary(b);
	events_end(b);
}

void build_done(struct build *b)
{
	workspace_done(&b->workspace);
	jobserver_done(&b->jobserver);
	jobs_done(&b->jobs);
	record_done(&b->record);
	b->spec = spec_free(b->spec);
	b->manifest = manifest_free(b->manifest);
	manager_image_done(&b->manager);
	fd_close(&b->manager_fd);
	fd_close(&b->image_fd);
	fd_close(&b->source_fd);
	buf_done(&b->sources);
	buf_done(&b->base);
	buf_done(&b->outside_links);
	ui_done(&b->ui);
	free(b->samples);
	free(b->denied);
	b->samples = NULL;
	b->denied = NULL;
}
