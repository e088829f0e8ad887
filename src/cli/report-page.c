/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The HTML page: its style, its parts, and the escaping that every text goes through. */
#include "report-page.h"

#include "bar.h"
#include "base/num.h"
#include "base/text.h"

/* No request leaves this page, no script runs in it, whatever got into it. */
static const char head[] =
	"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
	"style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n"
	"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	"<meta name=\"referrer\" content=\"no-referrer\">\n"
	"<style>\n"
	"body{font:16px/1.5 system-ui,sans-serif;color:#1b1b1b;background:#fff;margin:0 auto;"
	"padding:1rem;max-width:75rem;overflow-wrap:anywhere}\n"
	"h1{font-size:1.4rem;margin:.2rem 0}h2{font-size:1.1rem;margin:1.5rem 0 .4rem}\n"
	".verdict{display:inline-block;padding:.1rem .6rem;border-radius:.3rem;color:#fff;"
	"background:#a11d1d}.verdict.built{background:#1d6b2f}\n"
	"table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;"
	"padding:.2rem .6rem .2rem 0;border-bottom:1px solid #ddd}"
	"th,.names td:first-child{white-space:nowrap}\n"
	"pre,code{font:14px/1.4 ui-monospace,monospace}pre{background:#f4f4f4;padding:.6rem;"
	"white-space:pre-wrap;margin:.3rem 0}\n"
	".bar{display:flex;height:1.6rem;border-radius:.3rem;overflow:hidden}"
	".bar div{min-width:2px}\n"
	".key{display:flex;flex-wrap:wrap;gap:.2rem 1rem;margin:.4rem 0}"
	".key i{display:inline-block;width:.8em;height:.8em;margin-right:.3em}\n"
	".p0{background:#355c7d}.p1{background:#6c5b7b}.p2{background:#c06c84}"
	".p3{background:#b5651d}.p4{background:#2a7f62}.p5{background:#7a7a2a}"
	".p6{background:#555}\n"
	".plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,26rem),1fr));"
	"gap:1rem}figure{margin:0}\n"
	"svg{display:block;width:100%;height:8rem;background:#f4f4f4}"
	"polyline{fill:none;stroke:#1f5fa8;stroke-width:2;vector-effect:non-scaling-stroke}"
	".limit{stroke:#a11d1d;stroke-width:2;stroke-dasharray:6 4;"
	"vector-effect:non-scaling-stroke}\n"
	".axis{font-size:.8rem;color:#555}.ends{display:flex;justify-content:space-between}\n"
	"</style>\n";

#define PHASE_COLOURS 7

int page_text(struct buf *out, const char *text, size_t len)
{
	_cleanup_buf_ struct buf shown = {0};
	int r = text_escape(&shown, text, len);

	for (size_t i = 0; i < shown.len && r == 0; i++) {
		switch (shown.data[i]) {
		case '&':
			r = buf_puts(out, "&amp;");
			break;
		case '<':
			r = buf_puts(out, "&lt;");
			break;
		case '>':
			r = buf_puts(out, "&gt;");
			break;
		case '"':
			r = buf_puts(out, "&quot;");
			break;
		case '\'':
			r = buf_puts(out, "&#39;");
			break;
		default:
			r = buf_putc(out, shown.data[i]);
		}
	}
	return r;
}

/* before TEXT after, the text being anything. */
static int put(struct buf *out, const char *before, const char *text, const char *after)
{
	int r = buf_puts(out, before);

	if (r == 0 && text)
		r = page_text(out, text, strlen(text));
	return r < 0 ? r : buf_puts(out, after);
}

static int add_head(const cJSON *report, struct buf *out)
{
	const char *verdict = json_str(report, "verdict"), *reason = json_str(report, "reason");
	const char *id = json_str(report, "id");
	bool built = verdict && strcmp(verdict, "built") == 0;
	int r = buf_puts(out, head);

	if (r == 0)
		r = put(out, "<title>", verdict ? verdict : "no verdict", " - ");
	if (r == 0)
		r = put(out, "", id ? id : "", "</title>\n</head>\n<body>\n");
	if (r == 0)
		r = buf_printf(out, "<h1><span class=\"verdict%s\">", built ? " built" : "");
	if (r == 0)
		r = put(out, "", verdict ? verdict : "no verdict", "</span> ");
	if (r == 0)
		r = put(out, "", id ? id : "", "</h1>\n");
	if (r == 0 && reason)
		r = put(out, "<p>", reason, "</p>\n");
	return r;
}

