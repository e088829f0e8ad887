/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Running both directions of a pair, and its ends. */
/*
 * One side may be a local socket (AF_UNIX) that stands for a connection elsewhere. It has no reset:
 * who means one closes it without a word, and who means an end shuts one direction and waits. After
 * an end in the other direction the two cannot be told apart any more, and a reset is taken for an
 * end.
 */
#include "pair.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/io.h"

void pair_reset_fd(int *fd)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};

	if (*fd >= 0)
		(void)setsockopt(*fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	fd_close(fd);
}

void pair_done(struct pair *p, bool reset)
{
	for (int d = 0; d < _METER_DIR_MAX; d++) {
		p->sides[d].source = loop_remove(p->sides[d].source);
		if (reset)
			pair_reset_fd(&p->sides[d].fd);
		fd_close(&p->sides[d].fd);
		half_done(p->copier, &p->halves[d]);
	}
	p->open = false;
}

static void on_side(struct loop_source *s, uint32_t events, void *user_data);

/* Waits on a side for what its two directions need now. 0 or a negative errno. */
static int update_side(struct pair *p, enum meter_dir d)
{
	const struct half *from = &p->halves[d], *to = &p->halves[!d];
	struct pair_side *s = &p->sides[d];
	uint32_t events = 0;

	if (p->open && half_wants_input(from))
		events |= EPOLLIN;
	if (half_wants_output(to))
		events |= EPOLLOUT;
	if (s->source && events == s->events)
		return 0;
	s->events = events;
	if (s->source)
		return loop_fd_events(s->source, events);
	return loop_add_fd(p->loop, s->fd, events, on_side, s, &s->source);
}

static int run_half(struct pair *p, enum meter_dir d)
{
	uint64_t before = p->count[d];
	int rc = half_run(p->copier, d, &p->halves[d], &p->halves[!d], p->sides[d].fd,
			  p->sides[!d].fd, &p->count[d]);

	if (p->count[d] != before)
		p->active_ms = io_now_ms();
	return rc;
}

/* Runs these directions and waits for more, or tells the end. False: it is told. */
static bool run(struct pair *p, bool up, bool down)
{
	int rc = up ? run_half(p, METER_UP) : 0;

	if (rc == 0 && down)
		rc = run_half(p, METER_DOWN);
	if (rc == 0 && p->halves[METER_UP].shut && p->halves[METER_DOWN].shut) {
		p->event(p, 0, p->user_data);
		return false;
	}
	if (rc == 0)
		rc = update_side(p, METER_UP);
	if (rc == 0)
		rc = update_side(p, METER_DOWN);
	p->event(p, rc == 0 ? -EAGAIN : rc, p->user_data);
	return rc == 0;
}

static void on_side(struct loop_source *src, uint32_t events, void *user_data)
{
	struct pair_side *s = user_data;
	struct pair *p = s->pair;
	const struct half *from = &p->halves[s - p->sides];

	if (!p->open) { /* nothing was waited for: it has hung up */
		p->event(p, -ECONNRESET, p->user_data);
		return;
	}
	/* what came before a reset is still read below; nothing more can come, or go there */
	if (events & EPOLLERR && from->eof && !half_wants_output(from)) {
		p->event(p, -ECONNRESET, p->user_data);
		return;
	}
	if (s->events == 0) {
		/* both ways are closed on this side, and there is nothing to do here until the
		 * other side moves: epoll would go on about it */
		s->source = loop_remove(s->source);
		return;
	}
	if (events & ~(uint32_t)(EPOLLIN | EPOLLOUT))
		(void)run(p, true, true);
	else if (s == &p->sides[METER_UP])
		(void)run(p, events & EPOLLIN, events & EPOLLOUT);
	else
		(void)run(p, events & EPOLLOUT, events & EPOLLIN);
}

int pair_init(struct pair *p, struct loop *l, struct copier *c, int consume_fd,
	      void (*event)(struct pair *p, int code, void *user_data), void *user_data)
{
	int on = 1;

	*p = (struct pair){.loop = l, .copier = c, .event = event, .user_data = user_data};
	p->active_ms = io_now_ms();
	p->sides[METER_UP] = (struct pair_side){.pair = p, .fd = consume_fd};
	p->sides[METER_DOWN] = (struct pair_side){.pair = p, .fd = -1};
	half_init(&p->halves[METER_UP]);
	half_init(&p->halves[METER_DOWN]);
	/* of a local socket it is refused, and not needed */
	(void)setsockopt(consume_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return update_side(p, METER_UP);
}

void pair_open(struct pair *p, int consume_fd)
{
	int on = 1;

	(void)setsockopt(consume_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	p->sides[METER_DOWN].fd = consume_fd;
	p->active_ms = io_now_ms();
	p->open = true;
	(void)run(p, true, true);
}

bool pair_throttled(const struct pair *p)
{
	return p->halves[METER_UP].throttled || p->halves[METER_DOWN].throttled;
}

bool pair_resume(struct pair *p)
{
	p->halves[METER_UP].throttled = p->halves[METER_DOWN].throttled = false;
	return run(p, true, true);
}

void pair_rest(struct pair *p)
{
	half_rest(p->copier, &p->halves[METER_UP]);
	half_rest(p->copier, &p->halves[METER_DOWN]);
}
