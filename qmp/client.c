/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The QMP client: a non-blocking pump between a socket and a list of commands.
 *
 * Each command has a number of its own as id, a deadline and one callback. Answers are matched by
 * id; one that matches nothing (it came after its deadline, or was never asked for) is dropped.
 * QEMU keeps the descriptors of the last message only, so a command with a descriptor travels
 * alone: nothing is sent while it waits for its answer, and it waits for the answers before it.
 */
#include "qmp.h"

#include <assert.h>
#include <errno.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/fds.h"
#include "base/io.h"
#include "message.h"

#define READ_CHUNK (64 * KIB)
#define READ_TURN  16 /* chunks read before other sources of the loop have their turn */

enum qmp_state {
	QMP_STATE_GREETING,	/* nothing has come yet */
	QMP_STATE_CAPABILITIES, /* qmp_capabilities is under way */
	QMP_STATE_READY,
	QMP_STATE_CLOSED,
	_QMP_STATE_MAX,
};

struct command {
	struct command *next;
	uint64_t id;
	uint64_t due; /* io_now_ms(), UINT64_MAX: never */
	qmp_reply_fn fn;
	void *user_data;
	char *text; /* NULL once all is sent */
	size_t len, sent;
	int fd;	     /* to go with the first byte, -1 when gone or none */
	bool has_fd; /* one travels or has travelled */
	bool dead;   /* over, but its text must still be sent to its end */
};

struct qmp {
	struct loop *loop;
	int fd;
	struct loop_source *source, *timer;
	struct qmp_callbacks cb;
	enum qmp_state state;
	uint64_t greeting_due;
	struct buf in;
	size_t scanned;
	struct command *commands; /* oldest first */
	uint64_t last_id;
	bool send_failed; /* the rest of what the peer wrote is still read */
	int depth;	  /* our frames on the stack that use q after a callback */
	bool freed;
};

static void update(struct qmp *q);

static void command_free(struct command *c)
{
	fd_close(&c->fd);
	free(c->text);
	free(c);
}

static void command_unlink(struct qmp *q, struct command *c)
{
	struct command **p = &q->commands;

	while (*p != c)
		p = &(*p)->next;
	*p = c->next;
}

/* Ends a command: out of the list first, since the callback may do anything, qmp_free too. */
static void command_finish(struct qmp *q, struct command *c, int code, const cJSON *ret,
			   const struct err *e)
{
	qmp_reply_fn fn = c->fn;
	void *user_data = c->user_data;

	if (c->text && c->sent > 0) {
		c->dead = true; /* half a line on the wire would spoil the next command */
		c->due = UINT64_MAX;
	} else {
		command_unlink(q, c);
		command_free(c);
	}
	if (fn)
		fn(code, ret, e, user_data);
}

static void release(struct qmp *q)
{
	if (--q->depth == 0 && q->freed) {
		buf_done(&q->in);
		free(q);
	}
}

/* Ends all commands that are there now; those which callbacks add are refused by the state. */
static void cancel_all(struct qmp *q, int code, const char *text)
{
	struct command *list = q->commands;
	struct err e = ERR_INIT;

	q->commands = NULL;
	(void)err_set(&e, code, "%s", text);
	while (list) {
		struct command *c = list;

		list = c->next;
		if (c->fn && !c->dead)
			c->fn(code, NULL, &e, c->user_data);
		command_free(c);
	}
}

static void disconnect(struct qmp *q)
{
	q->state = QMP_STATE_CLOSED;
	q->source = loop_remove(q->source);
	q->timer = loop_remove(q->timer);
}

/*
 * The connection is over: every command learns it, then the owner, who may want to do something
 * about the other end before that notices; it does when the socket is closed. The caller holds
 * q->depth.
 */
static void fail(struct qmp *q, const struct err *why)
{
	assert(q->depth > 0);
	if (q->state == QMP_STATE_CLOSED)
		return;
	disconnect(q);
	cancel_all(q, -ECONNRESET, why->text);
	if (!q->freed && q->cb.closed)
		q->cb.closed(why, q->cb.user_data);
	fd_close(&q->fd);
}

