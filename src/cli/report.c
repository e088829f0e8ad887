/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The report of a build, for programs as JSON and for people in a few lines. */
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "bar.h"
#include "base/io.h"
#include "base/num.h"
#include "base/text.h"

#define CONSOLE_LINES_SHOWN 12
#define MUCH_USED	    500 /* thousandths */
#define DENIED_SHOWN	    8

static void add_phases(const struct build *b, cJSON *report)
{
	cJSON *list = cJSON_AddArrayToObject(report, "phases");

	for (size_t i = 0; i < b->n_phases; i++) {
		cJSON *p = cJSON_CreateObject();

		if (!p || !cJSON_AddItemToArray(list, p))
			return;
		(void)cJSON_AddStringToObject(p, "name", b->phases[i].name);
		(void)json_add_u64(p, "start-ms", b->phases[i].start_ms);
		(void)json_add_u64(p, "ms", b->phases[i].end_ms - b->phases[i].start_ms);
	}
}

static void add_limit(cJSON *o, const char *name, uint64_t granted, uint64_t peak)
{
	cJSON *l = cJSON_AddObjectToObject(o, name);

	(void)json_add_u64(l, "granted", granted);
	(void)json_add_u64(l, "peak", peak);
	(void)cJSON_AddNumberToObject(l, "share", (double)bar_share(granted, peak) / 1000);
}

static void add_limits(const struct build *b, cJSON *report)
{
	const struct spec_limits *l = &b->spec->limits;
	cJSON *o = cJSON_AddObjectToObject(report, "limits");

	(void)json_add_u64(o, "cpus", l->cpus);
	add_limit(o, "cpu-time-ms", l->cpu_time_ms, b->peak.cpu_ms);
	add_limit(o, "time-ms", l->time_ms, b->peak.at_ms);
	add_limit(o, "memory", l->memory, b->peak.memory);
	add_limit(o, "disk", l->disk, b->peak.disk);
	add_limit(o, "output", l->output, b->out_bytes);
	add_limit(o, "files", l->files, b->out_entries);
	add_limit(o, "log", l->log, b->peak.log);
	if (b->spec->network.total)
		add_limit(o, "bandwidth", b->spec->network.total, b->peak.up + b->peak.down);
}

static void add_samples(const struct build *b, cJSON *report)
{
	cJSON *list = cJSON_AddArrayToObject(report, "samples");

	for (size_t i = 0; i < b->n_samples; i++) {
		cJSON *o = cJSON_CreateObject();

		if (!o || !cJSON_AddItemToArray(list, o))
			return;
		limits_sample_to_json(&b->samples[i], o);
	}
}

/* File names need not be UTF-8, JSON strings must be: what is not is escaped. */
static void add_text(cJSON *o, const char *name, const char *text)
{
	_cleanup_buf_ struct buf b = {0};

	if (text_is_utf8(text, strlen(text)))
		(void)cJSON_AddStringToObject(o, name, text);
	else if (text_escape(&b, text, strlen(text)) == 0)
		(void)cJSON_AddStringToObject(o, name, buf_str(&b));
}

static void add_denied(const struct build *b, cJSON *report)
{
	cJSON *list = cJSON_AddArrayToObject(report, "denied");

	for (size_t i = 0; i < b->n_denied; i++) {
		const struct build_denied *d = &b->denied[i];
		cJSON *o = cJSON_CreateObject();

		if (!o || !cJSON_AddItemToArray(list, o))
			return;
		add_text(o, "protocol", d->protocol);
		if (d->host[0])
			add_text(o, "host", d->host);
		if (d->address[0])
			add_text(o, "address", d->address);
		if (d->port)
			(void)json_add_u64(o, "port", d->port);
		(void)json_add_u64(o, "count", d->count);
		add_text(o, "phase", d->phase);
		add_text(o, "reason", d->reason);
		if (d->remedy[0])
			add_text(o, "allow", d->remedy);
	}
}

static void add_outside_links(const struct build *b, cJSON *report)
{
	cJSON *list = cJSON_AddArrayToObject(report, "outside-links");
	const char *p = buf_str(&b->outside_links), *end = p + b->outside_links.len;

	while (p < end) {
		const char *target = p + strlen(p) + 1;
		cJSON *o = cJSON_CreateObject();

		if (!o || !cJSON_AddItemToArray(list, o) || target >= end)
			return;
		add_text(o, "path", p);
		add_text(o, "target", target);
		p = target + strlen(target) + 1;
	}
}

