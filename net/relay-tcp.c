/* SPDX-License-Identifier: GPL-3.0-or-later */
/* TCP through the relay: accept, dial, open the pair, end it. */
#include <errno.h>
#include <sys/socket.h>

#include "base/io.h"
#include "pair.h"
#include "relay-private.h"

#define ACCEPT_BATCH 64

struct relay_conn {
	struct relay *relay;
	struct relay_conn *next, *prev;
	struct target target;
	bool dialing;
	bool asked; /* the dialer has something of it that may be cancelled */
	uint32_t dial_id;
	bool given;			  /* the dialer passes its bytes on: there is no pair */
	uint64_t active_ms;		  /* then: last byte, or the start */
	uint64_t counted[_METER_DIR_MAX]; /* of the pair's count */
	struct pair pair;
};

static void link_last(struct relay_conn *c)
{
	struct relay *r = c->relay;

	c->next = NULL;
	c->prev = r->conns_last;
	if (r->conns_last)
		r->conns_last->next = c;
	else
		r->conns = c;
	r->conns_last = c;
}

static void unlink_conn(struct relay_conn *c)
{
	struct relay *r = c->relay;

	if (c->prev)
		c->prev->next = c->next;
	else
		r->conns = c->next;
	if (c->next)
		c->next->prev = c->prev;
	else
		r->conns_last = c->prev;
}

static void set_accepting(struct relay *r, bool on)
{
	if (r->accept_muted == !on)
		return;
	r->accept_muted = !on;
	for (int i = LISTEN_TCP; i <= LISTEN_TCP6 && !r->over; i++) {
		if (r->listeners[i].source)
			(void)loop_fd_events(r->listeners[i].source, on ? EPOLLIN : 0);
	}
}

static void conn_free(struct relay_conn *c, bool reset)
{
	struct relay *r = c->relay;

	if (c->asked)
		r->config.dialer->cancel(r->config.dialer, c->dial_id);
	if (!c->given)
		pair_done(&c->pair, reset);
	unlink_conn(c);
	r->stats.connections--;
	set_accepting(r, true);
	free(c);
}

static void on_pair(struct pair *p, int code, void *user_data)
{
	struct relay_conn *c = user_data;
	struct relay *r = c->relay;

	for (int d = 0; d < _METER_DIR_MAX; d++) {
		relay_count(r, &c->target, d, p->count[d] - c->counted[d]);
		c->counted[d] = p->count[d];
	}
	if (code == -EAGAIN) {
		if (pair_throttled(p))
			relay_wait_refill(r);
		return;
	}
	conn_free(c, code < 0);
	if (code == -EDQUOT)
		relay_over(r);
}

static void on_dialed(const struct dial_reply *reply, int consume_fd, void *user_data)
{
	struct relay_conn *c = user_data;
	struct relay *r = c->relay;

	c->dialing = false;
	c->asked = c->given && reply->code == DIAL_OK;
	if (reply->code != DIAL_OK) {
		enum relay_event_type type =
			reply->code == DIAL_DENIED ? RELAY_DENIED : RELAY_FAILED;

		if (reply->code != DIAL_CANCELLED) /* else the worker has hung up */
			relay_tell(r, type, &c->target,
				   type == RELAY_DENIED ? &reply->decision : NULL, reply);
		conn_free(c, true);
		return;
	}
	relay_tell(r, RELAY_OPENED, &c->target, NULL, reply);
	if (!c->given)
		pair_open(&c->pair, consume_fd);
}

/* Of a connection that was given to the dialer. */
static void on_passed(const struct dial_passed *p, void *user_data)
{
	struct relay_conn *c = user_data;
	struct relay *r = c->relay;

	for (int d = 0; d < _METER_DIR_MAX; d++) {
		meter_use(&r->copier.meter, d, p->bytes[d]);
		relay_count(r, &c->target, d, p->bytes[d]);
	}
	c->active_ms = io_now_ms();
	c->asked = !p->ended;
	if (p->ended)
		conn_free(c, false);
}

