/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A pump without a thread of its own: poll() says when, pump_step() moves. */
#include "pump.h"

#include <errno.h>

static bool fail_for_now(ssize_t n)
{
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static void move_way(struct pump_way *w, int from, int to)
{
	ssize_t n;

	if (w->at == w->len && !w->ended) {
		n = read(from, w->data, sizeof(w->data));
		if (fail_for_now(n))
			return;
		w->ended = n <= 0;
		w->at = 0;
		w->len = n > 0 ? (size_t)n : 0;
	}
	while (w->at < w->len) {
		n = write(to, w->data + w->at, w->len - w->at);
		if (fail_for_now(n))
			return;
		if (n < 0) {
			w->ended = true;
			w->at = w->len;
			return;
		}
		w->at += (size_t)n;
	}
}

void pump_prepare(const struct pump *p, struct pollfd fds[2])
{
	fds[0] = (struct pollfd){.fd = p->hung_up ? -1 : p->port};
	fds[1] = (struct pollfd){.fd = p->sock};
	if (p->in.at < p->in.len)
		fds[1].events |= POLLOUT;
	else if (!p->in.ended)
		fds[0].events |= POLLIN;
	if (p->out.at < p->out.len)
		fds[0].events |= POLLOUT;
	else if (!p->out.ended)
		fds[1].events |= POLLIN;
	/* a socket whose peer is gone would report POLLHUP for ever */
	if (!fds[1].events)
		fds[1].fd = -1;
}

void pump_step(struct pump *p, const struct pollfd fds[2])
{
	if ((fds[0].revents & POLLIN) || (fds[1].revents & POLLOUT))
		move_way(&p->in, p->port, p->sock);
	if ((fds[1].revents & (POLLIN | POLLHUP)) || (fds[0].revents & POLLOUT))
		move_way(&p->out, p->sock, p->port);
	/* what the host sent before it closed has been read by now, or does not matter any more */
	if ((fds[0].revents & (POLLHUP | POLLERR)) || p->in.ended)
		p->hung_up = true;
}

bool pump_drained(const struct pump *p)
{
	return p->out.ended && p->out.at == p->out.len;
}
