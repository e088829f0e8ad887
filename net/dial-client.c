/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Requests out, replies with descriptors in; every request is answered once. */
#include "dial-client.h"

#include <errno.h>

#include "base/fds.h"
#include "base/io.h"
#include "pair.h"

#define REPLY_BATCH 64

/*
 * A slot stays taken until the dialer has answered, even when it was cancelled (done is NULL
 * then), so that an id never means two things.
 */
struct pending {
	bool used;
	bool sent;   /* the request; what is queued then is a cancel */
	bool queued; /* something is to be sent */
	bool open;   /* one that the dialer passes on, and has said so */
	uint16_t generation;
	uint16_t next; /* of the free slots or of the queue */
	int fd;	       /* the worker's end, not yet sent; else -1 */
	dial_done_fn done;
	dial_passed_fn passed; /* NULL: a socket is to come */
	void *user_data;
	struct dial_request request;
};

#define NONE UINT16_MAX

struct socket_client {
	struct dial_client ops; /* first: the client is known by it */
	struct loop *loop;
	struct loop_source *source;
	int fd;
	void (*gone)(void *user_data);
	void *user_data;
	uint16_t free_head, queue_head, queue_tail;
	struct pending slots[DIAL_PENDING_MAX];
};

static void release(struct socket_client *c, struct pending *p)
{
	pair_reset_fd(&p->fd);
	p->used = p->sent = p->queued = p->open = false;
	p->generation++;
	p->next = c->free_head;
	c->free_head = (uint16_t)(p - c->slots);
}

/* The dialer has said its last word of it. */
static void finish(struct socket_client *c, struct pending *p)
{
	if (!p->queued)
		release(c, p);
	else /* its turn in the queue releases it */
		p->sent = p->open = false;
}

/* The dialer has ended or talks nonsense: every dial fails now. */
static void lose(struct socket_client *c)
{
	const struct dial_passed end = {.ended = true};
	struct dial_reply reply = {.code = DIAL_GONE};

	if (!c->source)
		return;
	c->source = loop_remove(c->source);
	c->queue_head = c->queue_tail = NONE;
	for (size_t i = 0; i < DIAL_PENDING_MAX; i++) {
		struct pending *p = &c->slots[i];
		bool open = p->open;

		if (!p->used)
			continue;
		release(c, p);
		if (p->done && open)
			p->passed(&end, p->user_data);
		else if (p->done)
			p->done(&reply, -1, p->user_data);
	}
	if (c->gone)
		c->gone(c->user_data);
}

/* Sends what waits. A request that was cancelled before just frees its slot. */
static int flush(struct socket_client *c)
{
	while (c->queue_head != NONE) {
		struct pending *p = &c->slots[c->queue_head];
		struct dial_message m = {.kind = p->passed ? DIAL_KIND_PASS : DIAL_KIND_REQUEST,
					 .request = p->request};
		bool wanted = p->done || p->sent;
		uint16_t next = p->next;
		int r;

		if (p->sent)
			m.kind = DIAL_KIND_CANCEL;
		r = wanted ? dial_send(c->fd, &m, p->fd) : 0;
		if (r < 0)
			return r;
		p->sent = true;
		p->queued = false;
		fd_close(&p->fd);
		if (!wanted)
			release(c, p);
		c->queue_head = next;
	}
	c->queue_tail = NONE;
	return 0;
}

static void enqueue(struct socket_client *c, struct pending *p)
{
	uint16_t index = (uint16_t)(p - c->slots);

	p->queued = true;
	p->next = NONE;
	if (c->queue_tail == NONE)
		c->queue_head = index;
	else
		c->slots[c->queue_tail].next = index;
	c->queue_tail = index;
	/* an error here is told by the socket itself, in the loop and not inside this call */
	if (flush(c) < 0)
		(void)loop_fd_events(c->source, EPOLLIN | EPOLLOUT);
}

static int socket_pass(struct dial_client *dc, const struct dial_request *rq, int consume_fd,
		       dial_done_fn done, dial_passed_fn passed, void *user_data, uint32_t *ret_id)
{
	struct socket_client *c = (struct socket_client *)dc;
	uint16_t index = c->free_head;
	struct pending *p;

	if (!c->source || index == NONE) {
		pair_reset_fd(&consume_fd);
		return c->source ? -EBUSY : -EPIPE;
	}
	p = &c->slots[index];
	c->free_head = p->next;
	p->used = true;
	p->fd = consume_fd;
	p->done = done;
	p->passed = passed;
	p->user_data = user_data;
	p->request = *rq;
	p->request.id = (uint32_t)p->generation << 16 | index;
	*ret_id = p->request.id;
	enqueue(c, p);
	return 0;
}

static int socket_dial(struct dial_client *dc, const struct dial_request *rq, dial_done_fn done,
		       void *user_data, uint32_t *ret_id)
{
	return socket_pass(dc, rq, -1, done, NULL, user_data, ret_id);
}

