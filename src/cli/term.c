/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Raw mode and back, the keys, and the way out of a shell that hangs. */
#include "term.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <termios.h>

struct term {
	struct termios saved;
	struct term_callbacks cb;
	struct loop_source *keys, *size;
	enum { ESCAPE_LINE, ESCAPE_TILDE, ESCAPE_NONE } escape; /* at a line's start, behind ~ */
};

bool term_is_there(void)
{
	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

static struct winsize get_size(void)
{
	struct winsize w = {.ws_row = 24, .ws_col = 80};

	(void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &w);
	w.ws_row = w.ws_row ? w.ws_row : 24;
	w.ws_col = w.ws_col ? w.ws_col : 80;
	return w;
}

char *term_describe(char *out, size_t size)
{
	static const char fine[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789.+-";
	const char *name = getenv("TERM");
	struct winsize w = get_size();

	if (!name || !*name || strlen(name) > 60 || name[strspn(name, fine)])
		name = "dumb";
	(void)snprintf(out, size, "%s %u %u", name, w.ws_row, w.ws_col);
	return out;
}

/* Enter ~ . leaves, as with ssh: the bytes before it have been passed on already. */
static bool wants_to_leave(struct term *t, const char *data, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (t->escape == ESCAPE_TILDE && data[i] == '.')
			return true;
		if (data[i] == '\r' || data[i] == '\n')
			t->escape = ESCAPE_LINE;
		else
			t->escape = t->escape == ESCAPE_LINE && data[i] == '~' ? ESCAPE_TILDE
									       : ESCAPE_NONE;
	}
	return false;
}

static void on_keys(struct loop_source *s, uint32_t events, void *user_data)
{
	struct term *t = user_data;
	char data[4096];
	ssize_t n = read(STDIN_FILENO, data, sizeof(data));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		t->keys = loop_remove(s); /* the terminal is gone; SIGHUP tells the session */
		return;
	}
	if (wants_to_leave(t, data, (size_t)n))
		t->cb.leave(t->cb.user_data);
	else
		t->cb.keys(data, (size_t)n, t->cb.user_data);
}

static void on_size(struct loop_source *s, const struct signalfd_siginfo *info, void *user_data)
{
	struct term *t = user_data;
	struct winsize w = get_size();

	t->cb.size(w.ws_row, w.ws_col, t->cb.user_data);
}

int term_start(struct loop *l, const struct term_callbacks *cb, struct term **ret, struct err *e)
{
	struct term *t = calloc(1, sizeof(*t));
	struct termios raw;
	sigset_t set;
	int r;

	if (!t)
		return err_oom(e);
	t->cb = *cb;
	if (tcgetattr(STDIN_FILENO, &t->saved) < 0) {
		r = -errno;
		free(t);
		return err_errno(e, r, "cannot read the terminal's settings");
	}
	raw = t->saved;
	cfmakeraw(&raw);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGWINCH);
	r = loop_add_fd(l, STDIN_FILENO, EPOLLIN, on_keys, t, &t->keys);
	if (r == 0)
		r = loop_add_signals(l, &set, on_size, t, &t->size);
	if (r == 0 && tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) < 0)
		r = -errno;
	if (r < 0) {
		(void)term_free(t);
		return err_errno(e, r, "cannot use the terminal");
	}
	*ret = t;
	return 0;
}

struct term *term_free(struct term *t)
{
	if (!t)
		return NULL;
	(void)loop_remove(t->keys);
	(void)loop_remove(t->size);
	(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &t->saved);
	free(t);
	return NULL;
}
