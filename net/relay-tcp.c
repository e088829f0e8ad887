/* SPDX-License-Identifier: GPL-3.0-or-later */
/* TCP through the relay: accept, dial, run both directions, reset. */
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/io.h"
#include "relay-copy.h"

#define ACCEPT_BATCH 64

/* Side METER_UP is the worker's, where bytes upward come from; METER_DOWN is the server's. */
struct side {
	struct relay_conn *conn;
	int fd;
	struct loop_source *source; /* NULL: nothing to wait for but a hang-up that was seen */
	uint32_t events;
};

struct relay_conn {
	struct relay *relay;
	struct relay_conn *next, *prev;
	struct target target;
	bool dialing;
	uint32_t dial_id;
	uint64_t active_ms; /* last byte, or the start of the dial */
	struct side sides[_METER_DIR_MAX];
	struct half halves[_METER_DIR_MAX]; /* halves[d] goes from sides[d] to sides[!d] */
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

/* Closes with RST, so that the other end knows at once. */
static void reset_fd(int *fd)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};

	if (*fd >= 0)
		(void)setsockopt(*fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	fd_close(fd);
}

static void conn_free(struct relay_conn *c, bool reset)
{
	struct relay *r = c->relay;

	if (c->dialing)
		r->config.dialer->cancel(r->config.dialer, c->dial_id);
	for (int d = 0; d < _METER_DIR_MAX; d++) {
		c->sides[d].source = loop_remove(c->sides[d].source);
		if (reset)
			reset_fd(&c->sides[d].fd);
		fd_close(&c->sides[d].fd);
		half_done(r, &c->halves[d]);
	}
	unlink_conn(c);
	r->stats.connections--;
	set_accepting(r, true);
	free(c);
}

static void on_side(struct loop_source *s, uint32_t events, void *user_data);

/* Waits on a side for what its two directions need now. 0 or a negative errno. */
static int update_side(struct relay_conn *c, enum meter_dir d)
{
	const struct half *from = &c->halves[d], *to = &c->halves[!d];
	struct side *s = &c->sides[d];
	uint32_t events = 0;

	if (!c->dialing && half_wants_input(from))
		events |= EPOLLIN;
	if (half_wants_output(to))
		events |= EPOLLOUT;
	if (s->source && events == s->events)
		return 0;
	s->events = events;
	if (s->source)
		return loop_fd_events(s->source, events);
	return loop_add_fd(c->relay->loop, s->fd, events, on_side, s, &s->source);
}

static int run_half(struct relay_conn *c, enum meter_dir d)
{
	return half_run(c->relay, &c->target, d, &c->halves[d], c->sides[d].fd, c->sides[!d].fd,
			&c->active_ms);
}

/* Runs both directions and waits for more, or ends the connection. False: it is gone. */
static bool run(struct relay_conn *c)
{
	struct relay *r = c->relay;
	int rc = run_half(c, METER_UP);

	if (rc == 0)
		rc = run_half(c, METER_DOWN);
	if (rc == 0 && c->halves[METER_UP].shut && c->halves[METER_DOWN].shut) {
		conn_free(c, false);
		return false;
	}
	if (rc == 0)
		rc = update_side(c, METER_UP);
	if (rc == 0)
		rc = update_side(c, METER_DOWN);
	if (rc == 0)
		return true;
	conn_free(c, true);
	if (rc == -EDQUOT)
		relay_over(r);
	return false;
}

static void on_side(struct loop_source *src, uint32_t events, void *user_data)
{
	struct side *s = user_data;
	struct relay_conn *c = s->conn;
	const struct half *from = &c->halves[s - c->sides];

	if (c->dialing) { /* nothing was waited for: the worker has hung up */
		conn_free(c, true);
		return;
	}
	/* what came before a reset is still read below; nothing more can come, or go there */
	if (events & EPOLLERR && from->eof && !half_wants_output(from)) {
		conn_free(c, true);
		return;
	}
	if (s->events == 0) {
		/* both ways are closed on this side, and there is nothing to do here until the
		 * other side moves: epoll would go on about it */
		s->source = loop_remove(s->source);
		return;
	}
	(void)run(c);
}

static void on_dialed(const struct dial_reply *reply, int consume_fd, void *user_data)
{
	struct relay_conn *c = user_data;
	struct relay *r = c->relay;
	int on = 1;

	c->dialing = false;
	c->active_ms = io_now_ms();
	c->sides[METER_DOWN].fd = consume_fd;
	if (reply->code != DIAL_OK) {
		enum relay_event_type type =
			reply->code == DIAL_DENIED ? RELAY_DENIED : RELAY_FAILED;

		relay_tell(r, type, &c->target, type == RELAY_DENIED ? &reply->decision : NULL,
			   reply);
		conn_free(c, true);
		return;
	}
	(void)setsockopt(consume_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	relay_tell(r, RELAY_OPENED, &c->target, NULL, reply);
	(void)run(c);
}

/* Decides about an accepted connection and has it dialled, or resets it. */
static void take(struct relay *r, int *fd)
{
	struct sockaddr_storage dst;
	struct relay_conn *c;
	struct net_decision d;
	struct target t;
	int on = 1;

	if (r->config.ops->tcp_destination(*fd, &dst, r->config.ops_data) < 0) {
		reset_fd(fd);
		return;
	}
	d = relay_target(r, NET_PROTO_TCP, &dst, &t);
	if (d.reason != NET_ALLOWED) {
		reset_fd(fd);
		relay_tell(r, RELAY_DENIED, &t, &d, NULL);
		return;
	}
	c = calloc(1, sizeof(*c));
	if (!c) {
		reset_fd(fd);
		return;
	}
	(void)setsockopt(*fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	c->relay = r;
	c->target = t;
	c->active_ms = io_now_ms();
	c->sides[METER_UP] = (struct side){.conn = c, .fd = take_fd(fd)};
	c->sides[METER_DOWN] = (struct side){.conn = c, .fd = -1};
	half_init(&c->halves[METER_UP]);
	half_init(&c->halves[METER_DOWN]);
	link_last(c);
	r->stats.connections++;
	if (relay_dial(r, &c->target, on_dialed, c, &c->dial_id) < 0) {
		conn_free(c, true);
		return;
	}
	c->dialing = true;
	if (update_side(c, METER_UP) < 0)
		conn_free(c, true);
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
		bool waited = c->halves[METER_UP].throttled || c->halves[METER_DOWN].throttled;

		c->halves[METER_UP].throttled = c->halves[METER_DOWN].throttled = false;
		if (waited && run(c)) {
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

		next = c->next;
		if (now >= c->active_ms + 1000) {
			half_rest(r, &c->halves[METER_UP]);
			half_rest(r, &c->halves[METER_DOWN]);
		}
		if (now < c->active_ms + limit)
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
