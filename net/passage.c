/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Passing bytes on between the worker and the host, and telling the relay how many. */
/*
 * The relay has let go of the worker's end. It is told of the connection, of bytes and of the end
 * in messages that wait a few milliseconds for each other, so that a short connection costs one
 * turn of the relay, and not while the worker waits for its answer.
 */
#include "passage.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/io.h"
#include "pair.h"

#define REPORT_MS 5
#define REST_MS	  1000 /* without a byte, after which a pipe is given back */

enum passage_state {
	PASSAGE_WAITS,
	PASSAGE_OPEN,
	PASSAGE_ENDED, /* which is to be told */
};

struct passage {
	struct passages *all;
	struct passage *next, *prev;
	enum passage_state state;
	uint32_t id;
	void *owner; /* while it waits */
	bool replied;
	struct dial_reply reply;
	uint64_t told[_METER_DIR_MAX];
	struct pair pair; /* the worker's side is METER_UP */
};

static void report_soon(struct passages *all)
{
	if (!all->soon)
		all->soon = loop_timer_set(all->timer, REPORT_MS, 0) == 0;
}

static void end(struct passage *p, bool reset)
{
	pair_done(&p->pair, reset);
	p->state = PASSAGE_ENDED;
	report_soon(p->all);
}

static void on_pair(struct pair *pair, int code, void *user_data)
{
	struct passage *p = user_data;

	if (p->state == PASSAGE_WAITS) {
		p->all->hung_up(p->owner);
		return;
	}
	if (code == -EAGAIN)
		report_soon(p->all);
	else
		end(p, code < 0);
}

static void remove_passage(struct passage *p)
{
	struct passages *all = p->all;

	if (p->state != PASSAGE_ENDED)
		pair_done(&p->pair, true);
	if (p->prev)
		p->prev->next = p->next;
	else
		all->list = p->next;
	if (p->next)
		p->next->prev = p->prev;
	all->n--;
	free(p);
}

/* Tells what is new of one, which is gone then if it has ended. 0 or a negative errno. */
static int report(struct passage *p)
{
	struct dial_message m = {.kind = DIAL_KIND_REPLY, .reply = p->reply};
	bool news = p->state == PASSAGE_ENDED;

	if (!p->replied) {
		int r = dial_send(p->all->fd, &m, -1);

		if (r < 0)
			return r;
		p->replied = true;
	}
	m = (struct dial_message){.kind = DIAL_KIND_PASSED,
				  .passed = {.id = p->id, .ended = p->state == PASSAGE_ENDED}};
	for (int d = 0; d < _METER_DIR_MAX; d++) {
		m.passed.bytes[d] = p->pair.count[d] - p->told[d];
		news = news || m.passed.bytes[d] > 0;
	}
	if (news) {
		int r = dial_send(p->all->fd, &m, -1);

		if (r < 0)
			return r;
		memcpy(p->told, p->pair.count, sizeof(p->told));
	}
	if (p->state == PASSAGE_ENDED)
		remove_passage(p);
	return 0;
}

static void on_timer(struct loop_source *s, void *user_data)
{
	struct passages *all = user_data;
	uint64_t now = io_now_ms();
	bool young = false;
	struct passage *next;

	all->soon = false;
	for (struct passage *p = all->list; p; p = next) {
		next = p->next;
		if (p->state == PASSAGE_WAITS)
			continue;
		if (p->state == PASSAGE_OPEN && now >= p->pair.active_ms + REST_MS)
			pair_rest(&p->pair);
		else if (p->state == PASSAGE_OPEN)
			young = true;
		if (report(p) == -EAGAIN) { /* another error: nobody listens, and the dialer ends */
			report_soon(all);
			return;
		}
	}
	if (young)
		(void)loop_timer_set(all->timer, REST_MS, 0);
}

int passages_init(struct passages *all)
{
	return loop_add_timer(all->loop, on_timer, all, &all->timer);
}

void passages_done(struct passages *all)
{
	while (all->list)
		remove_passage(all->list);
	all->timer = loop_remove(all->timer);
}

/* Other sockets have rights, or ways to hang, that are not known here. */
static bool is_tcp(int fd)
{
	int type = 0, protocol = 0;
	socklen_t len = sizeof(int);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM &&
	       getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) == 0 &&
	       protocol == IPPROTO_TCP;
}

int passage_new(struct passages *all, uint32_t id, int consume_fd, void *owner,
		struct passage **ret)
{
	_cleanup_close_ int fd = consume_fd;
	struct passage *p;
	int r;

	if (!is_tcp(fd))
		return -EBADF;
	if (all->n >= PASSAGES_MAX)
		return -EBUSY;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	*p = (struct passage){.all = all, .next = all->list, .id = id, .owner = owner};
	if (all->list)
		all->list->prev = p;
	all->list = p;
	all->n++;
	r = pair_init(&p->pair, all->loop, all->copier, take_fd(&fd), on_pair, p);
	if (r < 0) {
		remove_passage(p);
		return r;
	}
	*ret = p;
	return 0;
}

void passage_open(struct passage *p, const struct dial_reply *reply, int consume_fd)
{
	p->state = PASSAGE_OPEN;
	p->reply = *reply;
	pair_open(&p->pair, consume_fd);
}

struct passage *passage_free(struct passage *p)
{
	if (p)
		remove_passage(p);
	return NULL;
}

bool passages_cancel(struct passages *all, uint32_t id)
{
	for (struct passage *p = all->list; p; p = p->next) {
		if (p->id != id || p->state != PASSAGE_OPEN)
			continue;
		end(p, true);
		return true;
	}
	return false;
}
