/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The relay as a whole: decisions, events, counts, timers, the change of phase and the end. */
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>

#include "base/io.h"
#include "relay-private.h"

#define REFILL_MS    10
#define FDS_RESERVED (64 + 2 * COPY_PIPES_MAX) /* pipes, and all that is not the relay's */

struct net_query relay_event_query(const struct relay_event *ev)
{
	return (struct net_query){.phase = ev->phase,
				  .name = ev->name,
				  .addr = ev->has_addr ? &ev->addr : NULL,
				  .port = ev->port,
				  .proto = ev->proto,
				  .own = ev->decision.reason == NET_DENIED_OWN};
}

struct net_decision relay_decide(struct relay *r, struct target *t)
{
	struct net_query q = {.phase = r->config.phase,
			      .name = t->name,
			      .addr = t->name ? NULL : &t->addr,
			      .port = t->port,
			      .proto = t->proto};
	struct net_decision d = {.reason = NET_DENIED_HOST, .rule = -1};

	/* a synthetic address that nobody was given is no address at all, whatever a rule says */
	if (t->name || !net_synth_contains(r->config.synth, &t->addr))
		d = net_decide(r->config.rules, r->config.n_rules, &q);
	if (d.reason == NET_ALLOWED)
		t->rule = d.rule;
	return d;
}

struct net_decision relay_target(struct relay *r, enum net_proto proto,
				 const struct sockaddr_storage *dst, struct target *ret)
{
	*ret = (struct target){.proto = proto, .rule = -1};
	if (net_addr_from_sockaddr(dst, &ret->addr, &ret->port) < 0)
		return (struct net_decision){.reason = NET_DENIED_HOST, .rule = -1};
	ret->name = net_synth_name(r->config.synth, &ret->addr);
	return relay_decide(r, ret);
}

void relay_tell(struct relay *r, enum relay_event_type type, const struct target *t,
		const struct net_decision *d, const struct dial_reply *reply)
{
	struct relay_event ev = {.type = type, .decision.rule = -1};

	if (t) {
		ev.phase = r->config.phase;
		ev.proto = t->proto;
		ev.port = t->port;
		ev.name = t->name;
		ev.addr = t->addr;
		ev.has_addr = !t->name;
		ev.decision.rule = t->rule;
	}
	if (d)
		ev.decision = *d;
	if (ev.decision.rule >= (int)r->config.n_rules)
		ev.decision.rule = -1; /* the dialer's rules are not the relay's */
	if (reply) {
		ev.code = reply->code;
		ev.error = reply->error;
		if (reply->has_addr) {
			ev.addr = reply->addr;
			ev.has_addr = true;
		}
	}
	r->stats.opened += type == RELAY_OPENED;
	r->stats.denied += type == RELAY_DENIED;
	r->stats.failed += type == RELAY_FAILED;
	if (type == RELAY_OPENED && t && t->rule >= 0)
		r->rule_stats[t->rule].connections++;
	if (r->config.event)
		r->config.event(&ev, r->config.user_data);
}

int relay_dial(struct relay *r, const struct target *t, int consume_fd, dial_done_fn done,
	       dial_passed_fn passed, void *user_data, uint32_t *ret_id)
{
	struct dial_client *dc = r->config.dialer;
	struct dial_request rq = {.phase = r->config.phase, .proto = t->proto, .port = t->port};
	struct dial_reply reply = {.code = DIAL_BUSY};
	int rc;

	if (t->name)
		(void)snprintf(rq.name, sizeof(rq.name), "%s", t->name);
	else
		rq.addr = t->addr;
	rc = passed ? dc->pass(dc, &rq, consume_fd, done, passed, user_data, ret_id)
		    : dc->dial(dc, &rq, done, user_data, ret_id);
	if (rc < 0) {
		if (rc == -EPIPE)
			reply.code = DIAL_GONE;
		relay_tell(r, RELAY_FAILED, t, NULL, &reply);
	}
	return rc;
}

void relay_count(struct relay *r, const struct target *t, enum meter_dir dir, uint64_t n)
{
	if (t->rule >= 0)
		r->rule_stats[t->rule].bytes[dir] += n;
}

void relay_wait_refill(struct relay *r)
{
	if (r->refilling)
		return;
	r->refilling = true;
	(void)loop_timer_set(r->refill, REFILL_MS, REFILL_MS);
}

static void on_refill(struct loop_source *s, void *user_data)
{
	struct relay *r = user_data;

	/* whoever still finds the bucket empty asks for the next turn */
	r->refilling = false;
	relay_tcp_refill(r);
	relay_udp_refill(r);
	if (!r->refilling)
		(void)loop_timer_set(r->refill, UINT64_MAX, 0);
}

