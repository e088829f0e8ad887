/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A dialer that opens nothing itself: requests go through the port, the bytes come from it. */
#include "mux-guest.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/io.h"

#define REQUEST_BATCH 64
#define PAIR_MS	      2000
#define SOCKET_BUFFER (128 * 1024) /* in the kernel, for each end and direction */
#define REPLIES_MAX   256	   /* that wait: no more requests are read then */

/* A reply that waits for room in the socket. */
struct waiting {
	struct dial_reply reply;
	int fd;
};

struct guest {
	struct loop *loop;
	struct loop_source *source;
	struct mux *mux;
	int dialer, listener;
	struct waiting replies[MUX_STREAMS_MAX + REPLIES_MAX];
	size_t n_replies;
};

static int send_reply(struct guest *g, const struct dial_reply *reply, int fd)
{
	struct dial_message m = {.kind = DIAL_KIND_REPLY, .reply = *reply};

	return dial_send(g->dialer, &m, fd);
}

static void update_events(struct guest *g)
{
	(void)loop_fd_events(g->source, g->n_replies > 0 ? EPOLLOUT : EPOLLIN);
}

/* Sends it, or keeps it until there is room; another error means that nobody listens any more. */
static void reply_or_keep(struct guest *g, const struct dial_reply *reply, int consume_fd)
{
	_cleanup_close_ int fd = consume_fd;

	if (g->n_replies == 0 && send_reply(g, reply, fd) != -EAGAIN)
		return;
	if (g->n_replies < ARRAY_SIZE(g->replies))
		g->replies[g->n_replies++] = (struct waiting){*reply, take_fd(&fd)};
	update_events(g);
}

static void flush_replies(struct guest *g)
{
	size_t n = 0;

	while (n < g->n_replies && send_reply(g, &g->replies[n].reply, g->replies[n].fd) != -EAGAIN)
		fd_close(&g->replies[n++].fd);
	g->n_replies -= n;
	memmove(g->replies, g->replies + n, g->n_replies * sizeof(g->replies[0]));
	update_events(g);
}

static void shape(int fd)
{
	int on = 1, size = SOCKET_BUFFER;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}

/* The connection that has this address at its other end; others have no business here. */
static int accept_from(struct guest *g, const struct sockaddr_in *peer)
{
	struct pollfd p = {.fd = g->listener, .events = POLLIN};
	uint64_t end = io_now_ms() + PAIR_MS;

	while (io_now_ms() < end) {
		_cleanup_close_ int fd = -1;
		struct sockaddr_in from = {0};
		socklen_t len = sizeof(from);

		if (poll(&p, 1, PAIR_MS) <= 0)
			continue;
		fd = accept4(g->listener, (struct sockaddr *)&from, &len,
			     SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0 && from.sin_port == peer->sin_port &&
		    from.sin_addr.s_addr == peer->sin_addr.s_addr)
			return take_fd(&fd);
	}
	return -ETIMEDOUT;
}

static int tcp_pair(struct guest *g, int ret[2])
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in to, from = {0};
	socklen_t len = sizeof(to);
	int other;

	if (fd < 0)
		return -errno;
	shape(fd);
	if (getsockname(g->listener, (struct sockaddr *)&to, &len) < 0 ||
	    connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return -errno;
	len = sizeof(from);
	if (getsockname(fd, (struct sockaddr *)&from, &len) < 0)
		return -errno;
	other = accept_from(g, &from);
	if (other < 0)
		return other;
	shape(other);
	ret[1] = other;
	ret[0] = take_fd(&fd);
	return io_set_nonblock(ret[0], 1);
}

static int make_pair(struct guest *g, bool udp, int ret[2])
{
	if (!udp)
		return tcp_pair(g, ret);
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ret) < 0
		       ? -errno
		       : 0;
}

static void on_reply(struct mux_stream *s, const struct dial_reply *reply, void *user_data)
{
	struct guest *g = user_data;
	struct dial_reply own = *reply;
	int pair[2] = {-1, -1}, r;

	own.id = (uint32_t)mux_tag(s);
	if (own.code != DIAL_OK) {
		reply_or_keep(g, &own, -1);
		return;
	}
	r = make_pair(g, mux_is_udp(s), pair);
	if (r < 0) {
		own.code = DIAL_ERROR;
		own.error = -r;
		fd_close(&pair[0]);
		fd_close(&pair[1]);
		mux_close(s);
	} else {
		mux_attach(s, pair[1]);
	}
	reply_or_keep(g, &own, pair[0]);
}