static ssize_t send_some(int fd, const struct command *c)
{
	const struct iovec iov = {c->text + c->sent, c->len - c->sent};

	return fds_send(fd, &iov, 1, &c->fd, c->fd >= 0, MSG_DONTWAIT);
}

/* The next command with bytes to send, or NULL if there is none or it has to wait for answers. */
static struct command *next_to_send(struct qmp *q)
{
	bool in_flight = false;

	if (q->send_failed || q->state == QMP_STATE_GREETING || q->state == QMP_STATE_CLOSED)
		return NULL;
	for (struct command *c = q->commands; c; c = c->next) {
		if (c->text && (c->sent > 0 || !c->has_fd || !in_flight))
			return c;
		if (c->text || c->has_fd || q->state != QMP_STATE_READY)
			return NULL;
		in_flight = true;
	}
	return NULL;
}

/* Sends what the socket takes. Calls no callback. */
static void pump_out(struct qmp *q)
{
	struct command *c;

	while ((c = next_to_send(q))) {
		ssize_t n = send_some(q->fd, c);

		if (n == -EINTR)
			continue;
		if (n == -EAGAIN)
			return;
		if (n < 0) {
			/* what QEMU said before it went is still to be read, up to its end */
			q->send_failed = true;
			return;
		}
		fd_close(&c->fd);
		c->sent += (size_t)n;
		if (c->sent < c->len)
			continue;
		free(take_ptr(&c->text));
		if (c->dead) {
			command_unlink(q, c);
			command_free(c);
		}
	}
}

/* Sets timer and wake-ups to what the present state waits for. */
static void update(struct qmp *q)
{
	uint64_t due = q->state == QMP_STATE_GREETING ? q->greeting_due : UINT64_MAX;
	uint64_t now = io_now_ms();

	if (q->state == QMP_STATE_CLOSED)
		return;
	pump_out(q);
	for (const struct command *c = q->commands; c; c = c->next)
		due = MIN(due, c->due);
	(void)loop_fd_events(q->source, next_to_send(q) ? EPOLLIN | EPOLLOUT : EPOLLIN);
	(void)loop_timer_set(q->timer, due == UINT64_MAX ? UINT64_MAX : (due > now ? due - now : 0),
			     0);
}

static void on_timer(struct loop_source *s, void *user_data)
{
	struct qmp *q = user_data;
	uint64_t now = io_now_ms();
	struct err e = ERR_INIT;

	q->depth++;
	if (q->state == QMP_STATE_GREETING && q->greeting_due <= now) {
		(void)err_set(&e, -ETIMEDOUT, "QEMU sent no QMP greeting within its deadline");
		fail(q, &e);
	}
	(void)err_set(&e, -ETIMEDOUT, "QEMU did not answer within the deadline");
	for (struct command *c = q->commands; c && !q->freed;) {
		if (c->due <= now) {
			command_finish(q, c, -ETIMEDOUT, NULL, &e);
			c = q->commands; /* the callback may have changed the list */
		} else {
			c = c->next;
		}
	}
	if (!q->freed)
		update(q);
	release(q);
}

static uint64_t due_in(uint64_t deadline_ms)
{
	uint64_t now = io_now_ms();

	return deadline_ms > UINT64_MAX - now ? UINT64_MAX : now + deadline_ms;
}

/* {"execute": NAME, "arguments": {...}, "id": N} and a newline; takes the arguments over. */
static char *command_text(const char *name, cJSON *consume_args, uint64_t id, size_t *ret_len)
{
	_cleanup_(json_free_p) cJSON *args = consume_args;
	_cleanup_(json_free_p) cJSON *o = cJSON_CreateObject();
	_cleanup_free_ char *text = NULL;
	char *line;
	size_t n;

	if (!o || !cJSON_AddStringToObject(o, "execute", name) || json_add_u64(o, "id", id) < 0)
		return NULL;
	if (args) {
		if (!cJSON_AddItemToObject(o, "arguments", args))
			return NULL;
		(void)take_ptr(&args);
	}
	text = json_print(o);
	if (!text)
		return NULL;
	n = strlen(text);
	line = realloc(text, n + 2);
	if (!line)
		return NULL;
	(void)take_ptr(&text);
	memcpy(line + n, "\n", 2);
	*ret_len = n + 1;
	return line;
}

