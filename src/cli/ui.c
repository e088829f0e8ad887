/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lines for the user, and hostile build output made harmless across chunk borders. */
#include "ui.h"

#include <stdarg.h>

#include "base/io.h"
#include "base/text.h"

void ui_init(struct ui *u)
{
	const char *term = getenv("TERM");

	u->live = isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
}

/* Takes the status line away before anything else is written. */
static void clear_status(struct ui *u)
{
	if (u->shown)
		(void)io_write_full(STDERR_FILENO, "\r\x1b[K", 4);
	u->shown = false;
}

void ui_status(struct ui *u, const char *fmt, ...)
{
	char text[256];
	va_list ap;
	int n;

	if (!u->live || u->json || u->raw_terminal || u->mode == UI_QUIET || u->midline)
		return;
	n = snprintf(text, sizeof(text), "\r\x1b[Kcontractor: ");
	va_start(ap, fmt);
	(void)vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, ap);
	va_end(ap);
	(void)io_write_full(STDERR_FILENO, text, strlen(text));
	u->shown = true;
}

void ui_event(struct ui *u, cJSON *consume_j)
{
	_cleanup_(json_free_p) cJSON *j = consume_j;
	_cleanup_free_ char *text = j && u->json ? json_print(j) : NULL;
	size_t len = text ? strlen(text) : 0;

	if (!text)
		return;
	text[len] = '\n'; /* in the place of the NUL: one write is one whole line */
	(void)io_write_full(STDOUT_FILENO, text, len + 1);
}

/* An event with a text that may be anything. */
static void event_text(struct ui *u, const char *name, const char *text, size_t len)
{
	_cleanup_(json_free_p) cJSON *j = cJSON_CreateObject();
	_cleanup_buf_ struct buf out = {0};
	bool as_it_is = u->raw_log && text_is_utf8(text, len);

	if (!j || (as_it_is ? buf_put(&out, text, len) : text_escape(&out, text, len)) < 0)
		return;
	(void)cJSON_AddStringToObject(j, "event", name);
	(void)cJSON_AddStringToObject(j, "text", buf_str(&out));
	ui_event(u, take_ptr(&j));
}

static void say(struct ui *u, const char *fmt, va_list ap)
{
	char text[4096];
	int n;

	ui_output_end(u);
	clear_status(u);
	n = snprintf(text, sizeof(text), "%scontractor: ", u->raw_terminal ? "\r" : "");
	(void)vsnprintf(text + n, sizeof(text) - (size_t)n - 2, fmt, ap);
	n = (int)strlen(text);
	if (u->raw_terminal)
		text[n++] = '\r';
	text[n++] = '\n';
	(void)io_write_full(STDERR_FILENO, text, (size_t)n);
}

/* In json mode an event in the place of a line. */
static void say_or_tell(struct ui *u, const char *event, const char *fmt, va_list ap)
{
	char text[4096];

	if (!u->json) {
		say(u, fmt, ap);
		return;
	}
	ui_output_end(u);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	event_text(u, event, text, strlen(text));
}

void ui_say(struct ui *u, const char *fmt, ...)
{
	va_list ap;

	if (u->mode == UI_QUIET)
		return;
	va_start(ap, fmt);
	say_or_tell(u, "message", fmt, ap);
	va_end(ap);
}

void ui_detail(struct ui *u, const char *fmt, ...)
{
	va_list ap;

	if (u->mode != UI_VERBOSE)
		return;
	va_start(ap, fmt);
	say_or_tell(u, "message", fmt, ap);
	va_end(ap);
}

void ui_error(struct ui *u, const char *fmt, ...)
{
	va_list ap;

	if (u->json) {
		va_start(ap, fmt);
		say_or_tell(u, "error", fmt, ap);
		va_end(ap);
	}
	va_start(ap, fmt);
	say(u, fmt, ap);
	va_end(ap);
}

/* How many bytes at the end may be the beginning of something that the next chunk finishes. */
static size_t unfinished(const char *data, size_t len)
{
	if (len > 0 && data[len - 1] == '\r')
		return 1;
	for (size_t back = 1; back <= 3 && back <= len; back++) {
		unsigned char c = (unsigned char)data[len - back];

		if (c < 0x80)
			return 0;
		if (c >= 0xc0)
			return (c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2) > back ? back : 0;
	}
	return 0;
}

static void show(struct ui *u, const char *data, size_t len)
{
	_cleanup_buf_ struct buf out = {0};

	if (len == 0)
		return;
	if (u->json && !u->raw_terminal) {
		event_text(u, "output", data, len);
		return;
	}
	clear_status(u);
	if (u->raw_log || u->raw_terminal) {
		(void)io_write_full(STDOUT_FILENO, data, len);
	} else if (text_escape(&out, data, len) == 0) {
		(void)io_write_full(STDOUT_FILENO, out.data, out.len);
	}
	u->midline = data[len - 1] != '\n';
}

void ui_output(struct ui *u, const char *data, size_t len)
{
	size_t keep;

	if ((u->mode == UI_QUIET && !u->raw_terminal) || buf_put(&u->held, data, len) < 0)
		return;
	keep = (u->raw_log && !u->json) || u->raw_terminal ? 0
							   : unfinished(u->held.data, u->held.len);
	show(u, u->held.data, u->held.len - keep);
	buf_drop(&u->held, u->held.len - keep);
}

void ui_output_end(struct ui *u)
{
	show(u, u->held.data, u->held.len);
	buf_drop(&u->held, u->held.len);
	if (u->midline)
		(void)io_write_full(STDOUT_FILENO, "\n", 1);
	u->midline = false;
}

void ui_done(struct ui *u)
{
	ui_output_end(u);
	clear_status(u);
	buf_done(&u->held);
}
