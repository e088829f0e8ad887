/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Making the events of a build. */
#include "events.h"

#include "base/text.h"

/* A new event, or NULL when none is wanted (or memory is short: an event less, not a build). */
static cJSON *event(const struct build *b, const char *name)
{
	cJSON *j = b->ui.json ? cJSON_CreateObject() : NULL;

	if (j && !cJSON_AddStringToObject(j, "event", name))
		j = json_free(j);
	return j;
}

static void add_text(cJSON *j, const char *name, const char *text)
{
	_cleanup_buf_ struct buf b = {0};

	if (!text)
		return;
	if (text_is_utf8(text, strlen(text)))
		(void)cJSON_AddStringToObject(j, name, text);
	else if (text_escape(&b, text, strlen(text)) == 0)
		(void)cJSON_AddStringToObject(j, name, buf_str(&b));
}

void events_start(struct build *b)
{
	cJSON *j = event(b, "start");

	if (!j)
		return;
	(void)cJSON_AddNumberToObject(j, "format", 1);
	(void)cJSON_AddStringToObject(j, "id", b->record.id);
	add_text(j, "spec", b->spec->path);
	add_text(j, "workspace", b->workspace.path);
	add_text(j, "log", b->record.log_path);
	add_text(j, "report", b->record.report_path);
	ui_event(&b->ui, j);
}

void events_queued(struct build *b, uint64_t place, uint64_t running)
{
	cJSON *j = event(b, "queued");

	if (!j)
		return;
	(void)json_add_u64(j, "place", place);
	(void)json_add_u64(j, "running", running);
	ui_event(&b->ui, j);
}

void events_worker(struct build *b)
{
	cJSON *j = event(b, "worker");

	if (!j)
		return;
	(void)cJSON_AddStringToObject(j, "isolation", b->isolation);
	add_text(j, "machine", b->machine);
	add_text(j, "accelerator", b->accel);
	if (b->accel_why[0])
		add_text(j, "why", b->accel_why);
	ui_event(&b->ui, j);
}

void events_phase(struct build *b, const struct build_phase *p)
{
	cJSON *j = event(b, "phase");

	if (!j)
		return;
	add_text(j, "name", p->name);
	(void)json_add_u64(j, "at-ms", p->start_ms);
	ui_event(&b->ui, j);
}

void events_progress(struct build *b, const struct build_progress *p)
{
	cJSON *j = event(b, "progress");

	if (!j)
		return;
	add_text(j, "phase", p->phase);
	(void)json_add_u64(j, "ms", p->ms);
	(void)json_add_u64(j, "bytes", p->bytes);
	if (p->total)
		(void)json_add_u64(j, "total", p->total);
	(void)json_add_u64(j, "rate", p->rate);
	ui_event(&b->ui, j);
}

void events_sample(struct build *b, const struct limits_sample *s)
{
	cJSON *j = event(b, "sample");

	if (!j)
		return;
	(void)json_add_u64(j, "at-ms", s->at_ms);
	(void)json_add_u64(j, "cpu-ms", s->cpu_ms);
	(void)json_add_u64(j, "memory", s->memory);
	(void)json_add_u64(j, "disk", s->disk);
	(void)json_add_u64(j, "log", s->log);
	(void)json_add_u64(j, "read", s->read);
	(void)json_add_u64(j, "written", s->written);
	ui_event(&b->ui, j);
}

void events_denied(struct build *b, const struct build_denied *d)
{
	cJSON *j = event(b, "denied");

	if (!j)
		return;
	add_text(j, "protocol", d->protocol);
	if (d->host[0])
		add_text(j, "host", d->host);
	if (d->address[0])
		add_text(j, "address", d->address);
	if (d->port)
		(void)json_add_u64(j, "port", d->port);
	add_text(j, "phase", d->phase);
	add_text(j, "reason", d->reason);
	if (d->remedy[0])
		add_text(j, "allow", d->remedy);
	ui_event(&b->ui, j);
}

void events_end(struct build *b)
{
	cJSON *j = event(b, "end");
	const struct verdict *v = &b->verdict;

	if (!j)
		return;
	(void)cJSON_AddStringToObject(j, "verdict", verdict_name(v->kind));
	(void)cJSON_AddNumberToObject(j, "exit-status", v->kind);
	if (v->exit_code >= 0)
		(void)cJSON_AddNumberToObject(j, "build-exit-code", v->exit_code);
	if (v->reason[0])
		add_text(j, "reason", v->reason);
	if (v->kind == VERDICT_LIMIT)
		add_text(j, "limit", v->limit);
	(void)json_add_u64(j, "ms", build_now(b));
	if (b->record.report_path)
		add_text(j, "report", b->record.report_path);
	ui_event(&b->ui, j);
}
