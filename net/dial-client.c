/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Requests out, replies with descriptors in; every request is answered once. */
#include "dial-client.h"

#include <errno.h>

#include "base/fds.h"
#include "base/io.h"

#define REPLY_BATCH 64

/*
 * A slot stays taken until the dialer has answered, even when it was cancelled (done is NULL
 * then), so that an id never means two things.
 */
struct pending {
	bool used, unsent;
	uint16_t generation;
	uint16_t next; /* of the free or the unsent list */
	dial_done_fn done;
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
	uint16_t free_head, unsent_head, unsent_tail;
	struct pending slots[DIAL_PENDING_MAX];
};

static void release(struct socket_client *c, struct pending *p)
{
	p->used = false;
	p->generation++;
	p->next = c->free_head;
	c->free_head = (uint16_t)(p - c->slots);
}

/* The dialer has ended or talks nonsense: every dial fails now. */
static void lose(struct socket_client *c)
{
	struct dial_reply reply = {.code = DIAL_GONE};

	if (!c->source)
		return;
	c->source = loop_remove(c->source);
	c->unsent_head = c->unsent_tail = NONE;
	for (size_t i = 0; i < DIAL_PENDING_MAX; i++) {
		struct pending *p = &c->slots[i];

		if (!p->used)
			continue;
		release(c, p);
		if (p->done)
			p->done(&reply, -1, p->user_data);
	}
	if (c->gone)
		c->gone(c->user_data);
}

/* Sends what waits. A cancelled request that was never sent just frees its slot. */
static int flush(struct socket_client *c)
{
	while (c->unsent_head != NONE) {
		struct pending *p = &c->slots[c->unsent_head];
		struct dial_message m = {.kind = DIAL_KIND_REQUEST, .request = p->request};
		uint16_t next = p->next;
		int r = p->done ? dial_send(c->fd, &m, -1) : 0;

		if (r < 0)
			return r;
		p->unsent = false;
		if (!p->done)
			release(c, p);
		c->unsent_head = next;
	}
	c->unsent_tail = NONE;
	return 0;
}

static int socket_dial(struct dial_client *dc, const struct dial_request *rq, dial_done_fn done,
		       void *user_data, uint32_t *ret_id)
{
	struct socket_client *c = (struct socket_client *)dc;
	uint16_t index = c->free_head;
	struct pending *p;

	if (!c->source)
		return -EPIPE;
	if (index == NONE)
		return -EBUSY;
	p = &c->slots[index];
	c->free_head = p->next;
	p->used = p->unsent = true;
	p->done = done;
	p->user_data = user_data;
	p->request = *rq;
	p->request.id = (uint32_t)p->generation << 16 | index;
	p->next = NONE;
	if (c->unsent_tail == NONE)
		c->unsent_head = index;
	else
		c->slots[c->unsent_tail].next = index;
	c->unsent_tail = index;
	*ret_id = p->request.id;
	/* an error here is told by the socket itself, in the loop and not inside this call */
	if (flush(c) < 0)
		(void)loop_fd_events(c->source, EPOLLIN | EPOLLOUT);
	return 0;
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
	struct dial_message m = {.kind = DIAL_KIND_CANCEL, .request.id = id};
	struct pending *p = find(c, id);

	if (!p)
		return;
	p->done = NULL;
	if (!p->unsent && c->source)
		(void)dial_send(c->fd, &m, -1); /* if it is lost, the dial runs to its deadline */
}

/* One reply. 1, 0 (none is there) or a negative errno (the connection is of no more use). */
static int receive(struct socket_client *c)
{
	uint8_t data[DIAL_MESSAGE_MAX];
	struct iovec iov = {data, sizeof(data)};
	_cleanup_close_ int fd = -1;
	struct dial_message m;
	struct pending *p;
	ssize_t n = fds_receive(c->fd, &iov, 1, &fd, 1, MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0)
		return n == -EAGAIN || n == -EINTR ? 0 : (int)n;
	if (n == 0)
		return -EPIPE;
	if ((size_t)n > sizeof(data) || dial_decode(data, (size_t)n, &m) < 0 ||
	    m.kind != DIAL_KIND_REPLY)
		return -EBADMSG;
	p = find(c, m.reply.id);
	if (!p || p->unsent)
		return -EBADMSG;
	if (m.reply.code == DIAL_OK && fd < 0) {
		m.reply.code = DIAL_ERROR; /* no descriptor was free here: MSG_CTRUNC */
		m.reply.error = EMFILE;
	} else if (m.reply.code != DIAL_OK) {
		fd_close(&fd);
	}
	release(c, p);
	if (p->done)
		p->done(&m.reply, take_fd(&fd), p->user_data);
	return 1;
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
	c->ops = (struct dial_client){.dial = socket_dial, .cancel = socket_cancel};
	c->loop = l;
	c->fd = fd;
	c->gone = gone;
	c->user_data = user_data;
	c->free_head = c->unsent_head = c->unsent_tail = NONE;
	for (size_t i = DIAL_PENDING_MAX; i-- > 0;)
		release(c, &c->slots[i]);
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
	free(c);
	return NULL;
}
