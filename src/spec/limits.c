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
	size_t offset; /* in struct spec_limits, of an uint64_t */
	enum spec_unit unit;
	uint64_t min, max;
	uint64_t standard;
} limits[_SPEC_LIMIT_MAX] = {
	[SPEC_LIMIT_CPUS] = {"cpus", offsetof(struct spec_limits, cpus), SPEC_UNIT_COUNT, 1, 255,
			     DEFAULT_CPUS_MAX},
	[SPEC_LIMIT_CPU_TIME] = {"cpu-time", offsetof(struct spec_limits, cpu_time_ms),
				 SPEC_UNIT_MS, 1000, 3650 * DAY_MS, 120 * MINUTE_MS},
	[SPEC_LIMIT_TIME] = {"time", offsetof(struct spec_limits, time_ms), SPEC_UNIT_MS, 1000,
			     365 * DAY_MS, 60 * MINUTE_MS},
	[SPEC_LIMIT_MEMORY] = {"memory", offsetof(struct spec_limits, memory), SPEC_UNIT_BYTES,
			       64 * MIB, 64 * TIB, 2 * GIB},
	[SPEC_LIMIT_DISK] = {"disk", offsetof(struct spec_limits, disk), SPEC_UNIT_BYTES, 16 * MIB,
			     16 * TIB, 10 * GIB},
	[SPEC_LIMIT_OUTPUT] = {"output", offsetof(struct spec_limits, output), SPEC_UNIT_BYTES,
			       64 * KIB, 16 * TIB, 2 * GIB},
	[SPEC_LIMIT_FILES] = {"files", offsetof(struct spec_limits, files), SPEC_UNIT_COUNT, 1,
			      1000000000, 200000},
	[SPEC_LIMIT_LOG] = {"log", offsetof(struct spec_limits, log), SPEC_UNIT_BYTES, 4 * KIB, TIB,
			    100 * MIB},
};

/* At most DEFAULT_CPUS_MAX, also where there are more than a cpu_set_t holds (EINVAL: none set). */
static uint64_t default_cpus(void)
{
	cpu_set_t set;
	int n;

	CPU_ZERO(&set);
	(void)sched_getaffinity(0, sizeof(set), &set);
	n = CPU_COUNT(&set);
	return (uint64_t)(n - 1) < DEFAULT_CPUS_MAX ? (uint64_t)n : DEFAULT_CPUS_MAX;
}

static uint64_t *slot(struct spec_limits *l, enum spec_limit i)
{
	return (uint64_t *)((char *)l + limits[i].offset);
}

uint64_t spec_limit_get(const struct spec_limits *l, enum spec_limit i)
{
	return *(const uint64_t *)((const char *)l + limits[i].offset);
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
		*slot(&l, i) = limits[i].standard;
	l.cpus = default_cpus();
	return l;
}

static char *format_count(uint64_t v, char out[NUM_TEXT_MAX])
{
	(void)snprintf(out, NUM_TEXT_MAX, "%llu", (unsigned long long)v);
	return out;
}

/* How a unit is read, printed, and explained. */
static const struct unit {
	int (*parse)(const char *text, uint64_t *ret);
	char *(*format)(uint64_t v, char out[NUM_TEXT_MAX]);
	const char *words;
} units[_SPEC_UNIT_MAX] = {
	[SPEC_UNIT_COUNT] = {parse_u64, format_count, "a whole number"},
	[SPEC_UNIT_BYTES] = {parse_size, format_size, "a size such as 500MB or 2GiB"},
	[SPEC_UNIT_MS] = {parse_duration, format_duration, "a duration such as 90s, 10min or 2h"},
};

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
	char low[NUM_TEXT_MAX], high[NUM_TEXT_MAX], shown[64];
	int i = spec_limit_find(name), r;
	const struct limit *limit;
	const struct unit *unit;
	uint64_t v = 0;

	if (i < 0)
		return fail_name(name, e);
	limit = &limits[i];
	unit = &units[limit->unit];
	r = unit->parse(value, &v);
	if (r == -EINVAL)
		return err_set(e, -EINVAL, "%s: \"%s\" is not %s", name,
			       text_escape_line(value, strlen(value), shown, sizeof(shown)),
			       unit->words);
	if (r < 0 || v < limit->min || v > limit->max)
		return err_set(e, -EINVAL, "%s: must be from %s to %s", name,
			       unit->format(limit->min, low), unit->format(limit->max, high));
	*slot(l, (enum spec_limit)i) = v;
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
