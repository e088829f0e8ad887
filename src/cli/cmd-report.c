/* SPDX-License-Identifier: GPL-3.0-or-later */
/* contractor report: what a past build used and how it ended, as text, JSON or an HTML page. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "bar.h"
#include "base/io.h"
#include "base/text.h"
#include "cmd.h"
#include "history.h"
#include "options.h"
#include "paths.h"
#include "report-page.h"

#define LOG_TAIL (64 * KIB)

enum { OPT_HTML = 256, OPT_JSON };

static const struct option_def defs[] = {
	{OPT_HTML, "html", "FILE", "write a page for browsers, - for stdout", "@file"},
	{OPT_JSON, "json", NULL, "report.json as it is", NULL},
	{0},
};

const struct option_verb verb_report = {
	.name = "report",
	.operands = "[ID]",
	.about = "Prints the report of a build: of the latest one, or of ID (as contractor status "
		 "lists\n"
		 "it, or a beginning of it).\n",
	.defs = defs,
	.max = 1,
	.words = "@id",
};

/* A line "name: text" with what may be hostile in it made harmless. */
static int line(struct buf *out, const char *name, const char *text)
{
	int r = text ? text_escape(out, name, strlen(name)) : 0;

	if (text && r == 0)
		r = buf_puts(out, ": ");
	if (text && r == 0)
		r = text_escape(out, text, strlen(text));
	return text && r == 0 ? buf_putc(out, '\n') : r;
}

static int add_limits(const cJSON *report, struct buf *out)
{
	const cJSON *limits = json_get(report, "limits"), *l;
	char text[BAR_TEXT_MAX];
	int r = 0;

	cJSON_ArrayForEach (l, limits) {
		size_t n = l->string ? strlen(l->string) : 0;
		char name[32], shown[32];

		if (r < 0 || !cJSON_IsObject(l))
			continue;
		if (n > 3 && strcmp(l->string + n - 3, "-ms") == 0)
			n -= 3;
		(void)snprintf(name, sizeof(name), "%.*s", (int)n, l->string);
		(void)text_escape_line(name, strlen(name), shown, sizeof(shown));
		r = buf_printf(out, "  %s\n",
			       bar_text(shown, json_u64_or(l, "granted", 0),
					json_u64_or(l, "peak", 0), text));
	}
	return r;
}

static int make_text(const cJSON *report, struct buf *out)
{
	const cJSON *paths = json_get(report, "paths"), *p;
	char took[NUM_TEXT_MAX];
	int r = line(out, "build", json_str(report, "id"));

	if (r == 0)
		r = line(out, "verdict", json_str(report, "verdict"));
	if (r == 0)
		r = line(out, "reason", json_str(report, "reason"));
	if (r == 0)
		r = line(out, "isolation", json_str(report, "isolation"));
	if (r == 0)
		r = buf_puts(out, "phases:\n");
	cJSON_ArrayForEach (p, json_get(report, "phases")) {
		if (r == 0)
			r = buf_puts(out, "  ");
		if (r == 0)
			r = line(out, json_str(p, "name") ? json_str(p, "name") : "",
				 format_duration(json_u64_or(p, "ms", 0), took));
	}
	if (r == 0)
		r = buf_puts(out, "limits:\n");
	if (r == 0)
		r = add_limits(report, out);
	cJSON_ArrayForEach (p, json_get(report, "denied")) {
		if (r == 0)
			r = line(out, "denied", json_str(p, "reason"));
		if (r == 0)
			r = line(out, "to allow it", json_str(p, "allow"));
	}
	cJSON_ArrayForEach (p, paths) {
		if (r == 0 && cJSON_IsString(p))
			r = line(out, p->string, p->valuestring);
	}
	return r;
}

/* The end of the log, from the beginning of a line. */
static int read_tail(const char *dir, struct buf *out, bool *ret_whole)
{
	_cleanup_free_ char *path = paths_join(dir, "log");
	_cleanup_close_ int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
	const char *nl;
	struct stat st;
	int r;

	*ret_whole = true;
	if (fd < 0 || fstat(fd, &st) < 0)
		return 0; /* a page without a log is better than none */
	if (st.st_size > (off_t)LOG_TAIL) {
		*ret_whole = false;
		(void)lseek(fd, st.st_size - (off_t)LOG_TAIL, SEEK_SET);
	}
	r = io_read_all(fd, 2 * LOG_TAIL, out);
	nl = !*ret_whole && out->len ? memchr(out->data, '\n', out->len) : NULL;
	if (nl)
		buf_drop(out, (size_t)(nl - out->data) + 1);
	return r;
}

static int write_html(const struct history_build *b, const char *path, struct err *e)
{
	_cleanup_buf_ struct buf log = {0}, page = {0};
	bool whole;
	int r = read_tail(b->dir, &log, &whole);

	if (r == 0)
		r = report_page(b->report, buf_str(&log), log.len, whole, &page);
	if (r < 0)
		return err_errno(e, r, "cannot make the page");
	if (strcmp(path, "-") == 0)
		return io_write_full(STDOUT_FILENO, page.data, page.len) < 0
			       ? err_errno(e, -errno, "cannot print the page")
			       : 0;
	return io_write_file_atomic(path, page.data, page.len, 0644, e);
}

static int print(const struct history_build *b, bool json, struct err *e)
{
	_cleanup_free_ char *raw = json ? json_print_pretty(b->report) : NULL;
	_cleanup_buf_ struct buf out = {0};
	int r = json ? (raw ? buf_puts(&out, raw) : -ENOMEM) : make_text(b->report, &out);

	if (r < 0)
		return err_errno(e, r, "cannot make the report");
	if (fputs(buf_str(&out), stdout) < 0 || fflush(stdout) != 0)
		return err_errno(e, -errno, "cannot print the report");
	return 0;
}

static int report(const char *word, const char *html, bool json, struct err *e)
{
	_cleanup_(history_build_done) struct history_build b = {0};
	_cleanup_(history_done) struct history h = {0};
	_cleanup_free_ char *state = NULL;
	const char *id = NULL;
	int r = paths_state(&state, e);

	if (r == 0)
		r = history_list(state, &h, e);
	if (r == 0)
		r = history_find(&h, word, &id, e);
	if (r == 0)
		r = history_open(state, id, &b, e);
	if (r < 0)
		return r;
	if (!b.report && b.running)
		return err_set(e, -EINVAL,
			       "%s: still runs, its report comes at the end; contractor log -f %s "
			       "shows what it says",
			       id, id);
	if (!b.report)
		return err_set(e, -EINVAL,
			       "%s: was killed and has no report; contractor log %s shows its log",
			       id, id);
	return html ? write_html(&b, html, e) : print(&b, json, e);
}

int cmd_report(int argc, char **argv)
{
	const char *html = NULL;
	struct err e = ERR_INIT;
	bool json = false;
	struct options o;
	int c, r = CMD_USAGE;

	options_begin(&o, &verb_report, argc, argv);
	while ((c = options_next(&o, &r)) > 0) {
		if (c == OPT_HTML)
			html = o.value;
		else
			json = true;
	}
	if (c < 0)
		return r;
	if (html && json)
		return options_misuse(&verb_report, "--html or --json, not both");
	r = report(o.operand[0], html, json, &e);
	if (r < 0)
		(void)fprintf(stderr, "contractor: %s\n", e.text);
	return r == 0 ? CMD_OK : r == -ENOENT || r == -EINVAL ? CMD_USAGE : CMD_INFRASTRUCTURE;
}
