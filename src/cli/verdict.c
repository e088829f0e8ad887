/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From the manager's end message to the verdict: pure, and suspicious of the message. */
#include "verdict.h"

#include <stdarg.h>

#include "bar.h"
#include "base/num.h"
#include "base/text.h"

const char *verdict_name(enum verdict_kind k)
{
	switch (k) {
	case VERDICT_BUILT:
		return "built";
	case VERDICT_FAILED:
		return "failed";
	case VERDICT_USAGE:
		return "usage";
	case VERDICT_LIMIT:
		return "limit";
	case VERDICT_DENIED:
		return "denied";
	case VERDICT_INFRASTRUCTURE:
		return "infrastructure";
	case VERDICT_INTERRUPTED:
		return "interrupted";
	}
	return "unknown";
}

struct verdict verdict_make(enum verdict_kind k, const char *fmt, ...)
{
	struct verdict v = {.kind = k, .exit_code = -1};
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(v.reason, sizeof(v.reason), fmt, ap);
	va_end(ap);
	return v;
}

/* What sh says of how its last command ended. */
static void describe_exit(struct verdict *v)
{
	const char *name = v->exit_code > 128 ? sigabbrev_np(v->exit_code - 128) : NULL;

	if (name)
		(void)snprintf(v->reason, sizeof(v->reason),
			       "the build commands ended by signal %d (SIG%s)", v->exit_code - 128,
			       name);
	else
		(void)snprintf(v->reason, sizeof(v->reason),
			       "the build commands ended with exit status %d", v->exit_code);
}

struct verdict verdict_limit(const char *name, uint64_t granted, uint64_t used, uint64_t at_ms)
{
	struct verdict v = {.kind = VERDICT_LIMIT,
			    .exit_code = -1,
			    .granted = granted,
			    .used = used,
			    .at_ms = at_ms};
	char had[NUM_TEXT_MAX], took[NUM_TEXT_MAX], when[NUM_TEXT_MAX];

	(void)text_escape_line(name, strlen(name), v.limit, sizeof(v.limit));
	(void)snprintf(v.reason, sizeof(v.reason),
		       "the build is over its limit of %s: granted %s, used %s, after %s", v.limit,
		       bar_value(v.limit, granted, had), bar_value(v.limit, used, took),
		       format_duration(at_ms, when));
	return v;
}

struct verdict verdict_of_end(const cJSON *end)
{
	struct verdict v = {.kind = VERDICT_INFRASTRUCTURE, .exit_code = -1};
	const char *outcome = json_str(end, "outcome"), *reason = json_str(end, "reason");
	const char *limit = json_str(end, "limit");
	uint64_t code = json_u64_or(end, "exit", UINT64_MAX);

	if (code <= 255)
		v.exit_code = (int)code;
	if (reason)
		(void)text_escape_line(reason, strlen(reason), v.reason, sizeof(v.reason));
	if (outcome && strcmp(outcome, "done") == 0 && v.exit_code >= 0) {
		v.kind = v.exit_code == 0 ? VERDICT_BUILT : VERDICT_FAILED;
		if (v.kind == VERDICT_FAILED)
			describe_exit(&v);
	} else if (outcome && strcmp(outcome, "limit") == 0 && limit) {
		v = verdict_limit(limit, json_u64_or(end, "granted", 0),
				  json_u64_or(end, "used", 0), json_u64_or(end, "at-ms", 0));
		v.exit_code = code <= 255 ? (int)code : -1;
	} else if (!outcome || strcmp(outcome, "broken") != 0 || !reason) {
		(void)snprintf(v.reason, sizeof(v.reason),
			       "the manager's last message makes no sense");
	}
	return v;
}

struct verdict verdict_of_template(const cJSON *end, bool save)
{
	const char *outcome = json_str(end, "outcome"), *reason = json_str(end, "reason");
	struct verdict v;

	if (save && outcome && strcmp(outcome, "saved") == 0)
		return verdict_make(VERDICT_BUILT, "%s", "");
	if (!outcome || strcmp(outcome, "template") != 0 || !reason)
		return verdict_of_end(end);
	v = verdict_make(VERDICT_INFRASTRUCTURE, "%s", "");
	(void)text_escape_line(reason, strlen(reason), v.reason, sizeof(v.reason));
	v.cold = true;
	return v;
}

struct verdict verdict_of_play(const cJSON *end)
{
	struct verdict v = verdict_of_end(end);
	const char *word = json_str(end, "failed"), *task = json_str(end, "failed-task");
	char text[512] = "";
	int code = v.exit_code;

	v.exit_code = -1; /* the build commands have not been run */
	if (v.kind != VERDICT_FAILED)
		return v;
	if (task)
		(void)text_escape_line(task, strlen(task), text, sizeof(text));
	if (word && task && strcmp(word, "fetch") == 0)
		v = verdict_make(VERDICT_INFRASTRUCTURE,
				 "prepare: something could not be fetched: %s", text);
	else if (task)
		v = verdict_make(VERDICT_FAILED, "prepare: a task failed: %s", text);
	else
		v = verdict_make(VERDICT_FAILED,
				 "prepare: ansible-playbook ended with exit status %d", code);
	v.play = true;
	return v;
}
