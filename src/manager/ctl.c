/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The guest's control lines: which may come, and when. */
/*
 * The order in which they may come:
 *
 *	ready 1 | phase copy-in | phase build | exit N | phase copy-out | done
 *	ready 1 | phase prepare | exit N | done
 *
 * where somebody wants a shell, phase shell comes behind exit N, or between phase build and exit N;
 * with `error WORD TEXT` at any time after `ready`; in prepare the words `task` and `fetch` say
 * what the play failed at, and it goes on. All is ASCII, at most 1024 bytes a line.
 */
#include "ctl.h"

#include <errno.h>
#include <stdint.h>

#include "base/num.h"
#include "base/text.h"

static const char *const phase_names[_CTL_PHASE_MAX] = {
	[CTL_BOOT] = "boot",	     [CTL_READY] = "ready", [CTL_PREPARE] = "prepare",
	[CTL_COPY_IN] = "copy-in",   [CTL_BUILD] = "build", [CTL_SHELL] = "shell",
	[CTL_COPY_OUT] = "copy-out", [CTL_DONE] = "done",
};

const char *ctl_phase_name(enum ctl_phase p)
{
	return phase_names[p];
}

static enum ctl_phase next_phase(const struct ctl_state *s)
{
	if (s->phase == CTL_READY)
		return s->prepare ? CTL_PREPARE : CTL_COPY_IN;
	if (s->phase == CTL_PREPARE)
		return CTL_DONE;
	if (s->phase == CTL_BUILD)
		return CTL_COPY_OUT; /* or CTL_SHELL, where somebody wants one */
	return (enum ctl_phase)(s->phase + 1);
}

static int advance(struct ctl_state *s, enum ctl_phase to, enum ctl_what *ret, struct err *e)
{
	if (to != next_phase(s) && (to != CTL_SHELL || s->phase != CTL_BUILD))
		return err_set(e, -EBADMSG, "the worker says %s while it is in %s", phase_names[to],
			       phase_names[s->phase]);
	if ((to == CTL_COPY_OUT || s->phase == CTL_PREPARE) && !s->has_exit)
		return err_set(e, -EBADMSG, "the worker goes on to %s without an exit code",
			       phase_names[to]);
	s->phase = to;
	*ret = CTL_SAYS_PHASE;
	return 0;
}

static int say_error(struct ctl_state *s, const char *rest, enum ctl_what *ret, struct err *e)
{
	size_t n = strcspn(rest, " ");

	if (s->phase == CTL_BOOT || s->phase == CTL_DONE)
		return err_set(e, -EBADMSG, "the worker reports an error while it is in %s",
			       phase_names[s->phase]);
	if (n == 0 || n >= sizeof(s->error_word) ||
	    strspn(rest, "abcdefghijklmnopqrstuvwxyz0123456789-") < n)
		return err_set(e, -EBADMSG, "the worker reports an error without a word");
	memcpy(s->error_word, rest, n);
	s->error_word[n] = '\0';
	rest += n + (rest[n] == ' ');
	(void)text_escape_line(rest, strlen(rest), s->error_text, sizeof(s->error_text));
	*ret = CTL_SAYS_ERROR;
	if (s->phase == CTL_PREPARE &&
	    (strcmp(s->error_word, "task") == 0 || strcmp(s->error_word, "fetch") == 0))
		*ret = CTL_SAYS_TASK;
	return 0;
}

static int say_exit(struct ctl_state *s, const char *rest, enum ctl_what *ret, struct err *e)
{
	uint64_t v;

	if ((s->phase != CTL_BUILD && s->phase != CTL_SHELL && s->phase != CTL_PREPARE) ||
	    s->has_exit)
		return err_set(e, -EBADMSG, "the worker gives an exit code while it is in %s",
			       phase_names[s->phase]);
	if (parse_u64(rest, &v) < 0 || v > 255)
		return err_set(e, -EBADMSG, "the worker gives an exit code that is not 0 to 255");
	s->has_exit = true;
	s->exit_code = (int)v;
	*ret = CTL_SAYS_EXIT;
	return 0;
}

int ctl_line(struct ctl_state *s, const char *line, size_t len, enum ctl_what *ret, struct err *e)
{
	char text[CTL_LINE_MAX + 1], shown[128];

	if (len > CTL_LINE_MAX || memchr(line, '\0', len))
		return err_set(e, -EBADMSG, "the worker's control line is too long or has a NUL");
	memcpy(text, line, len);
	text[len] = '\0';
	if (strncmp(text, "ready ", 6) == 0) {
		if (strcmp(text + 6, "1") != 0)
			return err_set(e, -EBADMSG,
				       "the worker speaks another version of the guest contract");
		return advance(s, CTL_READY, ret, e);
	}
	for (enum ctl_phase p = CTL_PREPARE; p <= CTL_COPY_OUT; p++) {
		if (strncmp(text, "phase ", 6) == 0 && strcmp(text + 6, phase_names[p]) == 0)
			return advance(s, p, ret, e);
	}
	if (strncmp(text, "exit ", 5) == 0)
		return say_exit(s, text + 5, ret, e);
	if (strncmp(text, "error ", 6) == 0)
		return say_error(s, text + 6, ret, e);
	if (strcmp(text, "done") == 0)
		return advance(s, CTL_DONE, ret, e);
	return err_set(e, -EBADMSG, "the worker says what the guest contract does not have: %s",
		       text_escape_line(text, len, shown, sizeof(shown)));
}
