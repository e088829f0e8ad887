/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One stream of a multiplexed port: its socket, its windows, its end. */
/*
 * A side sends EOF when its socket has no more to read, and CLOSE when it has sent EOF and its
 * socket has taken all up to the other's EOF (clean), or when something went wrong (reset), which
 * the other socket is then told by a reset. After its CLOSE a side takes what is still under way
 * and drops it, until the other's CLOSE: then both know that the number is free again.
 *
 * A stream whose socket does not take its bytes gets no new credit, and so holds up nobody else.
 */
#include <errno.h>
#include <sys/socket.h>

#include "copy.h"
#include "mux-private.h"

#define ROUNDS	  4  /* frames that one stream may fill before others have their turn */
#define DATAGRAMS 32 /* of one flow in one turn */

struct mux_stream *mux_stream_new(struct mux *m, uint16_t id, enum net_proto proto)
{
	struct mux_stream *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->mux = m;
	s->id = id;
	s->udp = proto == NET_PROTO_UDP;
	s->fd = -1;
	s->in_credit = s->out_credit = MUX_WINDOW;
	s->pending.cap = MUX_WINDOW;
	m->streams[id] = s;
	return s;
}

static void stop_waiting(struct mux_stream *s)
{
	struct mux_stream **at = &s->mux->waiting, *last = NULL;

	if (!s->waiting)
		return;
	while (*at && *at != s) {
		last = *at;
		at = &last->next_waiting;
	}
	*at = s->next_waiting;
	if (s->mux->waiting_last == s)
		s->mux->waiting_last = last;
	s->waiting = false;
}

static void drop_socket(struct mux_stream *s, bool reset)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};

	s->source = loop_remove(s->source);
	if (s->fd >= 0 && reset && !s->udp)
		(void)setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	fd_close(&s->fd);
	buf_done(&s->pending);
	s->pending_at = 0;
	stop_waiting(s);
}

void mux_stream_free(struct mux_stream *s)
{
	drop_socket(s, true);
	s->mux->streams[s->id] = NULL;
	free(s);
}

static void send_frame(struct mux_stream *s, struct mux_frame f)
{
	f.stream = s->id;
	mux_send(s->mux, &f);
}

void mux_stream_close(struct mux_stream *s, bool reset)
{
	if (s->sent_close)
		return;
	s->sent_close = true;
	drop_socket(s, reset);
	send_frame(s, (struct mux_frame){.type = MUX_CLOSE, .reset = reset});
	if (s->got_close)
		mux_stream_free(s);
}

static bool wants_input(const struct mux_stream *s)
{
	return s->fd >= 0 && !s->sent_eof && !s->waiting && s->out_credit > 0;
}

static bool wants_output(const struct mux_stream *s)
{
	return s->fd >= 0 && s->pending.len > 0;
}

static void on_socket(struct loop_source *src, uint32_t events, void *user_data);

void mux_stream_update(struct mux_stream *s)
{
	uint32_t events;
	int r = 0;

	if (s->fd < 0)
		return;
	if (s->sent_eof && s->shut) {
		mux_stream_close(s, false);
		return;
	}
	events = (wants_input(s) ? EPOLLIN : 0) | (wants_output(s) ? EPOLLOUT : 0);
	if (!s->source)
		r = loop_add_fd(s->mux->loop, s->fd, events, on_socket, s, &s->source);
	else if (events != s->events)
		r = loop_fd_events(s->source, events);
	s->events = events;
	if (r < 0)
		mux_stream_close(s, true);
}

static size_t allowed(struct mux_stream *s, size_t want)
{
	const struct mux *m = s->mux;

	return m->ops.allow ? m->ops.allow(METER_DOWN, want, m->user_data) : want;
}

static void count(struct mux_stream *s, enum meter_dir dir, size_t n)
{
	if (s->mux->ops.count)
		s->mux->ops.count(dir, n, s->mux->user_data);
}

/* Room for so much data in the port's queue, and where it goes; NULL: none now. */
static uint8_t *make_room(struct mux_stream *s, size_t n)
{
	struct buf *out = &s->mux->out;

	if (buf_reserve(out, MUX_HEADER_SIZE + n) < 0)
		return NULL;
	return (uint8_t *)out->data + out->len + MUX_HEADER_SIZE;
}