static struct pending *find(struct socket_client *c, uint32_t id)
{
	uint16_t index = (uint16_t)id;
	struct pending *p = index < DIAL_PENDING_MAX ? &c->slots[index] : NULL;

	return p && p->used && p->request.id == id ? p : NULL;
}

static void socket_cancel(struct dial_client *dc, uint32_t id)
{
	struct socket_client *c = (struct socket_client *)dc;
	struct pending *p = find(c, id);

	if (!p)
		return;
	p->done = NULL;
	if (!p->sent)
		pair_reset_fd(&p->fd);
	else if (!p->queued && c->source)
		enqueue(c, p);
}

static int take_reply(struct socket_client *c, struct dial_reply *reply, int consume_fd)
{
	_cleanup_close_ int fd = consume_fd;
	struct pending *p = find(c, reply->id);

	if (!p || !p->sent || p->open)
		return -EBADMSG;
	p->open = p->passed && reply->code == DIAL_OK;
	if (!p->passed && reply->code == DIAL_OK && fd < 0) {
		reply->code = DIAL_ERROR; /* no descriptor was free here: MSG_CTRUNC */
		reply->error = EMFILE;
	} else if (p->passed || reply->code != DIAL_OK) {
		fd_close(&fd);
	}
	if (!p->open)
		finish(c, p);
	if (p->done)
		p->done(reply, take_fd(&fd), p->user_data);
	return 1;
}

static int take_passed(struct socket_client *c, const struct dial_passed *passed)
{
	struct pending *p = find(c, passed->id);

	if (!p || !p->open)
		return -EBADMSG;
	if (passed->ended)
		finish(c, p);
	if (p->done)
		p->passed(passed, p->user_data);
	return 1;
}

/* One message. 1, 0 (none is there) or a negative errno (the connection is of no more use). */
static int receive(struct socket_client *c)
{
	uint8_t data[DIAL_MESSAGE_MAX];
	struct iovec iov = {data, sizeof(data)};
	_cleanup_close_ int fd = -1;
	struct dial_message m;
	ssize_t n = fds_receive(c->fd, &iov, 1, &fd, 1, MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0)
		return n == -EAGAIN || n == -EINTR ? 0 : (int)n;
	if (n == 0)
		return -EPIPE;
	if ((size_t)n > sizeof(data) || dial_decode(data, (size_t)n, &m) < 0)
		return -EBADMSG;
	switch (m.kind) {
	case DIAL_KIND_REPLY:
		return take_reply(c, &m.reply, take_fd(&fd));
	case DIAL_KIND_PASSED:
		return take_passed(c, &m.passed);
	case DIAL_KIND_OFFER:
		c->ops.passes = true;
		return 1;
	case DIAL_KIND_REQUEST:
	case DIAL_KIND_CANCEL:
	case DIAL_KIND_PASS:
		break;
	}
	return -EBADMSG;
}

static void on_socket(struct loop_source *s, uint32_t events, void *user_data)
{
	struct socket_client *c = user_data;
	int r = 1;

	if (events & EPOLLOUT) {
		r = flush(c);
		if (r == 0)
			(void)loop_fd_events(s, EPOLLIN);
		if (r < 0 && r != -EAGAIN) {
			lose(c);
			return;
		}
		r = 1;
	}
	for (int i = 0; i < REPLY_BATCH && r > 0 && c->source; i++)
		r = receive(c);
	if (r < 0)
		lose(c);
}

int dial_client_new(struct loop *l, int fd, void (*gone)(void *user_data), void *user_data,
		    struct dial_client **ret, struct err *e)
{
	struct socket_client *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return err_oom(e);
	c->ops = (struct dial_client){.dial = socket_dial,
				      .pass = socket_pass,
				      .cancel = socket_cancel};
	c->loop = l;
	c->fd = fd;
	c->gone = gone;
	c->user_data = user_data;
	c->free_head = c->queue_head = c->queue_tail = NONE;
	for (size_t i = DIAL_PENDING_MAX; i-- > 0;) {
		c->slots[i].fd = -1;
		release(c, &c->slots[i]);
	}
	r = io_set_nonblock(fd, 1);
	if (r == 0)
		r = loop_add_fd(l, fd, EPOLLIN, on_socket, c, &c->source);
	if (r < 0) {
		free(c);
		return err_errno(e, r, "cannot watch the dialer's socket");
	}
	*ret = &c->ops;
	return 0;
}

struct dial_client *dial_client_free(struct dial_client *dc)
{
	struct socket_client *c = (struct socket_client *)dc;

	if (!c)
		return NULL;
	c->source = loop_remove(c->source);
	for (size_t i = 0; i < DIAL_PENDING_MAX; i++)
		pair_reset_fd(&c->slots[i].fd);
	free(c);
	return NULL;
}
