/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Saving and loading a machine: short sequences of commands, one after the other. */
/*
 *	save: stop, capabilities, getfd, migrate; MIGRATION completed
 *	load: capabilities, getfd, migrate-incoming; MIGRATION completed; query-status until the
 *	      state has settled (a cont before that is lost); cont
 */
#include "state.h"

#include <errno.h>
#include <fcntl.h>

#define FD_NAME "state"

enum step {
	STEP_STOP,
	STEP_CAPABILITIES,
	STEP_GETFD,
	STEP_MOVE,
	STEP_MOVED, /* by an event */
	STEP_STATUS,
	STEP_CONT,
	STEP_END,
};

struct qmp_state {
	struct qmp *q;
	int fd;
	bool load, moved;
	enum step step;
	uint64_t deadline_ms;
	qmp_state_fn fn;
	void *user_data;
	bool busy, freed; /* in a callback of ours; a command is out */
	bool pending;
};

static const char *const names[] = {
	[STEP_STOP] = "stop",	  [STEP_CAPABILITIES] = "migrate-set-capabilities",
	[STEP_GETFD] = "getfd",	  [STEP_MOVE] = "migrate",
	[STEP_MOVED] = "migrate", [STEP_STATUS] = "query-status",
	[STEP_CONT] = "cont",
};

static void finish(struct qmp_state *s, int code, const struct err *e)
{
	s->step = STEP_END;
	s->fn(code, e, s->user_data);
}

static void fail(struct qmp_state *s, int code, const char *text)
{
	struct err e = ERR_INIT;

	(void)err_set(&e, code, "%s: %s",
		      s->load && s->step <= STEP_MOVED && s->step >= STEP_MOVE ? "migrate-incoming"
									       : names[s->step],
		      text);
	finish(s, code, &e);
}

static cJSON *capabilities(void)
{
	static const char *const wanted[] = {"x-ignore-shared", "events"};
	cJSON *args = cJSON_CreateObject();
	cJSON *list = args ? cJSON_AddArrayToObject(args, "capabilities") : NULL;

	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		cJSON *one = cJSON_CreateObject();

		if (!one || !list || !cJSON_AddStringToObject(one, "capability", wanted[i]) ||
		    !cJSON_AddBoolToObject(one, "state", true) ||
		    !cJSON_AddItemToArray(list, one)) {
			cJSON_Delete(one);
			return json_free(args);
		}
	}
	return args;
}

static cJSON *one_member(const char *key, const char *value)
{
	cJSON *args = cJSON_CreateObject();

	return args && cJSON_AddStringToObject(args, key, value) ? args : json_free(args);
}

static void on_reply(int code, const cJSON *ret, const struct err *e, void *user_data);

/* The command of the present step. 0 or a negative errno. */
static int send_step(struct qmp_state *s)
{
	cJSON *args = NULL;
	int fd;

	switch (s->step) {
	case STEP_CAPABILITIES:
		args = capabilities();
		break;
	case STEP_GETFD:
		fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 3);
		if (fd < 0)
			return -errno;
		args = one_member("fdname", FD_NAME);
		if (!args)
			(void)close(fd);
		return args ? qmp_command_fd(s->q, names[s->step], args, fd, s->deadline_ms,
					     on_reply, s)
			    : -ENOMEM;
	case STEP_MOVE:
		args = one_member("uri", "fd:" FD_NAME);
		return args ? qmp_command(s->q, s->load ? "migrate-incoming" : "migrate", args,
					  s->deadline_ms, on_reply, s)
			    : -ENOMEM;
	case STEP_STOP:
	case STEP_MOVED:
	case STEP_STATUS:
	case STEP_CONT:
	case STEP_END:
		break;
	}
	if (s->step == STEP_CAPABILITIES && !args)
		return -ENOMEM;
	return qmp_command(s->q, names[s->step], args, s->deadline_ms, on_reply, s);
}

static void go_on(struct qmp_state *s)
{
	int r;

	if (s->step == STEP_END) {
		finish(s, 0, NULL);
		return;
	}
	if (s->step == STEP_MOVED)
		return;
	r = send_step(s);
	if (r < 0)
		fail(s, r, "cannot be sent");
	else
		s->pending = true;
}

static enum step after(const struct qmp_state *s, const cJSON *ret)
{
	const char *status;

	switch (s->step) {
	case STEP_MOVE:
		if (!s->moved)
			return STEP_MOVED;
		return s->load ? STEP_STATUS : STEP_END;
	case STEP_STATUS:
		status = json_str(ret, "status");
		return status && strcmp(status, "inmigrate") == 0 ? STEP_STATUS : STEP_CONT;
	case STEP_STOP:
	case STEP_CAPABILITIES:
	case STEP_GETFD:
	case STEP_MOVED:
	case STEP_CONT:
	case STEP_END:
		break;
	}
	return (enum step)(s->step + 1);
}

static void on_reply(int code, const cJSON *ret, const struct err *e, void *user_data)
{
	struct qmp_state *s = user_data;

	s->pending = false;
	if (s->freed) {
		free(s);
		return;
	}
	if (s->step == STEP_END || code == -ECANCELED)
		return;
	s->busy = true;
	if (code < 0) {
		fail(s, code, e->text);
	} else {
		s->step = after(s, ret);
		go_on(s);
	}
	s->busy = false;
	if (s->freed && !s->pending)
		free(s);
}

void qmp_state_event(struct qmp_state *s, const char *name, const cJSON *data)
{
	const char *status = json_str(data, "status");
	bool failed = status && strcmp(status, "failed") == 0;

	if (!s || s->freed || strcmp(name, "MIGRATION") != 0 || !status ||
	    (s->step != STEP_MOVE && s->step != STEP_MOVED) ||
	    (!failed && strcmp(status, "completed") != 0))
		return;
	s->busy = true;
	if (failed) {
		fail(s, -EIO, "QEMU says that it has failed");
	} else if (s->step == STEP_MOVE) {
		s->moved = true; /* the reply is still to come */
	} else {
		s->step = s->load ? STEP_STATUS : STEP_END;
		go_on(s);
	}
	s->busy = false;
	if (s->freed && !s->pending)
		free(s);
}

static int start(const struct qmp_state *what, struct qmp_state **ret)
{
	struct qmp_state *s = malloc(sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	*s = *what;
	r = send_step(s);
	if (r < 0) {
		free(s);
		return r;
	}
	s->pending = true;
	*ret = s;
	return 0;
}

int qmp_state_save(struct qmp *q, int fd, uint64_t deadline_ms, qmp_state_fn fn, void *user_data,
		   struct qmp_state **ret)
{
	const struct qmp_state s = {.q = q,
				    .fd = fd,
				    .step = STEP_STOP,
				    .deadline_ms = deadline_ms,
				    .fn = fn,
				    .user_data = user_data};

	return start(&s, ret);
}

int qmp_state_load(struct qmp *q, int fd, uint64_t deadline_ms, qmp_state_fn fn, void *user_data,
		   struct qmp_state **ret)
{
	const struct qmp_state s = {.q = q,
				    .fd = fd,
				    .load = true,
				    .step = STEP_CAPABILITIES,
				    .deadline_ms = deadline_ms,
				    .fn = fn,
				    .user_data = user_data};

	return start(&s, ret);
}

struct qmp_state *qmp_state_free(struct qmp_state *s)
{
	if (!s || s->freed)
		return NULL;
	s->freed = true;
	if (!s->busy && !s->pending)
		free(s);
	return NULL;
}