static void on_gone(struct mux_stream *s, void *user_data)
{
	struct dial_reply lost = {.id = (uint32_t)mux_tag(s),
				  .code = DIAL_ERROR,
				  .decision.rule = -1};

	reply_or_keep(user_data, &lost, -1);
}

static void on_ended(int code, void *user_data)
{
	struct guest *g = user_data;

	loop_quit(g->loop, -code);
}

static void take_request(struct guest *g, const struct dial_request *rq)
{
	struct dial_reply busy = {.id = rq->id, .code = DIAL_BUSY, .decision.rule = -1};
	struct mux_stream *s = mux_open(g->mux, rq);

	if (s)
		mux_set_tag(s, rq->id);
	else
		reply_or_keep(g, &busy, -1);
}

static void take_cancel(struct guest *g, uint32_t id)
{
	struct dial_reply done = {.id = id, .code = DIAL_CANCELLED, .decision.rule = -1};
	struct mux_stream *s = mux_find(g->mux, id);

	if (!s)
		return; /* its reply is on its way */
	mux_close(s);
	reply_or_keep(g, &done, -1);
}

/* 1: a message was dealt with, 0: none is there, or a negative errno: serve no more. */
static int receive(struct guest *g)
{
	uint8_t data[DIAL_MESSAGE_MAX + 1];
	struct dial_message m;
	ssize_t n = recv(g->dialer, data, sizeof(data), MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -EPIPE;
	if (dial_decode(data, (size_t)n, &m) < 0)
		return -EBADMSG;
	if (m.kind == DIAL_KIND_REQUEST)
		take_request(g, &m.request);
	else if (m.kind == DIAL_KIND_CANCEL)
		take_cancel(g, m.request.id);
	else /* nothing was offered */
		return -EBADMSG;
	return 1;
}

static void on_dialer(struct loop_source *src, uint32_t events, void *user_data)
{
	struct guest *g = user_data;
	int r = 1;

	if (events & EPOLLOUT)
		flush_replies(g);
	for (int i = 0; i < REQUEST_BATCH && r > 0 && g->n_replies < REPLIES_MAX; i++)
		r = receive(g);
	if (r < 0)
		loop_quit(g->loop, r == -EPIPE || r == -ECONNRESET ? 0 : -r);
}

static int listen_here(struct guest *g)
{
	struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};

	g->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (g->listener < 0 || bind(g->listener, (struct sockaddr *)&here, sizeof(here)) < 0 ||
	    listen(g->listener, SOMAXCONN) < 0)
		return -errno;
	return 0;
}

static int start(struct guest *g, int port)
{
	static const struct mux_ops ops = {.reply = on_reply, .gone = on_gone, .ended = on_ended};
	int r = listen_here(g);

	if (r == 0)
		r = loop_new(&g->loop);
	if (r == 0)
		r = io_set_nonblock(g->dialer, 1);
	if (r == 0)
		r = loop_add_fd(g->loop, g->dialer, EPOLLIN, on_dialer, g, &g->source);
	return r < 0 ? r : mux_new(g->loop, port, &ops, g, &g->mux);
}

int mux_guest_run(int port, int dialer, struct err *e)
{
	_cleanup_free_ struct guest *g = calloc(1, sizeof(*g));
	struct rlimit rl;
	int r;

	if (!g)
		return err_oom(e);
	g->dialer = dialer;
	g->listener = -1;
	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &rl);
	}
	r = start(g, port);
	if (r == 0)
		r = loop_run(g->loop);
	for (size_t i = 0; i < g->n_replies; i++)
		fd_close(&g->replies[i].fd);
	(void)mux_free(g->mux);
	(void)loop_free(g->loop);
	fd_close(&g->listener);
	if (r == 0)
		return 0;
	return err_errno(e, r > 0 ? -r : r, "the port of the host's dialer");
}
