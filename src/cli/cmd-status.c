/* SPDX-License-Identifier: GPL-3.0-or-later */
/* contractor status: the builds that run, those that wait, and the latest that have ended. */
#include <errno.h>
#include <time.h>

#include "base/num.h"
#include "base/text.h"
#include "cmd.h"
#include "history.h"
#include "jobs.h"
#include "options.h"
#include "paths.h"

#define PAST_SHOWN 10

enum { OPT_JSON = 256 };

static const struct option_def defs[] = {
	{'a', "all", NULL, "all builds that have ended, not the latest ten", NULL},
	{OPT_JSON, "json", NULL, "a JSON array, one object a build", NULL},
	{0},
};

const struct option_verb verb_status = {
	.name = "status",
	.operands = "",
	.about = "Lists your builds: those that run, those that wait for their turn with their "
		 "place in\n"
		 "the queue, and the latest that have ended.\n",
	.defs = defs,
};

/* The place of a build among those that wait: behind those that run. 0: it is not in the queue. */
static uint64_t place_of(const struct buf *queue, const char *id)
{
	uint64_t place = 1;

	for (const char *p = buf_str(queue); p < buf_str(queue) + queue->len; p += strlen(p) + 1) {
		if (strcmp(p, id) == 0)
			return place;
		place++;
	}
	return 0;
}

static void describe(const struct history_build *b, const struct buf *queue, char *out, size_t size)
{
	const char *reason = json_str(b->report, "reason");
	const cJSON *phases = json_get(b->report, "phases"), *p;
	uint64_t now = (uint64_t)time(NULL), ms = 0;
	char took[NUM_TEXT_MAX];

	if (!b->report && b->running) {
		(void)format_duration(now > b->phased ? (now - b->phased) * 1000 : 0, took);
		if (strcmp(b->phase, "queued") == 0)
			(void)snprintf(out, size, "number %llu of the queue, for %s",
				       (unsigned long long)place_of(queue, b->id), took);
		else
			(void)snprintf(out, size, "%s for %s", b->phase[0] ? b->phase : "start",
				       took);
		return;
	}
	cJSON_ArrayForEach (p, phases)
		ms = json_u64_or(p, "start-ms", 0) + json_u64_or(p, "ms", 0);
	if (!b->report)
		(void)snprintf(out, size, "without a report, in phase %s",
			       b->phase[0] ? b->phase : "start");
	else if (reason && *reason)
		(void)text_escape_line(reason, strlen(reason), out, size);
	else
		(void)snprintf(out, size, "in %s", format_duration(ms, took));
}

static void print_line(const struct history_build *b, const struct buf *queue)
{
	char what[96], spec[256];

	describe(b, queue, what, sizeof(what));
	(void)text_escape_line(b->spec, strlen(b->spec), spec, sizeof(spec));
	(void)printf("%s  %-11s %s%s%s\n", b->id, history_state(b), what, *spec ? "  " : "", spec);
}

static int add_json(cJSON *list, const struct history_build *b, const struct buf *queue)
{
	cJSON *o = cJSON_CreateObject();

	if (!o || !cJSON_AddItemToArray(list, o))
		return -ENOMEM;
	(void)cJSON_AddStringToObject(o, "id", b->id);
	(void)cJSON_AddStringToObject(o, "state", history_state(b));
	if (*b->spec)
		(void)cJSON_AddStringToObject(o, "spec", b->spec);
	if (b->running && b->phase[0])
		(void)cJSON_AddStringToObject(o, "phase", b->phase);
	if (b->running && place_of(queue, b->id))
		(void)json_add_u64(o, "place", place_of(queue, b->id));
	if (b->began)
		(void)json_add_u64(o, "began", b->began);
	(void)cJSON_AddStringToObject(o, "folder", b->dir);
	return 0;
}

/* Newest first: what runs, then what has ended, as many as are wanted. */
static int list(const char *state, bool all, cJSON *json, struct err *e)
{
	_cleanup_(history_done) struct history h = {0};
	_cleanup_buf_ struct buf queue = {0};
	size_t past = 0;
	int r = history_list(state, &h, e);

	if (r == 0)
		r = jobs_list(state, &queue, e);
	for (size_t i = h.n; r == 0 && i-- > 0;) {
		struct history_build b = {0};

		if (!all && past >= PAST_SHOWN && !place_of(&queue, h.id[i]))
			continue;
		if (history_open(state, h.id[i], &b, NULL) < 0)
			continue; /* removed since */
		if (!b.running)
			past++;
		if (json)
			r = add_json(json, &b, &queue);
		else
			print_line(&b, &queue);
		history_build_done(&b);
	}
	return r;
}

int cmd_status(int argc, char **argv)
{
	_cleanup_free_ char *state = NULL, *text = NULL;
	_cleanup_(json_free_p) cJSON *array = NULL;
	bool all = false, json = false;
	struct err e = ERR_INIT;
	struct options o;
	int c, r = CMD_USAGE;

	options_begin(&o, &verb_status, argc, argv);
	while ((c = options_next(&o, &r)) > 0) {
		if (c == 'a')
			all = true;
		else
			json = true;
	}
	if (c < 0)
		return r;
	array = json ? cJSON_CreateArray() : NULL;
	r = json && !array ? err_oom(&e) : paths_state(&state, &e);
	if (r == 0)
		r = list(state, all, array, &e);
	if (r == 0 && json) {
		text = json_print_pretty(array);
		r = text && fputs(text, stdout) >= 0 ? 0 : err_oom(&e);
	}
	if (r == 0 && fflush(stdout) != 0)
		r = err_errno(&e, -errno, "cannot print");
	return r < 0 ? cmd_fail(&e, CMD_INFRASTRUCTURE) : CMD_OK;
}