static void on_second(struct loop_source *s, void *user_data)
{
	struct relay *r = user_data;
	uint64_t now = io_now_ms();

	if (r->over) { /* told when it happened; ended here, where nobody is amid a connection */
		relay_tcp_reset_all(r);
		relay_udp_end_all(r);
		(void)loop_timer_set(r->second, 1000, 1000);
		return;
	}
	relay_tcp_deadlines(r, now);
	relay_udp_deadlines(r, now);
}

void relay_over(struct relay *r)
{
	if (r->over)
		return;
	r->over = true;
	(void)loop_timer_set(r->second, 0, 1000);
	for (int i = 0; i < _LISTEN_MAX; i++) {
		if (r->listeners[i].source)
			(void)loop_fd_events(r->listeners[i].source, 0);
	}
	relay_tell(r, RELAY_OVER, NULL, NULL, NULL);
}

void relay_set_phase(struct relay *r, enum net_phase phase)
{
	if (phase == r->config.phase)
		return;
	r->config.phase = phase;
	relay_tcp_phase(r);
	relay_udp_phase(r);
}

void relay_get_stats(const struct relay *r, struct relay_stats *ret)
{
	*ret = r->stats;
	for (int d = 0; d < _METER_DIR_MAX; d++)
		ret->bytes[d] = r->copier.meter.used[d];
}

const struct relay_rule_stats *relay_rule_stats(const struct relay *r, size_t i)
{
	return &r->rule_stats[i];
}

/* Two descriptors for each connection and flow. */
static void fit_limits(struct relay_config *c)
{
	struct rlimit rl;
	size_t room;

	if (!c->connections || c->connections > RELAY_CONNECTIONS_MAX)
		c->connections = RELAY_CONNECTIONS_MAX;
	if (!c->flows || c->flows > RELAY_FLOWS_MAX)
		c->flows = RELAY_FLOWS_MAX;
	if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
		return;
	rl.rlim_cur = rl.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &rl);
	room = rl.rlim_cur > FDS_RESERVED + 32 ? (size_t)rl.rlim_cur - FDS_RESERVED : 32;
	while (2 * (c->connections + c->flows) > room && c->connections + c->flows > 2) {
		c->connections = MAX(c->connections * 3 / 4, 1U);
		c->flows = MAX(c->flows * 3 / 4, 1U);
	}
}

static int relay_start(struct relay *r)
{
	const struct relay_config *c = &r->config;
	const int fds[_LISTEN_MAX] = {c->tcp_fd, c->tcp6_fd, c->udp_fd, c->udp6_fd};
	int rc = loop_add_timer(r->loop, on_second, r, &r->second);

	if (rc == 0)
		rc = loop_timer_set(r->second, 1000, 1000);
	if (rc == 0)
		rc = loop_add_timer(r->loop, on_refill, r, &r->refill);
	for (int i = 0; i < _LISTEN_MAX && rc == 0; i++) {
		struct listener *l = &r->listeners[i];

		*l = (struct listener){.relay = r, .fd = fds[i]};
		if (l->fd >= 0)
			rc = loop_add_fd(r->loop, l->fd, EPOLLIN,
					 i < LISTEN_UDP ? relay_tcp_accept : relay_udp_listen, l,
					 &l->source);
	}
	return rc;
}

int relay_new(struct loop *l, const struct relay_config *c, struct relay **ret, struct err *e)
{
	struct relay *r = calloc(1, sizeof(*r));
	int rc;

	if (!r)
		return err_oom(e);
	r->loop = l;
	r->config = *c;
	if (!r->config.ops)
		r->config.ops = &relay_tproxy;
	if (!r->config.connect_ms)
		r->config.connect_ms = 30000;
	if (!r->config.idle_ms)
		r->config.idle_ms = 900000;
	if (!r->config.udp_idle_ms)
		r->config.udp_idle_ms = 60000;
	fit_limits(&r->config);
	(void)signal(SIGPIPE, SIG_IGN); /* splice knows no MSG_NOSIGNAL */
	meter_init(&r->copier.meter, c->rate, c->total, io_now_ms());
	r->rule_stats = calloc(c->n_rules + 1, sizeof(*r->rule_stats));
	rc = r->rule_stats ? relay_start(r) : -ENOMEM;
	if (rc < 0) {
		(void)relay_free(r);
		return err_errno(e, rc, "cannot start the relay");
	}
	*ret = r;
	return 0;
}

struct relay *relay_free(struct relay *r)
{
	if (!r)
		return NULL;
	relay_tcp_reset_all(r);
	relay_udp_end_all(r);
	for (int i = 0; i < _LISTEN_MAX; i++)
		r->listeners[i].source = loop_remove(r->listeners[i].source);
	r->second = loop_remove(r->second);
	r->refill = loop_remove(r->refill);
	free(r->rule_stats);
	free(r);
	return NULL;
}
