/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The hard limits: names, units, defaults, and what is nonsense for each. */
#include <errno.h>
#include <sched.h>

#include "base/num.h"
#include "base/text.h"
#include "spec.h"

#define DEFAULT_CPUS_MAX 4

#define MINUTE_MS 60000ULL
#define DAY_MS	  (24 * 60 * MINUTE_MS)
#define TIB	  (1024 * GIB)

/*
 * The lowest values are those below which no worker boots or no build could say a word; the
 * highest are far over any machine and keep sums of limits from overflowing.
 */
static const struct limit {
	const char *name;
	enum spec_unit unit;
	uint64_t min, max;
	uint64_t standard;
} limits[_SPEC_LIMIT_MAX] = {
	[SPEC_LIMIT_CPUS] = {"cpus", SPEC_UNIT_COUNT, 1, 255, DEFAULT_CPUS_MAX},
	[SPEC_LIMIT_CPU_TIME] = {"cpu-time", SPEC_UNIT_MS, 1000, 3650 * DAY_MS, 120 * MINUTE_MS},
	[SPEC_LIMIT_TIME] = {"time", SPEC_UNIT_MS, 1000, 365 * DAY_MS, 60 * MINUTE_MS},
	[SPEC_LIMIT_MEMORY] = {"memory", SPEC_UNIT_BYTES, 64 * MIB, 64 * TIB, 2 * GIB},
	[SPEC_LIMIT_DISK] = {"disk", SPEC_UNIT_BYTES, 16 * MIB, 16 * TIB, 10 * GIB},
	[SPEC_LIMIT_OUTPUT] = {"output", SPEC_UNIT_BYTES, 64 * KIB, 16 * TIB, 2 * GIB},
	[SPEC_LIMIT_FILES] = {"files", SPEC_UNIT_COUNT, 1, 1000000000, 200000},
	[SPEC_LIMIT_LOG] = {"log", SPEC_UNIT_BYTES, 4 * KIB, TIB, 100 * MIB},
};

static uint32_t usable_cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1;
	return (uint32_t)MAX(CPU_COUNT(&set), 1);
}

static void limit_put(struct spec_limits *l, enum spec_limit i, uint64_t v)
{
	switch (i) {
	case SPEC_LIMIT_CPUS:
		l->cpus = (uint32_t)v;
		break;
	case SPEC_LIMIT_CPU_TIME:
		l->cpu_time_ms = v;
		break;
	case SPEC_LIMIT_TIME:
		l->time_ms = v;
		break;
	case SPEC_LIMIT_MEMORY:
		l->memory = v;
		break;
	case SPEC_LIMIT_DISK:
		l->disk = v;
		break;
	case SPEC_LIMIT_OUTPUT:
		l->output = v;
		break;
	case SPEC_LIMIT_FILES:
		l->files = v;
		break;
	case SPEC_LIMIT_LOG:
		l->log = v;
		break;
	case _SPEC_LIMIT_MAX:
		break;
	}
}

uint64_t spec_limit_get(const struct spec_limits *l, enum spec_limit i)
{
	const uint64_t values[_SPEC_LIMIT_MAX] = {
		[SPEC_LIMIT_CPUS] = l->cpus,	[SPEC_LIMIT_CPU_TIME] = l->cpu_time_ms,
		[SPEC_LIMIT_TIME] = l->time_ms, [SPEC_LIMIT_MEMORY] = l->memory,
		[SPEC_LIMIT_DISK] = l->disk,	[SPEC_LIMIT_OUTPUT] = l->output,
		[SPEC_LIMIT_FILES] = l->files,	[SPEC_LIMIT_LOG] = l->log,
	};

	return values[i];
}

int spec_limit_find(const char *name)
{
	for (int i = 0; i < _SPEC_LIMIT_MAX; i++) {
		if (strcmp(limits[i].name, name) == 0)
			return i;
	}
	return -ENOENT;
}

const char *spec_limit_name(enum spec_limit i)
{
	return limits[i].name;
}

enum spec_unit spec_limit_unit(enum spec_limit i)
{
	return limits[i].unit;
}

