/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the user sees while a build runs: lines on stderr, the build's output on stdout. */
#ifndef CONTRACTOR_CLI_UI_H
#define CONTRACTOR_CLI_UI_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/json.h"

enum ui_mode {
	UI_NORMAL,
	UI_QUIET,   /* no progress, no build output; errors and a failed build's summary only */
	UI_VERBOSE, /* normal, and what is usually left unsaid */
	_UI_MODE_MAX,
};

struct ui {
	enum ui_mode mode;
	bool json;	   /* events on stdout, nothing but errors on stderr */
	bool raw_log;	   /* build output goes out as it came, control sequences and all */
	bool live;	   /* stderr is a terminal: a status line is redrawn in place */
	bool shown;	   /* the status line stands there now */
	bool raw_terminal; /* the terminal is a worker's shell's now: no line feed without \r */
	bool midline;	   /* the build's last output did not end its line */
	struct buf held;   /* an unfinished UTF-8 sequence or \r of the build's output */
};

/* Looks whether stderr is a terminal that can redraw a line. */
void ui_init(struct ui *u);

/* One line "contractor: text" on stderr (json: an event); nothing in quiet mode. */
void ui_say(struct ui *u, const char *fmt, ...) _printf_(2, 3);

/* The same, only in verbose mode. */
void ui_detail(struct ui *u, const char *fmt, ...) _printf_(2, 3);

/* The status line, redrawn in place on a terminal; nothing without one, or amid a line of output.
 */
void ui_status(struct ui *u, const char *fmt, ...) _printf_(2, 3);

/* An error: always shown. */
void ui_error(struct ui *u, const char *fmt, ...) _printf_(2, 3);

/* Build output, to stdout, control characters made visible unless raw_log is set. */
void ui_output(struct ui *u, const char *data, size_t len);

/* One line of JSON on stdout, in json mode alone; consumes j (NULL: nothing). */
void ui_event(struct ui *u, cJSON *consume_j);

/* Shows what ui_output still holds and ends an open line. */
void ui_output_end(struct ui *u);

void ui_done(struct ui *u);

#endif