static void add_paths(const struct build *b, cJSON *report)
{
	cJSON *o = cJSON_AddObjectToObject(report, "paths");
	struct stat st;

	add_text(o, "spec", b->spec->path);
	if (b->workspace.path)
		add_text(o, "workspace", b->workspace.path);
	add_text(o, "log", b->record.log_path);
	if (stat(b->record.console_path, &st) == 0)
		add_text(o, "console", b->record.console_path);
}

static void add_prepare(const struct build *b, cJSON *report)
{
	const struct build_layer *l = &b->layer;
	cJSON *o;

	if (b->play == PLAY_NOTHING)
		return;
	o = cJSON_AddObjectToObject(report, "prepare");
	(void)cJSON_AddStringToObject(o, "layer",
				      b->play == PLAY_DONE ? "not-needed"
				      : l->what		   ? l->what
							   : "none");
	if (l->key[0])
		(void)cJSON_AddStringToObject(o, "key", l->key);
	if (l->made)
		(void)json_add_u64(o, "made", l->made);
	if (l->note[0])
		add_text(o, "note", l->note);
}

static void add_template(const struct build *b, cJSON *report)
{
	const struct build_template *t = &b->template;
	cJSON *o;

	if (!t->what)
		return;
	o = cJSON_AddObjectToObject(report, "template");
	(void)cJSON_AddStringToObject(o, "what", t->what);
	if (t->key[0])
		(void)cJSON_AddStringToObject(o, "key", t->key);
	if (t->note[0])
		add_text(o, "note", t->note);
}

static void add_versions(const struct build *b, cJSON *report)
{
	cJSON *o = cJSON_AddObjectToObject(report, "versions");
	struct utsname u;

	(void)cJSON_AddStringToObject(o, "contractor", CONTRACTOR_VERSION);
	if (uname(&u) == 0)
		(void)cJSON_AddStringToObject(o, "host-kernel", u.release);
	if (b->manifest) {
		(void)cJSON_AddStringToObject(o, "image-sha256", b->manifest->sha256);
		(void)cJSON_AddStringToObject(o, "image-suite", b->manifest->suite);
	}
}

/* The walls around the manager VM, which are around the worker's; null where there is none. */
static void add_manager_vm(const struct build *b, cJSON *report)
{
	const struct nested_plan *p = &b->plan;
	cJSON *o;

	if (!b->nested) {
		(void)cJSON_AddNullToObject(report, "manager-vm");
		return;
	}
	o = cJSON_AddObjectToObject(report, "manager-vm");
	(void)cJSON_AddStringToObject(o, "accelerator", p->kvm ? "kvm" : "tcg");
	(void)cJSON_AddBoolToObject(o, "waited", p->pooled);
	(void)json_add_u64(o, "cpus", p->cpus);
	(void)json_add_u64(o, "worker-cpus", p->worker_cpus);
	(void)json_add_u64(o, "memory", p->pooled ? p->pool_memory : p->memory);
	(void)json_add_u64(o, "cpu-time-ms", p->cpu_time_ms);
	(void)json_add_u64(o, "file-size", p->file_size);
}

cJSON *report_make(const struct build *b)
{
	const struct verdict *v = &b->verdict;
	cJSON *j = cJSON_CreateObject();

	if (!j)
		return NULL;
	(void)cJSON_AddNumberToObject(j, "format", 1);
	(void)cJSON_AddStringToObject(j, "id", b->record.id);
	(void)cJSON_AddStringToObject(j, "verdict", verdict_name(v->kind));
	(void)cJSON_AddNumberToObject(j, "exit-status", v->kind);
	if (v->exit_code >= 0)
		(void)cJSON_AddNumberToObject(j, "build-exit-code", v->exit_code);
	if (v->reason[0])
		add_text(j, "reason", v->reason);
	if (v->kind == VERDICT_LIMIT) {
		(void)cJSON_AddStringToObject(j, "limit", v->limit);
		(void)json_add_u64(j, "granted", v->granted);
		(void)json_add_u64(j, "used", v->used);
		(void)json_add_u64(j, "at-ms", v->at_ms);
	}
	if (v->play)
		(void)cJSON_AddStringToObject(j, "failed-phase", "prepare");
	(void)cJSON_AddStringToObject(j, "isolation", b->isolation);
	add_text(j, "isolation-why", b->isolation_why);
	(void)cJSON_AddStringToObject(j, "machine", b->machine);
	(void)cJSON_AddStringToObject(j, "accelerator", b->accel);
	add_manager_vm(b, j);
	if (b->shell_used)
		(void)cJSON_AddBoolToObject(j, "shell", true);
	add_phases(b, j);
	add_limits(b, j);
	build_cgroup_report(b, j);
	add_prepare(b, j);
	add_template(b, j);
	add_denied(b, j);
	add_outside_links(b, j);
	add_paths(b, j);
	add_versions(b, j);
	add_samples(b, j);
	return j;
}

