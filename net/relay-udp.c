/* SPDX-License-Identifier: GPL-3.0-or-later */
/* UDP through the relay: flows of datagrams between one source and one destination. */
#include <errno.h>
#include <sys/socket.h>

#include "base/io.h"
#include "relay-private.h"

#define BATCH 64 /* datagrams in one turn of the loop */

struct relay_flow {
	struct relay *relay;
	struct relay_flow *next, *prev;
	struct target target;
	struct sockaddr_storage src, dst;
	bool dialing;
	bool throttled;
	uint32_t dial_id;
	uint64_t active_ms;
	int fds[_METER_DIR_MAX]; /* the worker's side and the server's */
	struct loop_source *sources[_METER_DIR_MAX];
	uint8_t *first; /* the datagram that began it, until the dial has ended */
	size_t first_len;
};

static void flow_free(struct relay_flow *f)
{
	struct relay *r = f->relay;

	if (f->dialing)
		r->config.dialer->cancel(r->config.dialer, f->dial_id);
	for (int d = 0; d < _METER_DIR_MAX; d++) {
		f->sources[d] = loop_remove(f->sources[d]);
		fd_close(&f->fds[d]);
	}
	free(f->first);
	if (f->prev)
		f->prev->next = f->next;
	else
		r->flows = f->next;
	if (f->next)
		f->next->prev = f->prev;
	r->stats.flows--;
	free(f);
}

