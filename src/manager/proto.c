/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Frames of the manager protocol over a stream socket. */
/*
 *	 0               4       5               8
 *	+---------------+-------+---------------+----------------
 *	| payload bytes | type  | zero          | payload ...
 *	| big endian    |       |               | at most 65536
 *	+---------------+-------+---------------+----------------
 *
 * A frame that breaks these rules ends the connection: after it nothing can be in step.
 */
#include "proto.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/io.h"

#define QUEUE_MAX (8 * MIB)

ssize_t proto_decode(const char *data, size_t len, struct proto_frame *ret)
{
	uint32_t n;

	if (len < PROTO_HEADER_SIZE)
		return 0;
	memcpy(&n, data, sizeof(n));
	n = be32toh(n);
	if (n > PROTO_PAYLOAD_MAX || data[5] || data[6] || data[7])
		return -EBADMSG;
	if (data[4] < PROTO_CONTROL || data[4] >= _PROTO_TYPE_MAX)
		return -EBADMSG;
	if (len - PROTO_HEADER_SIZE < n)
		return 0;
	ret->type = (enum proto_type)data[4];
	ret->data = data + PROTO_HEADER_SIZE;
	ret->len = n;
	return (ssize_t)(PROTO_HEADER_SIZE + n);
}

int proto_encode(struct buf *out, enum proto_type type, const void *data, size_t len)
{
	char head[PROTO_HEADER_SIZE] = {0};
	uint32_t n = htobe32((uint32_t)len);
	int r;

	if (len > PROTO_PAYLOAD_MAX)
		return -EINVAL;
	memcpy(head, &n, sizeof(n));
	head[4] = (char)type;
	r = buf_reserve(out, sizeof(head) + len);
	if (r < 0)
		return r;
	(void)buf_put(out, head, sizeof(head));
	return buf_put(out, data, len);
}

struct proto_conn {
	struct loop_source *source;
	int fd;
	struct buf in, out;
	struct proto_callbacks cb;
	bool closed;
	bool *freed; /* set by proto_conn_free, so that a callback may free its connection */
};

static void conn_close(struct proto_conn *c, int code, const struct err *e)
{
	if (c->closed)
		return;
	c->closed = true;
	c->source = loop_remove(c->source);
	c->cb.closed(code, e, c->cb.user_data);
}

static int conn_watch(struct proto_conn *c)
{
	return loop_fd_events(c->source, EPOLLIN | (c->out.len ? EPOLLOUT : 0));
}

static int conn_write(struct proto_conn *c)
{
	size_t at = 0;
	int r = 0;

	while (at < c->out.len) {
		ssize_t n =
			send(c->fd, c->out.data + at, c->out.len - at, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			r = errno == EAGAIN ? 0 : -errno;
			break;
		}
		at += (size_t)n;
	}
	buf_drop(&c->out, at);
	return r;
}

/* Hands every complete frame in the buffer to the callback; false when the connection is gone. */
static bool conn_deliver(struct proto_conn *c)
{
	struct err e = ERR_INIT;
	bool freed = false;
	size_t at = 0;

	c->freed = &freed;
	while (!c->closed) {
		struct proto_frame f;
		ssize_t n = proto_decode(c->in.data + at, c->in.len - at, &f);
		char *end, saved;

		if (n == 0)
			break;
		if (n < 0) {
			err_set(&e, (int)n, "a frame that the protocol does not have");
			conn_close(c, (int)n, &e);
			break;
		}
		/* the callback may parse JSON in place, which wants a NUL behind it */
		end = (char *)f.data + f.len;
		saved = *end;
		*end = '\0';
		c->cb.frame(&f, c->cb.user_data);
		if (freed)
			return false;
		*end = saved;
		at += (size_t)n;
	}
	c->freed = NULL;
	buf_drop(&c->in, at);
	return !c->closed;
}

static void on_socket(struct loop_source *s, uint32_t events, void *user_data)
{
	struct proto_conn *c = user_data;
	struct err e = ERR_INIT;
	ssize_t n;
	int r;

	if (events & EPOLLOUT) {
		r = conn_write(c);
		if (r < 0) {
			err_errno(&e, r, "cannot send");
			conn_close(c, r, &e);
			return;
		}
		(void)conn_watch(c);
		if (c->out.len == 0 && c->cb.drained)
			c->cb.drained(c->cb.user_data);
	}
	if (c->closed || !(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	r = buf_reserve(&c->in, PROTO_PAYLOAD_MAX);
	if (r < 0) {
		err_oom(&e);
		conn_close(c, r, &e);
		return;
	}
	n = recv(c->fd, c->in.data + c->in.len, PROTO_PAYLOAD_MAX, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		r = n < 0 ? -errno : 0;
		err_errno(&e, r, "cannot receive");
		conn_close(c, r, &e);
		return;
	}
	c->in.len += (size_t)n;
	c->in.data[c->in.len] = '\0';
	(void)conn_deliver(c);
}

int proto_conn_new(struct loop *l, int consume_fd, const struct proto_callbacks *cb,
		   struct proto_conn **ret)
{
	struct proto_conn *c = calloc(1, sizeof(*c));
	int r = -ENOMEM;

	if (c) {
		c->fd = consume_fd;
		c->cb = *cb;
		c->out.cap = QUEUE_MAX;
		r = io_set_nonblock(consume_fd, 1);
		if (r == 0)
			r = loop_add_fd(l, consume_fd, EPOLLIN, on_socket, c, &c->source);
	}
	if (r < 0) {
		(void)close(consume_fd);
		free(c);
		return r;
	}
	*ret = c;
	return 0;
}

struct proto_conn *proto_conn_free(struct proto_conn *c)
{
	if (!c)
		return NULL;
	if (c->freed)
		*c->freed = true;
	(void)loop_remove(c->source);
	fd_close(&c->fd);
	buf_done(&c->in);
	buf_done(&c->out);
	free(c);
	return NULL;
}

int proto_send(struct proto_conn *c, enum proto_type type, const void *data, size_t len)
{
	const char *p = data;
	int r = 0;

	if (c->closed)
		return -EPIPE;
	do {
		size_t n = MIN(len, (size_t)PROTO_PAYLOAD_MAX);

		r = proto_encode(&c->out, type, p, n);
		p += n;
		len -= n;
	} while (r == 0 && len > 0);
	if (r == 0)
		r = conn_watch(c);
	return r;
}

int proto_send_json(struct proto_conn *c, cJSON *consume_msg)
{
	_cleanup_free_ char *text = consume_msg ? json_print(consume_msg) : NULL;

	cJSON_Delete(consume_msg);
	if (!text)
		return -ENOMEM;
	if (strlen(text) > PROTO_PAYLOAD_MAX)
		return -EMSGSIZE;
	return proto_send(c, PROTO_CONTROL, text, strlen(text));
}

size_t proto_pending(const struct proto_conn *c)
{
	return c->out.len;
}

int proto_flush(struct proto_conn *c, uint64_t deadline_ms)
{
	uint64_t end = io_now_ms() + deadline_ms;

	while (!c->closed && c->out.len > 0) {
		struct pollfd p = {.fd = c->fd, .events = POLLOUT};
		uint64_t now = io_now_ms();
		int r;

		if (now >= end)
			return -ETIMEDOUT;
		if (poll(&p, 1, (int)(end - now)) < 0 && errno != EINTR)
			return -errno;
		r = conn_write(c);
		if (r < 0)
			return r;
	}
	return c->closed ? -EPIPE : 0;
}