struct spec_limits spec_limits_default(void)
{
	struct spec_limits l = {0};

	for (enum spec_limit i = 0; i < _SPEC_LIMIT_MAX; i++)
		limit_put(&l, i, limits[i].standard);
	l.cpus = MIN(usable_cpus(), (uint32_t)DEFAULT_CPUS_MAX);
	return l;
}

static int fail_unit(const struct limit *limit, const char *value, struct err *e)
{
	static const char *const hints[_SPEC_UNIT_MAX] = {
		[SPEC_UNIT_COUNT] = "a whole number",
		[SPEC_UNIT_BYTES] = "a size such as 500MB or 2GiB",
		[SPEC_UNIT_MS] = "a duration such as 90s, 10min or 2h",
	};
	char shown[64];

	return err_set(e, -EINVAL, "%s: \"%s\" is not %s", limit->name,
		       text_escape_line(value, strlen(value), shown, sizeof(shown)),
		       hints[limit->unit]);
}

static const char *format_unit(enum spec_unit unit, uint64_t v, char out[NUM_TEXT_MAX])
{
	switch (unit) {
	case SPEC_UNIT_BYTES:
		return format_size(v, out);
	case SPEC_UNIT_MS:
		return format_duration(v, out);
	case SPEC_UNIT_COUNT:
	case _SPEC_UNIT_MAX:
		break;
	}
	(void)snprintf(out, NUM_TEXT_MAX, "%llu", (unsigned long long)v);
	return out;
}

static int parse_unit(enum spec_unit unit, const char *value, uint64_t *ret)
{
	switch (unit) {
	case SPEC_UNIT_BYTES:
		return parse_size(value, ret);
	case SPEC_UNIT_MS:
		return parse_duration(value, ret);
	case SPEC_UNIT_COUNT:
	case _SPEC_UNIT_MAX:
		break;
	}
	return parse_u64(value, ret);
}

static int fail_name(const char *name, struct err *e)
{
	const char *names[_SPEC_LIMIT_MAX], *near;
	char shown[64];

	for (enum spec_limit i = 0; i < _SPEC_LIMIT_MAX; i++)
		names[i] = limits[i].name;
	near = text_nearest(name, names, _SPEC_LIMIT_MAX);
	(void)text_escape_line(name, strlen(name), shown, sizeof(shown));
	if (near)
		return err_set(e, -EINVAL, "no limit is called \"%s\"; did you mean \"%s\"?", shown,
			       near);
	return err_set(e, -EINVAL,
		       "no limit is called \"%s\"; there are cpus, cpu-time, time, memory, disk, "
		       "output, files and log",
		       shown);
}

int spec_limit_set_value(struct spec_limits *l, const char *name, const char *value, struct err *e)
{
	char low[NUM_TEXT_MAX], high[NUM_TEXT_MAX];
	int i = spec_limit_find(name), r;
	const struct limit *limit;
	uint64_t v = 0;

	if (i < 0)
		return fail_name(name, e);
	limit = &limits[i];
	r = parse_unit(limit->unit, value, &v);
	if (r == -EINVAL)
		return fail_unit(limit, value, e);
	if (r < 0 || v < limit->min || v > limit->max)
		return err_set(e, -EINVAL, "%s: must be from %s to %s", limit->name,
			       format_unit(limit->unit, limit->min, low),
			       format_unit(limit->unit, limit->max, high));
	limit_put(l, (enum spec_limit)i, v);
	return 0;
}

int spec_limit_set(struct spec_limits *l, const char *assignment, struct err *e)
{
	const char *equals = strchr(assignment, '=');
	char name[64], shown[64];

	if (!equals || equals == assignment)
		return err_set(e, -EINVAL, "\"%s\" is not NAME=VALUE, such as cpu-time=10min",
			       text_escape_line(assignment, strlen(assignment), shown,
						sizeof(shown)));
	(void)snprintf(name, sizeof(name), "%.*s", (int)(equals - assignment), assignment);
	return spec_limit_set_value(l, name, equals + 1, e);
}
