/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The shell of a session: keys and sizes to the worker, its output to the terminal as it is. */
#include "session-private.h"

const char *session_shell_wish(const struct build *b, char out[SESSION_WISH_MAX])
{
	char terminal[SESSION_WISH_MAX - 20];

	if (b->opt.shell == SHELL_NONE)
		return NULL;
	(void)snprintf(out, SESSION_WISH_MAX, "%s %s\n",
		       b->opt.shell == SHELL_ALWAYS ? "always" : "failure",
		       term_describe(terminal, sizeof(terminal)));
	return out;
}

static void on_keys(const char *data, size_t n, void *user_data)
{
	struct session *s = user_data;

	if (proto_send(s->conn, PROTO_LOG, data, n) < 0)
		session_end_broken(s, "cannot pass on what is typed");
}

static void on_size(unsigned rows, unsigned cols, void *user_data)
{
	struct session *s = user_data;
	cJSON *j = cJSON_CreateObject();

	if (j && (!cJSON_AddStringToObject(j, "type", "size") ||
		  json_add_u64(j, "rows", rows) < 0 || json_add_u64(j, "cols", cols) < 0))
		j = json_free(j);
	(void)proto_send_json(s->conn, j); /* without a size there is still a shell */
}

static void on_leave(void *user_data)
{
	struct verdict v = verdict_make(VERDICT_INTERRUPTED, "left by ~.");

	session_end(user_data, &v);
}

void session_shell_begin(struct session *s)
{
	const struct term_callbacks cb = {.keys = on_keys,
					  .size = on_size,
					  .leave = on_leave,
					  .user_data = s};
	struct build *b = s->b;
	struct err e = ERR_INIT;

	/* a worker that asks for a terminal that nobody offered is no worker of ours */
	if (b->opt.shell == SHELL_NONE || s->term) {
		session_end_broken(s, "the worker wants a shell that nobody has asked for");
		return;
	}
	ui_say(&b->ui, "a shell in the worker; exit, or ^D, ends it and saves the workspace; "
		       "Enter ~ . gives it up");
	ui_output_end(&b->ui);
	if (term_start(s->loop, &cb, &s->term, &e) < 0) {
		session_end_broken(s, e.text);
		return;
	}
	b->shell_used = true;
	b->ui.raw_terminal = true;
}

void session_shell_end(struct session *s)
{
	if (!s->term)
		return;
	s->term = term_free(s->term);
	ui_output_end(&s->b->ui);
	s->b->ui.raw_terminal = false;
}
