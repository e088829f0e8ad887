/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The guest's control lines: a pure state machine over what a hostile worker may say, and when. */
#ifndef CONTRACTOR_MANAGER_CTL_H
#define CONTRACTOR_MANAGER_CTL_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

#define CTL_VERSION  1
#define CTL_LINE_MAX 1024

/* What the worker is doing; only ever goes forward. */
enum ctl_phase {
	CTL_BOOT,    /* nothing heard yet */
	CTL_READY,   /* waits for go */
	CTL_PREPARE, /* runs the play; only where `prepare` is set, and then copies nothing */
	CTL_COPY_IN,
	CTL_BUILD,
	CTL_SHELL, /* a person works in it, instead of the build or after it */
	CTL_COPY_OUT,
	CTL_DONE,
	_CTL_PHASE_MAX,
};

enum ctl_what {
	CTL_SAYS_PHASE, /* `phase` of the state has advanced */
	CTL_SAYS_EXIT,	/* `exit_code` of the state is set */
	CTL_SAYS_ERROR, /* the guest cannot go on: word and text */
	CTL_SAYS_TASK,	/* the play has failed: word (task, fetch) and text */
	_CTL_SAYS_MAX,
};

/* Zero it to start, but for `prepare`. */
struct ctl_state {
	bool prepare; /* the worker was started to run a play */
	enum ctl_phase phase;
	bool has_exit;
	int exit_code; /* 0..255, as sh gives it */
	char error_word[32];
	char error_text[512]; /* escaped, fit to print */
};

/*
 * Pure: one line without its newline. 0 and *ret, or -EBADMSG with the reason (an unknown line, one
 * that comes at the wrong time, a bad number).
 */
int ctl_line(struct ctl_state *s, const char *line, size_t len, enum ctl_what *ret, struct err *e);

/* The phase's name for protocol and report: boot, ready, prepare, copy-in, build, copy-out, done.
 */
const char *ctl_phase_name(enum ctl_phase p);

#endif
