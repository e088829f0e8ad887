/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The port of the multiplexer: frames in and out, the table of streams, who waits for room. */
/*
 * Two walls keep the queue to the port short. Above the soft one no stream reads from its socket;
 * frames that answer frames still go into it. They are few for a peer that keeps to its windows:
 * one that does not read what it is sent meets the hard one, above which nothing is read from it.
 */
#include "mux-private.h"

#include <errno.h>
#include <fcntl.h>

#include "base/io.h"

#define QUEUE_SOFT (256 * KIB)
#define QUEUE_HARD (1 * MIB)
#define QUEUE_MAX  (4 * MIB)
#define QUEUE_MOVE (64 * KIB) /* sent bytes that are worth moving the others */
#define READ_SIZE  65536
#define SOON_MS	   10

static size_t queued(const struct mux *m)
{
	return m->out.len - m->out_at;
}

bool mux_has_room(const struct mux *m)
{
	return queued(m) < QUEUE_SOFT;
}

void mux_end(struct mux *m, int code)
{
	if (m->ended)
		return;
	m->ended = true;
	m->source = loop_remove(m->source);
	m->timer = loop_remove(m->timer);
	m->ops.ended(code, m->user_data);
}

void mux_send(struct mux *m, const struct mux_frame *f)
{
	uint8_t data[MUX_HEADER_SIZE + DIAL_MESSAGE_MAX];
	int r = buf_put(&m->out, data, mux_encode(f, data));

	if (r < 0)
		mux_end(m, r);
}

static void resume(struct mux *m)
{
	struct mux_stream *s = m->waiting, *next;

	m->waiting = m->waiting_last = NULL;
	for (; s; s = next) {
		next = s->next_waiting;
		s->next_waiting = NULL;
		s->waiting = false;
		mux_stream_update(s);
	}
}

static void on_timer(struct loop_source *src, void *user_data)
{
	struct mux *m = user_data;

	m->timing = false;
	resume(m);
	mux_update(m);
}

static void call_soon(struct mux *m)
{
	if (m->timing || !m->timer)
		return;
	m->timing = true;
	(void)loop_timer_set(m->timer, SOON_MS, 0);
}

void mux_wait(struct mux_stream *s, bool soon)
{
	struct mux *m = s->mux;

	if (soon)
		call_soon(m);
	if (s->waiting)
		return;
	s->waiting = true;
	if (m->waiting_last)
		m->waiting_last->next_waiting = s;
	else
		m->waiting = s;
	m->waiting_last = s;
}

/* 0, or a negative errno: the port is gone. */
static int write_port(struct mux *m)
{
	while (m->out_at < m->out.len) {
		ssize_t n = write(m->port, m->out.data + m->out_at, queued(m));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			return -errno;
		m->out_at += (size_t)n;
	}
	if (m->out_at == m->out.len || m->out_at > QUEUE_MOVE) {
		buf_drop(&m->out, m->out_at);
		m->out_at = 0;
	}
	return 0;
}

void mux_update(struct mux *m)
{
	uint32_t events;
	bool may_read;

	if (m->ended)
		return;
	if (write_port(m) < 0) {
		mux_end(m, 0);
		return;
	}
	if (m->waiting && !m->timing && mux_has_room(m))
		resume(m);
	may_read = !m->ops.allow || m->ops.allow(METER_UP, 1, m->user_data) > 0;
	if (!may_read)
		call_soon(m);
	events =
		(may_read && queued(m) < QUEUE_HARD ? EPOLLIN : 0) | (queued(m) > 0 ? EPOLLOUT : 0);
	if (m->ended || events == m->events)
		return;
	m->events = events;
	(void)loop_fd_events(m->source, events);
}

static int take_frame(struct mux *m, const struct mux_frame *f)
{
	struct mux_stream *s = m->streams[f->stream];

	if (f->type != MUX_OPEN)
		return s ? mux_stream_frame(s, f) : -EBADMSG;
	if (s || !m->ops.open)
		return -EBADMSG;
	s = mux_stream_new(m, f->stream, f->open.proto);
	if (!s)
		return -ENOMEM;
	m->ops.open(s, &f->open, m->user_data);
	return 0;
}

static int deliver(struct mux *m)
{
	size_t at = 0;
	int r = 0;

	while (r == 0 && !m->ended) {
		struct mux_frame f;
		ssize_t n = mux_decode((const uint8_t *)m->in.data + at, m->in.len - at, &f);

		if (n <= 0) {
			r = (int)n;
			break;
		}
		r = take_frame(m, &f);
		at += (size_t)n;
	}
	buf_drop(&m->in, at);
	return r;
}

static void read_port(struct mux *m)
{
	int r = buf_reserve(&m->in, READ_SIZE);
	ssize_t n;

	if (r < 0) {
		mux_end(m, r);
		return;
	}
	n = read(m->port, m->in.data + m->in.len, READ_SIZE);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		mux_end(m, 0);
		return;
	}
	m->in.len += (size_t)n;
	r = deliver(m);
	if (r < 0)
		mux_end(m, r);
}

static void on_port(struct loop_source *src, uint32_t events, void *user_data)
{
	struct mux *m = user_data;

	if (events & EPOLLIN)
		read_port(m);
	else if (events & (EPOLLHUP | EPOLLERR))
		mux_end(m, 0);
	mux_update(m);
}

int mux_new(struct loop *l, int port, const struct mux_ops *ops, void *user_data, struct mux **ret)
{
	_cleanup_(mux_free_p) struct mux *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return -ENOMEM;
	m->loop = l;
	m->port = port;
	m->ops = *ops;
	m->user_data = user_data;
	m->out.cap = QUEUE_MAX;
	m->events = EPOLLIN;
	(void)signal(SIGPIPE, SIG_IGN); /* a character device knows no MSG_NOSIGNAL */
	r = io_set_nonblock(port, 1);
	if (r == 0)
		r = loop_add_fd(l, port, m->events, on_port, m, &m->source);
	if (r == 0)
		r = loop_add_timer(l, on_timer, m, &m->timer);
	if (r < 0)
		return r;
	*ret = take_ptr(&m);
	return 0;
}

struct mux_stream *mux_open(struct mux *m, const struct dial_request *rq)
{
	struct mux_frame f = {.type = MUX_OPEN, .open = *rq};
	struct mux_stream *s = NULL;

	if (m->ended)
		return NULL;
	for (size_t i = 0; i < MUX_STREAMS_MAX && !s; i++) {
		size_t id = (m->next_id + i) % MUX_STREAMS_MAX;

		if (m->streams[id])
			continue;
		s = mux_stream_new(m, (uint16_t)id, rq->proto);
		if (!s)
			return NULL;
		m->next_id = id + 1;
	}
	if (!s)
		return NULL;
	f.stream = s->id;
	mux_send(m, &f);
	mux_update(m);
	return s;
}

struct mux_stream *mux_find(struct mux *m, uint64_t tag)
{
	for (size_t i = 0; i < MUX_STREAMS_MAX; i++) {
		struct mux_stream *s = m->streams[i];

		if (s && s->tag == tag && !s->answered && !s->sent_close)
			return s;
	}
	return NULL;
}

struct mux *mux_free(struct mux *m)
{
	if (!m)
		return NULL;
	for (size_t i = 0; i < MUX_STREAMS_MAX; i++) {
		if (m->streams[i])
			mux_stream_free(m->streams[i]);
	}
	m->source = loop_remove(m->source);
	m->timer = loop_remove(m->timer);
	buf_done(&m->in);
	buf_done(&m->out);
	free(m);
	return NULL;
}
