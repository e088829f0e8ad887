/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzz target: a multiplexed port's other end, to a host (first byte even) and to a guest (odd). */
#include <errno.h>
#include <sys/socket.h>

#include "base/macro.h"
#include "fuzz.h"
#include "net/mux.h"

#define STREAMS 8 /* of a guest, open before the input comes */

struct world {
	struct mux *mux;
	unsigned opened;
	bool ended;
};

/* A pair whose other end takes what fits, says a little, and is closed with it. */
static int some_socket(bool udp)
{
	int fds[2];

	if (socketpair(AF_UNIX, (udp ? SOCK_SEQPACKET : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK,
		       0, fds) < 0)
		return -1;
	(void)send(fds[1], "hello", 5, MSG_NOSIGNAL);
	(void)close(fds[1]);
	return fds[0];
}

static void on_open(struct mux_stream *s, const struct dial_request *rq, void *user_data)
{
	struct world *w = user_data;
	struct dial_reply reply = {.code = DIAL_DENIED, .decision.rule = -1};

	/* one is refused, one is answered, one never is */
	w->opened++;
	if (w->opened % 3 == 0)
		mux_reply(s, &reply, -1);
	reply.code = DIAL_OK;
	if (w->opened % 3 == 1)
		mux_reply(s, &reply, some_socket(rq->proto == NET_PROTO_UDP));
}

static void on_reply(struct mux_stream *s, const struct dial_reply *reply, void *user_data)
{
	if (reply->code == DIAL_OK)
		mux_attach(s, some_socket(mux_is_udp(s)));
}

static void on_gone(struct mux_stream *s, void *user_data)
{
}

static void on_ended(int code, void *user_data)
{
	struct world *w = user_data;

	if (w->ended)
		abort();
	w->ended = true;
}

static void ask(struct world *w)
{
	struct dial_request rq = {.phase = NET_PHASE_BUILD,
				  .proto = NET_PROTO_TCP,
				  .port = 1,
				  .name = "a"};

	for (int i = 0; i < STREAMS; i++) {
		rq.proto = i % 2 ? NET_PROTO_UDP : NET_PROTO_TCP;
		(void)mux_open(w->mux, &rq);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world w = {0};
	struct mux_ops ops = {.gone = on_gone, .ended = on_ended};
	struct loop *l = NULL;
	int port[2];

	if (size < 1 || size > 100000 || loop_new(&l) < 0)
		return 0;
	if (data[0] % 2)
		ops.reply = on_reply;
	else
		ops.open = on_open;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, port) == 0) {
		if (mux_new(l, port[0], &ops, &w, &w.mux) == 0) {
			if (data[0] % 2)
				ask(&w);
			(void)send(port[1], data + 1, size - 1, MSG_NOSIGNAL);
			(void)shutdown(port[1], SHUT_WR);
			for (int i = 0; i < 50 && !w.ended; i++)
				(void)loop_step(l, 0);
		}
		(void)mux_free(w.mux);
		(void)close(port[0]);
		(void)close(port[1]);
	}
	(void)loop_free(l);
	return 0;
}
