/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between a dialer that hands sockets over and a port that only takes bytes: the host's end. */
#include "mux-host.h"

#include <errno.h>
#include <sys/resource.h>

#include "base/io.h"
#include "dial-client.h"

struct host {
	struct loop *loop;
	struct mux *mux;
	struct dial_client *dialer;
	struct meter meter;
	struct mux_host_counts *counts;
};

static void end(struct host *h, enum mux_host_end how)
{
	loop_quit(h->loop, how);
}

static void on_dialed(const struct dial_reply *reply, int consume_fd, void *user_data)
{
	struct mux_stream *s = user_data;
	struct host *h = mux_user_data(s);
	struct dial_reply answer = *reply;

	if (reply->code == DIAL_OK)
		h->counts->opened++;
	else if (reply->code == DIAL_DENIED)
		h->counts->denied++;
	else if (reply->code == DIAL_GONE) /* which no message says */
		answer.code = DIAL_ERROR;
	mux_reply(s, &answer, consume_fd);
}

static void on_open(struct mux_stream *s, const struct dial_request *rq, void *user_data)
{
	struct dial_reply busy = {.code = DIAL_BUSY, .decision.rule = -1};
	struct host *h = user_data;
	uint32_t id;
	int r = h->dialer->dial(h->dialer, rq, on_dialed, s, &id);

	if (r < 0)
		mux_reply(s, &busy, -1);
	else
		mux_set_tag(s, id);
}

static void on_gone(struct mux_stream *s, void *user_data)
{
	struct host *h = user_data;

	h->dialer->cancel(h->dialer, (uint32_t)mux_tag(s));
}

static size_t on_allow(enum meter_dir dir, size_t want, void *user_data)
{
	struct host *h = user_data;

	return meter_allow(&h->meter, dir, want, io_now_ms());
}

static void on_count(enum meter_dir dir, size_t n, void *user_data)
{
	struct host *h = user_data;

	meter_use(&h->meter, dir, n);
	h->counts->bytes[dir] += n;
	if (meter_left(&h->meter) == 0)
		end(h, MUX_HOST_OVER);
}

static void on_ended(int code, void *user_data)
{
	if (code == -EBADMSG)
		end(user_data, MUX_HOST_NONSENSE);
	else
		end(user_data, code == 0 ? MUX_HOST_CLOSED : MUX_HOST_BROKEN);
}

static void on_no_dialer(void *user_data)
{
	end(user_data, MUX_HOST_NO_DIALER);
}

static int start(struct host *h, int port, int dialer)
{
	static const struct mux_ops ops = {.open = on_open,
					   .gone = on_gone,
					   .allow = on_allow,
					   .count = on_count,
					   .ended = on_ended};
	int r = loop_new(&h->loop);

	if (r == 0)
		r = dial_client_new(h->loop, dialer, on_no_dialer, h, &h->dialer, NULL);
	return r < 0 ? r : mux_new(h->loop, port, &ops, h, &h->mux);
}

enum mux_host_end mux_host_run(int port, int dialer, const struct mux_host_config *c)
{
	struct host h = {.counts = c->counts};
	struct rlimit rl;
	int r;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &rl);
	}
	meter_init(&h.meter, c->rate_wall, c->total_wall, io_now_ms());
	r = start(&h, port, dialer);
	if (r == 0)
		r = loop_run(h.loop);
	(void)dial_client_free(h.dialer);
	(void)mux_free(h.mux);
	(void)loop_free(h.loop);
	return r < 0 ? MUX_HOST_BROKEN : (enum mux_host_end)r;
}