static void data_made(struct mux_stream *s, size_t n)
{
	struct buf *out = &s->mux->out;

	mux_encode_header(MUX_DATA, s->id, n, (uint8_t *)out->data + out->len);
	out->len += MUX_HEADER_SIZE + n;
	s->out_credit -= (uint32_t)n;
	count(s, METER_DOWN, n);
}

/* 0, or a negative errno: the connection has failed. */
static int read_stream(struct mux_stream *s)
{
	for (int i = 0; i < ROUNDS && wants_input(s); i++) {
		size_t want = allowed(s, MIN(s->out_credit, MUX_DATA_MAX));
		uint8_t *at;
		ssize_t n;

		if (want == 0 || !mux_has_room(s->mux)) {
			mux_wait(s, want == 0);
			return 0;
		}
		at = make_room(s, want);
		if (!at)
			return -ENOMEM;
		n = recv(s->fd, at, want, MSG_DONTWAIT);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		/* a local socket's end and its reset look alike but for this (pair.c) */
		if (n == 0 && !s->shut && copy_hung_up(s->fd))
			return -ECONNRESET;
		if (n == 0) {
			s->sent_eof = true;
			send_frame(s, (struct mux_frame){.type = MUX_EOF});
			return 0;
		}
		data_made(s, (size_t)n);
	}
	return 0;
}

/*
 * What finds no room is lost, as datagrams may be; and an error that the network has told is over
 * with the telling. A socket of this machine says that its other end is closed: -EPIPE.
 */