static int enqueue(struct qmp *q, bool first, const char *name, cJSON *consume_args, int consume_fd,
		   uint64_t deadline_ms, qmp_reply_fn fn, void *user_data)
{
	struct command *c = calloc(1, sizeof(*c));
	struct command **p = &q->commands;

	if (!c) {
		(void)json_free(consume_args);
		fd_close(&consume_fd);
		return -ENOMEM;
	}
	c->fd = consume_fd;
	c->has_fd = consume_fd >= 0;
	c->id = ++q->last_id;
	c->due = due_in(deadline_ms);
	c->fn = fn;
	c->user_data = user_data;
	c->text = command_text(name, consume_args, c->id, &c->len);
	if (!c->text) {
		command_free(c);
		return -ENOMEM;
	}
	while (!first && *p)
		p = &(*p)->next;
	c->next = *p;
	*p = c;
	return 0;
}

int qmp_command_fd(struct qmp *q, const char *name, cJSON *consume_args, int consume_fd,
		   uint64_t deadline_ms, qmp_reply_fn fn, void *user_data)
{
	int r;

	if (q->state == QMP_STATE_CLOSED || q->freed) {
		(void)json_free(consume_args);
		fd_close(&consume_fd);
		return -ECONNRESET;
	}
	r = enqueue(q, false, name, consume_args, consume_fd, deadline_ms, fn, user_data);
	if (r == 0)
		update(q);
	return r;
}

int qmp_command(struct qmp *q, const char *name, cJSON *consume_args, uint64_t deadline_ms,
		qmp_reply_fn fn, void *user_data)
{
	return qmp_command_fd(q, name, consume_args, -1, deadline_ms, fn, user_data);
}

static void on_capabilities(int code, const cJSON *ret, const struct err *e, void *user_data)
{
	struct qmp *q = user_data;
	struct err why = ERR_INIT;

	if (q->state != QMP_STATE_CAPABILITIES)
		return;
	if (code < 0) {
		why = *e;
		(void)err_wrap(&why, "QMP capabilities");
		fail(q, &why);
		return;
	}
	q->state = QMP_STATE_READY;
}

static int on_greeting(struct qmp *q, struct err *e)
{
	uint64_t now = io_now_ms();
	int r;

	if (q->state != QMP_STATE_GREETING)
		return err_set(e, -EBADMSG, "QMP: a second greeting");
	r = enqueue(q, true, "qmp_capabilities", NULL, -1,
		    q->greeting_due > now ? q->greeting_due - now : 0, on_capabilities, q);
	if (r < 0)
		return err_errno(e, r, "QMP");
	q->state = QMP_STATE_CAPABILITIES;
	return 0;
}

/* The command that an answer belongs to: by id, or for an error without one the oldest on its way,
 * since QEMU answers in order. NULL: nobody waits for it.
 */
static struct command *find(struct qmp *q, const struct qmp_message *m)
{
	for (struct command *c = q->commands; c; c = c->next) {
		bool asked = c->sent > 0 && !c->dead;

		if (m->has_id ? asked && c->id == m->id : asked && m->kind == QMP_ERROR)
			return c;
	}
	return NULL;
}

static int dispatch(struct qmp *q, const struct qmp_message *m, struct err *e)
{
	struct err answer = ERR_INIT;
	struct command *c;

	if (m->kind == QMP_GREETING)
		return on_greeting(q, e);
	if (q->state == QMP_STATE_GREETING)
		return err_set(e, -EBADMSG, "QMP: a message before the greeting");
	if (m->kind == QMP_EVENT) {
		if (q->cb.event)
			q->cb.event(m->name, m->body, q->cb.user_data);
		return 0;
	}
	c = find(q, m);
	if (!c)
		return 0;
	if (m->kind == QMP_ERROR)
		(void)err_set(&answer, qmp_class_code(m->class), "%s", m->desc);
	command_finish(q, c, answer.code, m->body, &answer);
	return 0;
}