/* Sends one datagram on; a full queue loses it, as UDP may. False: the total is used up. */
static bool pass_on(struct relay_flow *f, enum meter_dir d, const uint8_t *data, size_t len)
{
	struct relay *r = f->relay;

	if (len > meter_left(&r->copier.meter)) {
		relay_over(r);
		return false;
	}
	meter_use(&r->copier.meter, d, len);
	relay_count(r, &f->target, d, len);
	f->active_ms = io_now_ms();
	(void)send(f->fds[!d], data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	return true;
}

static void set_events(struct relay_flow *f, uint32_t events)
{
	for (int d = 0; d < _METER_DIR_MAX; d++) {
		if (f->sources[d])
			(void)loop_fd_events(f->sources[d], events);
	}
}

static void on_datagram(struct relay_flow *f, enum meter_dir d)
{
	struct relay *r = f->relay;

	for (int i = 0; i < BATCH && !r->over; i++) {
		ssize_t n;

		if (meter_left(&r->copier.meter) &&
		    meter_allow(&r->copier.meter, d, 1, io_now_ms()) == 0) {
			f->throttled = true; /* the kernel's queue keeps some, and drops the rest */
			set_events(f, 0);
			relay_wait_refill(r);
			return;
		}
		n = recv(f->fds[d], r->copier.buffer, sizeof(r->copier.buffer), MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		/* an empty datagram is one; but the dialer's end may be gone */
		if (n < 0 || (n == 0 && copy_hung_up(f->fds[d]))) {
			flow_free(f);
			return;
		}
		if (!pass_on(f, d, r->copier.buffer, (size_t)n))
			return;
	}
}

/* An error (port unreachable and the like) says that the other end is not there. */
static void on_worker(struct loop_source *s, uint32_t events, void *user_data)
{
	if (events & EPOLLERR)
		flow_free(user_data);
	else
		on_datagram(user_data, METER_UP);
}

static void on_server(struct loop_source *s, uint32_t events, void *user_data)
{
	if (events & EPOLLERR)
		flow_free(user_data);
	else
		on_datagram(user_data, METER_DOWN);
}

static void on_dialed(const struct dial_reply *reply, int consume_fd, void *user_data)
{
	struct relay_flow *f = user_data;
	struct relay *r = f->relay;

	f->dialing = false;
	f->active_ms = io_now_ms();
	f->fds[METER_DOWN] = consume_fd;
	if (reply->code != DIAL_OK) {
		enum relay_event_type type =
			reply->code == DIAL_DENIED ? RELAY_DENIED : RELAY_FAILED;

		relay_tell(r, type, &f->target, type == RELAY_DENIED ? &reply->decision : NULL,
			   reply);
		flow_free(f);
		return;
	}
	relay_tell(r, RELAY_OPENED, &f->target, NULL, reply);
	if (loop_add_fd(r->loop, f->fds[METER_UP], EPOLLIN, on_worker, f, &f->sources[METER_UP]) <
		    0 ||
	    loop_add_fd(r->loop, f->fds[METER_DOWN], EPOLLIN, on_server, f,
			&f->sources[METER_DOWN]) < 0) {
		flow_free(f);
		return;
	}
	if (pass_on(f, METER_UP, f->first, f->first_len)) {
		free(f->first);
		f->first = NULL;
	}
}

/* The flow that is idle longest makes room for a new one. */
static void make_room(struct relay *r)
{
	struct relay_flow *oldest = r->flows;

	if (r->stats.flows < r->config.flows)
		return;
	for (struct relay_flow *f = r->flows; f; f = f->next) {
		if (f->active_ms <= oldest->active_ms) /* the newest stands first */
			oldest = f;
	}
	flow_free(oldest);
}

static void flow_start(struct relay *r, const struct target *t, const struct sockaddr_storage *src,
		       const struct sockaddr_storage *dst, size_t len)
{
	struct relay_flow *f;

	make_room(r);
	f = calloc(1, sizeof(*f));
	if (!f)
		return;
	f->relay = r;
	f->target = *t;
	f->src = *src;
	f->dst = *dst;
	f->active_ms = io_now_ms();
	f->fds[METER_DOWN] = -1;
	f->fds[METER_UP] = r->config.ops->udp_flow(src, dst, r->config.ops_data);
	f->first = malloc(len + 1);
	f->first_len = len;
	f->next = r->flows;
	if (r->flows)
		r->flows->prev = f;
	r->flows = f;
	r->stats.flows++;
	if (f->fds[METER_UP] < 0 || !f->first ||
	    relay_dial(r, t, -1, on_dialed, NULL, f, &f->dial_id) < 0) {
		flow_free(f);
		return;
	}
	memcpy(f->first, r->copier.buffer, len);
	f->dialing = true;
}

static struct relay_flow *find(struct relay *r, const struct sockaddr_storage *src,
			       const struct sockaddr_storage *dst)
{
	for (struct relay_flow *f = r->flows; f; f = f->next) {
		if (memcmp(&f->src, src, sizeof(*src)) == 0 &&
		    memcmp(&f->dst, dst, sizeof(*dst)) == 0)
			return f;
	}
	return NULL;
}

void relay_udp_listen(struct loop_source *s, uint32_t events, void *user_data)
{
	const struct listener *l = user_data;
	struct relay *r = l->relay;

	for (int i = 0; i < BATCH && !r->over; i++) {
		struct sockaddr_storage src, dst;
		struct net_decision d;
		struct relay_flow *f;
		struct target t;
		ssize_t n = r->config.ops->udp_receive(l->fd, r->copier.buffer,
						       sizeof(r->copier.buffer), &src, &dst,
						       r->config.ops_data);

		if (n < 0)
			return;
		f = find(r, &src, &dst);
		if (f) { /* came before the flow's own socket was there */
			if (!f->dialing)
				(void)pass_on(f, METER_UP, r->copier.buffer, (size_t)n);
			continue;
		}
		d = relay_target(r, NET_PROTO_UDP, &dst, &t);
		if (d.reason == NET_ALLOWED)
			flow_start(r, &t, &src, &dst, (size_t)n);
		else
			relay_tell(r, RELAY_DENIED, &t, &d, NULL);
	}
}

void relay_udp_refill(struct relay *r)
{
	for (struct relay_flow *f = r->flows; f; f = f->next) {
		if (!f->throttled)
			continue;
		f->throttled = false;
		set_events(f, EPOLLIN);
	}
}

void relay_udp_deadlines(struct relay *r, uint64_t now)
{
	struct dial_reply late = {.code = DIAL_TIMEOUT, .error = ETIMEDOUT};
	struct relay_flow *next;

	for (struct relay_flow *f = r->flows; f; f = next) {
		uint64_t limit = f->dialing ? r->config.connect_ms : r->config.udp_idle_ms;

		next = f->next;
		if (now < f->active_ms + limit)
			continue;
		if (f->dialing)
			relay_tell(r, RELAY_FAILED, &f->target, NULL, &late);
		flow_free(f);
	}
}

/* What is sent after the phase begins a flow anew, and is then denied and told. */
void relay_udp_phase(struct relay *r)
{
	struct relay_flow *next;

	for (struct relay_flow *f = r->flows; f; f = next) {
		next = f->next;
		if (relay_decide(r, &f->target).reason != NET_ALLOWED)
			flow_free(f);
	}
}

void relay_udp_end_all(struct relay *r)
{
	while (r->flows)
		flow_free(r->flows);
}