/* The dialer passes on what is not limited: a byte goes through one process then, not two. */
static bool may_give(const struct relay *r)
{
	return r->config.dialer->passes && !r->config.rate && !r->config.total;
}

/* Decides about an accepted connection and has it dialled, or resets it. */
static void take(struct relay *r, int *fd)
{
	struct sockaddr_storage dst;
	struct relay_conn *c;
	struct net_decision d;
	struct target t;
	int rc = 0;

	if (r->config.ops->tcp_destination(*fd, &dst, r->config.ops_data) < 0) {
		pair_reset_fd(fd);
		return;
	}
	d = relay_target(r, NET_PROTO_TCP, &dst, &t);
	if (d.reason != NET_ALLOWED) {
		pair_reset_fd(fd);
		relay_tell(r, RELAY_DENIED, &t, &d, NULL);
		return;
	}
	c = calloc(1, sizeof(*c));
	if (!c) {
		pair_reset_fd(fd);
		return;
	}
	c->relay = r;
	c->target = t;
	c->given = may_give(r);
	c->active_ms = io_now_ms();
	link_last(c);
	r->stats.connections++;
	if (!c->given)
		rc = pair_init(&c->pair, r->loop, &r->copier, take_fd(fd), on_pair, c);
	if (rc == 0)
		rc = relay_dial(r, &c->target, take_fd(fd), on_dialed, c->given ? on_passed : NULL,
				c, &c->dial_id);
	if (rc < 0)
		conn_free(c, true);
	else
		c->dialing = c->asked = true;
}

void relay_tcp_accept(struct loop_source *s, uint32_t events, void *user_data)
{
	const struct listener *l = user_data;
	struct relay *r = l->relay;

	for (int i = 0; i < ACCEPT_BATCH && !r->over; i++) {
		_cleanup_close_ int fd = -1;

		if (r->stats.connections >= r->config.connections) {
			set_accepting(r, false); /* the rest waits in the kernel's queue */
			return;
		}
		fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0)
			take(r, &fd);
		else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			set_accepting(r, false); /* until a connection ends, or the next second */
		if (fd < 0 && errno != ECONNABORTED)
			return;
	}
}

/* Each that waited has its turn and goes to the end of the list, so that none is always first. */
void relay_tcp_refill(struct relay *r)
{
	size_t n = r->stats.connections;
	struct relay_conn *c = r->conns;

	while (c && n-- > 0) {
		struct relay_conn *next = c->next;

		if (pair_throttled(&c->pair) && pair_resume(&c->pair)) {
			unlink_conn(c);
			link_last(c);
		}
		c = next;
	}
}

void relay_tcp_deadlines(struct relay *r, uint64_t now)
{
	struct dial_reply late = {.code = DIAL_TIMEOUT, .error = ETIMEDOUT};
	struct relay_conn *next;

	set_accepting(r, r->stats.connections < r->config.connections);
	for (struct relay_conn *c = r->conns; c; c = next) {
		uint64_t limit = c->dialing ? r->config.connect_ms : r->config.idle_ms;
		uint64_t active_ms = c->given ? c->active_ms : c->pair.active_ms;

		next = c->next;
		if (!c->given && now >= active_ms + 1000)
			pair_rest(&c->pair);
		if (now < active_ms + limit)
			continue;
		if (c->dialing)
			relay_tell(r, RELAY_FAILED, &c->target, NULL, &late);
		conn_free(c, true);
	}
}

void relay_tcp_phase(struct relay *r)
{
	struct relay_conn *next;

	for (struct relay_conn *c = r->conns; c; c = next) {
		struct net_decision d = relay_decide(r, &c->target);

		next = c->next;
		if (d.reason == NET_ALLOWED)
			continue;
		relay_tell(r, c->dialing ? RELAY_DENIED : RELAY_ENDED, &c->target, &d, NULL);
		conn_free(c, true);
	}
}

void relay_tcp_reset_all(struct relay *r)
{
	while (r->conns)
		conn_free(r->conns, true);
}