/* Decodes and dispatches the whole lines in q->in. 0 or the error that ends the connection. */
static int take_lines(struct qmp *q, struct err *e)
{
	size_t at = 0;
	int r = 0;

	while (r == 0 && q->state != QMP_STATE_CLOSED && !q->freed) {
		ssize_t n = qmp_line(q->in.data + at, q->in.len - at, &q->scanned);
		char *line = q->in.data + at;
		struct qmp_message m;

		if (n < 0)
			break;
		line[n] = '\0';
		at += (size_t)n + 1;
		if (strspn(line, "\r\t ") == (size_t)n)
			continue;
		r = qmp_decode(line, (size_t)n, &m, e);
		if (r == 0) {
			r = dispatch(q, &m, e);
			qmp_message_done(&m);
		}
	}
	if (q->in.data)
		buf_drop(&q->in, at);
	return r;
}

/* One read. 1: more may be there, 0: not now, or the error that ends the connection. */
static int pump_in(struct qmp *q, struct err *e)
{
	int r = buf_reserve(&q->in, MIN(READ_CHUNK, QMP_LINE_MAX - q->in.len));
	ssize_t n;

	if (r < 0)
		return err_errno(e, r, "QMP: cannot keep a line");
	if (q->in.len >= QMP_LINE_MAX)
		return err_set(e, -E2BIG, "QMP: a line of more than %llu MiB", QMP_LINE_MAX / MIB);
	n = read(q->fd, q->in.data + q->in.len, MIN(READ_CHUNK, QMP_LINE_MAX - q->in.len));
	if (n < 0)
		return errno == EAGAIN || errno == EINTR
			       ? 0
			       : err_errno(e, -ECONNRESET, "QMP: cannot read from QEMU");
	if (n == 0)
		return err_set(e, -ECONNRESET,
			       q->in.len ? "QEMU closed the QMP connection in the middle of a line"
					 : "QEMU closed the QMP connection");
	q->in.len += (size_t)n;
	q->in.data[q->in.len] = '\0';
	r = take_lines(q, e);
	return r < 0 ? r : 1;
}

static void on_socket(struct loop_source *s, uint32_t events, void *user_data)
{
	struct qmp *q = user_data;
	struct err e = ERR_INIT;
	int r = 0;

	q->depth++;
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		for (int i = 0; i < READ_TURN; i++) {
			r = pump_in(q, &e);
			if (r <= 0 || q->freed || q->state == QMP_STATE_CLOSED)
				break;
		}
	}
	if (!q->freed && r < 0)
		fail(q, &e);
	if (!q->freed)
		update(q);
	release(q);
}

int qmp_new(struct loop *l, int consume_fd, uint64_t deadline_ms, const struct qmp_callbacks *cb,
	    struct qmp **ret, struct err *e)
{
	struct qmp *q = calloc(1, sizeof(*q));
	int r = -ENOMEM;

	if (!q) {
		fd_close(&consume_fd);
		return err_oom(e);
	}
	q->loop = l;
	q->fd = consume_fd;
	q->cb = *cb;
	q->in.cap = QMP_LINE_MAX;
	q->greeting_due = due_in(deadline_ms);
	r = io_set_nonblock(q->fd, 1);
	if (r == 0)
		r = io_set_cloexec(q->fd, 1);
	if (r == 0)
		r = loop_add_fd(l, q->fd, EPOLLIN, on_socket, q, &q->source);
	if (r == 0)
		r = loop_add_timer(l, on_timer, q, &q->timer);
	if (r < 0) {
		(void)qmp_free(q);
		return err_errno(e, r, "cannot watch the QMP socket");
	}
	update(q);
	*ret = q;
	return 0;
}

struct qmp *qmp_free(struct qmp *q)
{
	if (!q || q->freed)
		return NULL;
	q->depth++;
	q->freed = true;
	disconnect(q);
	fd_close(&q->fd);
	cancel_all(q, -ECANCELED, "cancelled");
	release(q);
	return NULL;
}