int report_write(const struct build *b, struct err *e)
{
	_cleanup_(json_free_p) cJSON *j = report_make(b);
	_cleanup_free_ char *text = j ? json_print_pretty(j) : NULL;

	if (!text)
		return err_oom(e);
	return io_write_file_atomic(b->record.report_path, text, strlen(text), 0600, e);
}

/* The console's last lines, when the worker broke: often the only thing that tells why. */
static void show_console(struct build *b)
{
	_cleanup_buf_ struct buf raw = {0}, text = {0};
	const char *p;
	int lines = 0;

	if (io_read_file(AT_FDCWD, b->record.console_path, 64 * KIB, &raw, NULL) < 0 ||
	    text_escape(&text, raw.data, raw.len) < 0 || text.len == 0)
		return;
	p = text.data + text.len;
	while (p > text.data && p[-1] == '\n')
		p--;
	text.data[p - text.data] = '\0';
	while (p > text.data && lines < CONSOLE_LINES_SHOWN) {
		p--;
		if (*p == '\n')
			lines++;
	}
	if (*p == '\n')
		p++;
	ui_error(&b->ui, "the console said last:\n%s", p);
}

static void show_limit(struct build *b, const char *name, uint64_t granted, uint64_t used)
{
	bool much = b->ui.live && bar_share(granted, used) >= MUCH_USED;
	char text[BAR_TEXT_MAX];

	if (much || b->ui.mode == UI_VERBOSE)
		ui_say(&b->ui, "%s", bar_text(name, granted, used, text));
}

/* On a terminal, a line for each limit of which much was used; for all when more is asked for. */
static void show_limits(struct build *b)
{
	const struct limits_sample *p = &b->peak;
	const struct {
		enum spec_limit limit;
		uint64_t used;
	} all[] = {
		{SPEC_LIMIT_CPU_TIME, p->cpu_ms},  {SPEC_LIMIT_TIME, p->at_ms},
		{SPEC_LIMIT_MEMORY, p->memory},	   {SPEC_LIMIT_DISK, p->disk},
		{SPEC_LIMIT_OUTPUT, b->out_bytes}, {SPEC_LIMIT_FILES, b->out_entries},
		{SPEC_LIMIT_LOG, p->log},
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		show_limit(b, spec_limit_name(all[i].limit),
			   spec_limit_get(&b->spec->limits, all[i].limit), all[i].used);
	if (b->spec->network.total)
		show_limit(b, "bandwidth", b->spec->network.total, p->up + p->down);
}

void report_summary(struct build *b)
{
	_cleanup_buf_ struct buf phases = {0};
	const struct verdict *v = &b->verdict;
	char text[NUM_TEXT_MAX];
	uint64_t total = 0;

	for (size_t i = 0; i < b->n_phases; i++) {
		uint64_t ms = b->phases[i].end_ms - b->phases[i].start_ms;

		total = b->phases[i].end_ms;
		(void)buf_printf(&phases, "%s %s %s", i ? "," : "", b->phases[i].name,
				 format_duration(ms, text));
	}
	if (v->kind == VERDICT_INFRASTRUCTURE)
		show_console(b);
	if (v->kind == VERDICT_BUILT) {
		ui_say(&b->ui, "built in %s:%s", format_duration(total, text), buf_str(&phases));
	} else {
		ui_error(&b->ui, "%s: %s", verdict_name(v->kind), v->reason);
		ui_say(&b->ui, "after %s:%s", format_duration(total, text), buf_str(&phases));
	}
	show_limits(b);
	for (size_t i = 0; i < b->n_denied && i < DENIED_SHOWN; i++) {
		if (b->denied[i].remedy[0])
			ui_say(&b->ui, "to allow it: %s", b->denied[i].remedy);
	}
	if (b->workspace.path &&
	    (v->kind == VERDICT_BUILT || v->kind == VERDICT_FAILED || v->kind == VERDICT_DENIED))
		ui_say(&b->ui, "workspace: %s", b->workspace.path);
	if (b->record.log_path)
		ui_say(&b->ui, "log: %s", b->record.log_path);
	if (b->record.report_path)
		ui_say(&b->ui, "report: %s", b->record.report_path);
}
