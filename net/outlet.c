/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Connections that never leave the dialer: a local socket is handed over in their place. */
/*
 * The holder of an Internet socket can disconnect it and connect it elsewhere, and send datagrams
 * from a connected one to any address. A local socket of a pair is connected for good.
 */
#include "outlet.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/io.h"
#include "pair.h"

#define BATCH 64 /* datagrams in one turn of the loop */

struct outlet {
	struct outlets *all;
	struct outlet *next, *prev;
	bool udp;
	struct pair pair; /* TCP: the relay's side is METER_UP */
	/* UDP, in the same order */
	int fds[_METER_DIR_MAX];
	struct loop_source *sources[_METER_DIR_MAX];
};

static void outlet_free(struct outlet *o, bool reset)
{
	struct outlets *all = o->all;

	if (!o->udp)
		pair_done(&o->pair, reset);
	for (int d = 0; d < _METER_DIR_MAX; d++) {
		o->sources[d] = loop_remove(o->sources[d]);
		fd_close(&o->fds[d]);
	}
	if (o->prev)
		o->prev->next = o->next;
	else
		all->list = o->next;
	if (o->next)
		o->next->prev = o->prev;
	all->n--;
	free(o);
}

static void on_pair(struct pair *p, int code, void *user_data)
{
	if (code != -EAGAIN)
		outlet_free(user_data, code < 0);
}

/* A full queue loses datagrams, as UDP may. False: the outlet is gone. */
static bool pass_on(struct outlet *o, enum meter_dir d)
{
	uint8_t *buffer = o->all->copier.buffer;

	for (int i = 0; i < BATCH; i++) {
		ssize_t n = recv(o->fds[d], buffer, COPY_BUFFER, MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		/* an empty datagram is one; but the relay's end may be gone */
		if (n < 0 || (n == 0 && copy_hung_up(o->fds[d])))
			break;
		if (send(o->fds[!d], buffer, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
		    (errno == EPIPE || errno == ECONNREFUSED || errno == ECONNRESET))
			break;
		if (i == BATCH - 1)
			return true;
	}
	outlet_free(o, false);
	return false;
}

static void on_relay(struct loop_source *s, uint32_t events, void *user_data)
{
	(void)pass_on(user_data, METER_UP);
}

/* An error (port unreachable and the like) says that the host is not there: the relay's flow ends
 * too, and the next datagram begins another.
 */
static void on_host(struct loop_source *s, uint32_t events, void *user_data)
{
	if (events & EPOLLERR)
		outlet_free(user_data, false);
	else
		(void)pass_on(user_data, METER_DOWN);
}

static int start_udp(struct outlet *o, struct loop *l, int local, int host)
{
	int r;

	o->fds[METER_UP] = local;
	o->fds[METER_DOWN] = host;
	r = loop_add_fd(l, local, EPOLLIN, on_relay, o, &o->sources[METER_UP]);
	if (r == 0)
		r = loop_add_fd(l, host, EPOLLIN, on_host, o, &o->sources[METER_DOWN]);
	return r;
}

int outlet_add(struct outlets *all, bool udp, int consume_fd, int *ret_fd)
{
	_cleanup_close_ int host = consume_fd, theirs = -1;
	struct outlet *o;
	int fds[2], r;

	if (all->n >= OUTLETS_MAX)
		return -EBUSY;
	if (socketpair(AF_UNIX, (udp ? SOCK_SEQPACKET : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC,
		       0, fds) < 0)
		return -errno;
	theirs = fds[1];
	o = calloc(1, sizeof(*o));
	if (!o) {
		(void)close(fds[0]);
		return -ENOMEM;
	}
	*o = (struct outlet){.all = all, .next = all->list, .udp = udp, .fds = {-1, -1}};
	if (all->list)
		all->list->prev = o;
	all->list = o;
	all->n++;
	if (udp)
		r = start_udp(o, all->loop, fds[0], take_fd(&host));
	else
		r = pair_init(&o->pair, all->loop, &all->copier, fds[0], on_pair, o);
	if (r < 0) {
		outlet_free(o, true);
		return r;
	}
	*ret_fd = take_fd(&theirs);
	if (!udp)
		pair_open(&o->pair, take_fd(&host));
	return 0;
}

void outlets_done(struct outlets *all)
{
	while (all->list)
		outlet_free(all->list, true);
}