static int read_datagrams(struct mux_stream *s, uint32_t events)
{
	for (int i = 0; i < DATAGRAMS && wants_input(s); i++) {
		size_t some = allowed(s, 1);
		uint8_t *at;
		ssize_t n;

		if (some == 0 || !mux_has_room(s->mux)) {
			mux_wait(s, some == 0);
			return 0;
		}
		at = make_room(s, MUX_PAYLOAD_MAX);
		if (!at)
			return -ENOMEM;
		n = recv(s->fd, at, MUX_PAYLOAD_MAX, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if ((n < 0 && (errno == ECONNRESET || errno == EPIPE || errno == ENOTCONN)) ||
		    (n == 0 && events & EPOLLHUP))
			return -EPIPE;
		if (n >= 0 && (size_t)n <= s->out_credit)
			data_made(s, (size_t)n);
	}
	return 0;
}

static void give_credit(struct mux_stream *s)
{
	if (s->consumed < MUX_WINDOW / 2 || s->got_eof)
		return;
	send_frame(s, (struct mux_frame){.type = MUX_CREDIT, .credit = s->consumed});
	s->in_credit += s->consumed;
	s->consumed = 0;
}

/* Offers the socket what waits for it. 0, or a negative errno: the connection has failed. */
static int flush(struct mux_stream *s)
{
	while (s->pending_at < s->pending.len) {
		ssize_t n = send(s->fd, s->pending.data + s->pending_at,
				 s->pending.len - s->pending_at, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n < 0)
			return -errno;
		s->pending_at += (size_t)n;
		s->consumed += (uint32_t)n;
	}
	if (s->pending_at == s->pending.len)
		s->pending_at = s->pending.len = 0;
	give_credit(s);
	if (s->pending.len > 0 || !s->got_eof || s->shut)
		return 0;
	s->shut = true;
	return shutdown(s->fd, SHUT_WR) < 0 && errno != ENOTCONN ? -errno : 0;
}

static void on_socket(struct loop_source *src, uint32_t events, void *user_data)
{
	struct mux_stream *s = user_data;
	struct mux *m = s->mux;
	int r = 0;

	/* what came before a reset is still read below, where anybody wants it */
	if (events & (s->udp ? EPOLLHUP : EPOLLERR) && !wants_input(s))
		r = -ECONNRESET;
	if (r == 0 && events & EPOLLOUT)
		r = flush(s);
	if (r == 0 && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		r = s->udp ? read_datagrams(s, events) : read_stream(s);
	if (r < 0)
		mux_stream_close(s, true);
	else
		mux_stream_update(s);
	mux_update(m);
}

void mux_stream_attach(struct mux_stream *s, int consume_fd)
{
	s->fd = consume_fd;
	mux_stream_update(s);
}

/* A datagram that the socket does not take now is lost. */
static int take_datagram(struct mux_stream *s, const struct mux_frame *f)
{
	(void)send(s->fd, f->data, f->len, MSG_DONTWAIT | MSG_NOSIGNAL);
	s->consumed += (uint32_t)f->len;
	give_credit(s);
	return 0;
}

static int take_bytes(struct mux_stream *s, const struct mux_frame *f)
{
	ssize_t n = 0;
	int r;

	if (s->pending.len == 0)
		n = send(s->fd, f->data, f->len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return -errno;
	n = MAX(n, 0);
	s->consumed += (uint32_t)n;
	buf_drop(&s->pending, s->pending_at);
	s->pending_at = 0;
	r = buf_put(&s->pending, f->data + n, f->len - (size_t)n);
	give_credit(s);
	return r;
}

static int take_data(struct mux_stream *s, const struct mux_frame *f)
{
	int r;

	if (!s->answered || s->got_eof || f->len > s->in_credit)
		return -EBADMSG;
	s->in_credit -= (uint32_t)f->len;
	count(s, METER_UP, f->len);
	if (s->fd < 0)
		return 0;
	r = s->udp ? take_datagram(s, f) : take_bytes(s, f);
	if (r < 0)
		mux_stream_close(s, true);
	else
		mux_stream_update(s);
	return 0;
}

static int take_eof(struct mux_stream *s)
{
	if (!s->answered || s->got_eof || s->udp)
		return -EBADMSG;
	s->got_eof = true;
	if (s->fd < 0)
		return 0;
	if (flush(s) < 0)
		mux_stream_close(s, true);
	else
		mux_stream_update(s);
	return 0;
}

static int take_close(struct mux_stream *s, bool reset)
{
	const struct mux *m = s->mux;

	if (!s->answered && !s->sent_close)
		m->ops.gone(s, m->user_data);
	s->got_close = true;
	if (s->sent_close)
		mux_stream_free(s);
	else if (!reset && s->fd >= 0 && s->got_eof && s->sent_eof)
		mux_stream_update(s); /* until the socket has taken the rest */
	else
		mux_stream_close(s, true);
	return 0;
}

static int take_reply(struct mux_stream *s, const struct dial_reply *reply)
{
	const struct mux *m = s->mux;

	if (m->ops.open || s->answered)
		return -EBADMSG;
	s->answered = true;
	/* it may have been given up here meanwhile */
	if (!s->sent_close)
		m->ops.reply(s, reply, m->user_data);
	return 0;
}

int mux_stream_frame(struct mux_stream *s, const struct mux_frame *f)
{
	if (s->got_close) /* that was to be its last */
		return -EBADMSG;
	switch (f->type) {
	case MUX_REPLY:
		return take_reply(s, &f->reply);
	case MUX_DATA:
		return take_data(s, f);
	case MUX_CREDIT:
		if (!s->answered || f->credit > MUX_WINDOW - s->out_credit)
			return -EBADMSG;
		s->out_credit += f->credit;
		mux_stream_update(s);
		return 0;
	case MUX_EOF:
		return take_eof(s);
	case MUX_CLOSE:
		return take_close(s, f->reset);
	case MUX_OPEN:
	case _MUX_TYPE_MAX:
		break;
	}
	return -EBADMSG;
}

void mux_reply(struct mux_stream *s, const struct dial_reply *reply, int consume_fd)
{
	struct mux *m = s->mux;

	s->answered = true;
	send_frame(s, (struct mux_frame){.type = MUX_REPLY, .reply = *reply});
	if (consume_fd >= 0)
		mux_stream_attach(s, consume_fd);
	else
		mux_stream_close(s, true);
	mux_update(m);
}

void mux_attach(struct mux_stream *s, int consume_fd)
{
	mux_stream_attach(s, consume_fd);
}

void mux_close(struct mux_stream *s)
{
	struct mux *m = s->mux;

	mux_stream_close(s, true);
	mux_update(m);
}

void mux_set_tag(struct mux_stream *s, uint64_t tag)
{
	s->tag = tag;
}

uint64_t mux_tag(const struct mux_stream *s)
{
	return s->tag;
}

bool mux_is_udp(const struct mux_stream *s)
{
	return s->udp;
}

void *mux_user_data(const struct mux_stream *s)
{
	return s->mux->user_data;
}