static int add_phases(const cJSON *report, struct buf *out)
{
	const cJSON *phases = json_get(report, "phases"), *p;
	char text[NUM_TEXT_MAX];
	int i = 0, r = buf_puts(out, "<h2>Phases</h2>\n<div class=\"bar\">");

	cJSON_ArrayForEach (p, phases) {
		if (r == 0)
			r = buf_printf(out, "<div class=\"p%d\" style=\"flex:%llu\"></div>",
				       i++ % PHASE_COLOURS,
				       (unsigned long long)json_u64_or(p, "ms", 0));
	}
	if (r == 0)
		r = buf_puts(out, "</div>\n<div class=\"key\">");
	i = 0;
	cJSON_ArrayForEach (p, phases) {
		if (r == 0)
			r = buf_printf(out, "<span><i class=\"p%d\"></i>", i++ % PHASE_COLOURS);
		if (r == 0)
			r = put(out, "", json_str(p, "name"), " ");
		if (r == 0)
			r = put(out, "", format_duration(json_u64_or(p, "ms", 0), text),
				"</span>\n");
	}
	return r < 0 ? r : buf_puts(out, "</div>\n");
}

/* "cpu-time-ms" in the report is the limit "cpu-time" of the spec. */
static int add_limits(const cJSON *report, struct buf *out)
{
	const cJSON *limits = json_get(report, "limits"), *l;
	char name[64], had[NUM_TEXT_MAX], took[NUM_TEXT_MAX];
	int r = buf_puts(out, "<h2>Limits</h2>\n<table><tr><th>limit</th><th>used</th>"
			      "<th>granted</th><th>share</th></tr>\n");

	cJSON_ArrayForEach (l, limits) {
		uint64_t granted = json_u64_or(l, "granted", 0), peak = json_u64_or(l, "peak", 0);
		size_t n = l->string ? strlen(l->string) : 0;

		if (r < 0 || !cJSON_IsObject(l))
			continue;
		if (n > 3 && strcmp(l->string + n - 3, "-ms") == 0)
			n -= 3;
		(void)snprintf(name, sizeof(name), "%.*s", (int)n, l->string);
		r = put(out, "<tr><td>", name, "</td>");
		if (r == 0)
			r = buf_printf(out, "<td>%s</td><td>%s</td><td>%llu %%</td></tr>\n",
				       bar_value(name, peak, took), bar_value(name, granted, had),
				       (unsigned long long)bar_share(granted, peak) / 10);
	}
	return r < 0 ? r : buf_puts(out, "</table>\n");
}

static int add_denied(const cJSON *report, struct buf *out)
{
	const cJSON *list = json_get(report, "denied"), *d;
	int r = 0;

	if (cJSON_GetArraySize(list) == 0)
		return 0;
	r = buf_puts(out, "<h2>Denied attempts</h2>\n<table><tr><th>attempt</th><th>times</th>"
			  "</tr>\n");
	cJSON_ArrayForEach (d, list) {
		if (r == 0)
			r = put(out, "<tr><td>", json_str(d, "reason"), "");
		if (r == 0 && json_str(d, "allow"))
			r = put(out, "<br>to allow it:<pre>", json_str(d, "allow"), "</pre>");
		if (r == 0)
			r = buf_printf(out, "</td><td>%llu</td></tr>\n",
				       (unsigned long long)json_u64_or(d, "count", 1));
	}
	return r < 0 ? r : buf_puts(out, "</table>\n");
}

static int add_table(const cJSON *o, const char *title, struct buf *out)
{
	const cJSON *v;
	int r = buf_printf(out, "<h2>%s</h2>\n<table class=\"names\">", title);

	cJSON_ArrayForEach (v, o) {
		if (r == 0 && cJSON_IsString(v)) {
			r = put(out, "<tr><td>", v->string, "</td><td><code>");
			if (r == 0)
				r = put(out, "", v->valuestring, "</code></td></tr>\n");
		}
	}
	return r < 0 ? r : buf_puts(out, "</table>\n");
}

static int add_log(const char *log, size_t len, bool whole, struct buf *out)
{
	int r = buf_printf(out, "<h2>Log%s</h2>\n<pre>", whole ? "" : ", its end");

	/* a new line directly behind <pre> would be swallowed */
	if (r == 0)
		r = buf_putc(out, '\n');
	if (r == 0)
		r = page_text(out, log, len);
	return r < 0 ? r : buf_puts(out, "</pre>\n");
}

int report_page(const cJSON *report, const char *log, size_t log_len, bool log_whole,
		struct buf *out)
{
	int r = add_head(report, out);

	if (r == 0)
		r = add_phases(report, out);
	if (r == 0)
		r = add_denied(report, out);
	if (r == 0)
		r = add_limits(report, out);
	if (r == 0)
		r = buf_puts(out, "<h2>Over time</h2>\n<div class=\"plots\">\n");
	if (r == 0)
		r = report_plots(report, out);
	if (r == 0)
		r = buf_puts(out, "</div>\n");
	if (r == 0)
		r = add_log(log, log_len, log_whole, out);
	if (r == 0)
		r = add_table(json_get(report, "paths"), "Files", out);
	if (r == 0)
		r = add_table(json_get(report, "versions"), "Versions", out);
	return r < 0 ? r : buf_puts(out, "</body>\n</html>\n");
}
