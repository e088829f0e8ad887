/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Plots of a build's samples as inline SVG: a line, its limit, and the figures beside it as text.
 */
#include <errno.h>

#include "bar.h"
#include "base/num.h"
#include "report-page.h"

#define WIDTH  1000ULL
#define HEIGHT 200ULL
/* The points of a plot, at most: samples are thinned before (BUILD_SAMPLES_MAX). */
#define POINTS_MAX 4000

/* What is plotted: a member of the samples, or its growth a second. */
struct plot {
	const char *title, *member, *other; /* other: a second member, added to the first */
	const char *limit;		    /* in the report's limits, or NULL */
	const char *unit;		    /* the spec's limit whose unit this is in */
	bool rate;
};

static const struct plot plots[] = {
	{"Processor time", "cpu-ms", NULL, "cpu-time-ms", "cpu-time", false},
	{"Memory", "memory", NULL, "memory", "memory", false},
	{"Disk in use", "disk", NULL, "disk", "disk", false},
	{"Disk, read and written a second", "read", "written", NULL, "disk", true},
	{"Network, sent and received", "up", "down", "bandwidth", "disk", false},
	{"Log", "log", NULL, "log", "log", false},
};

struct point {
	uint64_t at, value;
};

static uint64_t value_of(const struct plot *p, const cJSON *sample)
{
	uint64_t v = json_u64_or(sample, p->member, 0);

	if (p->other)
		v += json_u64_or(sample, p->other, 0);
	return v;
}

/* Reads the samples in order of time; those that go back are left out. */
static size_t read_points(const struct plot *p, const cJSON *samples, struct point *out)
{
	const cJSON *s;
	uint64_t last = 0, last_at = 0;
	size_t n = 0;

	cJSON_ArrayForEach (s, samples) {
		uint64_t at = json_u64_or(s, "at-ms", UINT64_MAX), v = value_of(p, s), rate;

		if (n == POINTS_MAX || at == UINT64_MAX || (n > 0 && at <= last_at))
			continue;
		/* both are below 2^54: see json_u64 */
		rate = v > last && at > last_at ? (v - last) * 1000 / (at - last_at) : 0;
		out[n++] = (struct point){at, p->rate ? rate : v};
		last = v;
		last_at = at;
	}
	return n;
}

static uint64_t scale(uint64_t v, uint64_t max, uint64_t size)
{
	return max == 0 ? 0 : MIN((uint64_t)((double)v / (double)max * (double)size), size);
}

static int draw(const struct point *points, size_t n, uint64_t top, uint64_t limit, struct buf *out)
{
	uint64_t end = points[n - 1].at;
	int r = buf_printf(out,
			   "<svg viewBox=\"0 0 %llu %llu\" preserveAspectRatio=\"none\" "
			   "role=\"img\" aria-hidden=\"true\">",
			   WIDTH, HEIGHT);

	if (r == 0 && limit && limit <= top)
		r = buf_printf(out,
			       "<line class=\"limit\" x1=\"0\" x2=\"%llu\" y1=\"%llu\" "
			       "y2=\"%llu\"/>",
			       WIDTH, (unsigned long long)(HEIGHT - scale(limit, top, HEIGHT)),
			       (unsigned long long)(HEIGHT - scale(limit, top, HEIGHT)));
	if (r == 0)
		r = buf_puts(out, "<polyline points=\"");
	for (size_t i = 0; i < n && r == 0; i++)
		r = buf_printf(out, "%s%llu,%llu", i ? " " : "",
			       (unsigned long long)scale(points[i].at, end, WIDTH),
			       (unsigned long long)(HEIGHT - scale(points[i].value, top, HEIGHT)));
	return r < 0 ? r : buf_puts(out, "\"/></svg>");
}

static int add_plot(const struct plot *p, const cJSON *report, struct point *points, size_t n,
		    struct buf *out)
{
	const cJSON *limits = json_get(report, "limits");
	uint64_t limit = p->limit ? json_u64_or(json_get(limits, p->limit), "granted", 0) : 0;
	char had[NUM_TEXT_MAX], top_text[NUM_TEXT_MAX], peak_text[NUM_TEXT_MAX];
	char end[NUM_TEXT_MAX];
	uint64_t peak = 0, top;
	int r;

	for (size_t i = 0; i < n; i++)
		peak = MAX(peak, points[i].value);
	if (peak == 0 && !limit)
		return 0; /* as of a worker without a network */
	/* far below the limit the line would lie on the ground: then the limit is told, not drawn
	 */
	top = limit && peak >= limit / 4 ? MAX(limit, peak) : peak + peak / 4 + 1;
	r = buf_printf(out, "<figure><figcaption><b>%s</b> at most %s%s", p->title,
		       bar_value(p->unit, peak, peak_text), p->rate ? "/s" : "");
	if (r == 0 && limit)
		r = buf_printf(out, ", limit %s%s", bar_value(p->unit, limit, had),
			       limit > top ? " (above this plot)" : "");
	if (r == 0)
		r = buf_printf(out, "</figcaption><div class=\"axis\">%s%s</div>",
			       bar_value(p->unit, top, top_text), p->rate ? "/s" : "");
	if (r == 0)
		r = draw(points, n, top, limit, out);
	if (r == 0)
		r = buf_printf(out,
			       "<div class=\"axis ends\"><span>0 s</span><span>%s</span></div>"
			       "</figure>\n",
			       format_duration(points[n - 1].at, end));
	return r;
}

static bool has_member(const cJSON *samples, const char *name)
{
	return json_get(cJSON_GetArrayItem(samples, 0), name) != NULL;
}

int report_plots(const cJSON *report, struct buf *out)
{
	const cJSON *samples = json_get(report, "samples");
	_cleanup_free_ struct point *points = calloc(POINTS_MAX, sizeof(*points));
	int r = points ? 0 : -ENOMEM;

	for (size_t i = 0; i < ARRAY_SIZE(plots) && r == 0; i++) {
		size_t n = read_points(&plots[i], samples, points);

		if (n >= 2 && has_member(samples, plots[i].member))
			r = add_plot(&plots[i], report, points, n, out);
	}
	return r;
}
