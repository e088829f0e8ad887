/* SPDX-License-Identifier: GPL-3.0-or-later */
/* DNS over UDP and TCP in the loop; all memory is there from the start. */
#include "dns-server.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/io.h"

#define TTL_S	  30
#define UDP_BATCH 64 /* datagrams in one turn of the loop */

/* A TCP connection: `in` collects framed questions, `out` is at most one framed answer. */
struct conn {
	struct dns_server *server;
	struct loop_source *source; /* NULL: free */
	int fd;
	uint64_t deadline;
	size_t in_len;
	size_t out_len, out_done;
	uint8_t in[2 + DNS_QUERY_MAX];
	uint8_t out[2 + DNS_ANSWER_MAX];
};

struct dns_server {
	struct loop *loop;
	struct dns_server_config config;
	struct loop_source *udp, *tcp, *timer;
	struct conn conns[DNS_TCP_CONNECTIONS_MAX];
};

/* True if `name` is _service._proto.HOST and HOST is allowed: apt and others ask for SRV so. */
static bool is_service_of_allowed(const struct dns_server_config *c, const char *name)
{
	struct net_query q = {.phase = c->phase, .any_service = true};

	while (*name == '_') {
		name = strchr(name, '.');
		if (!name)
			return false;
		name++;
		q.name = name;
	}
	return q.name && net_decide(c->rules, c->n_rules, &q).reason == NET_ALLOWED;
}

/* Questions that name no place to go to: resolvers ask them by themselves. */
static bool is_noise(const struct dns_server_config *c, const struct dns_query *q)
{
	char name[NET_NAME_SIZE];

	if (q->type == DNS_TYPE_PTR || strcmp(q->name, ".") == 0)
		return true;
	if (net_name_fold(q->name, strlen(q->name), name) < 0)
		return false;
	return strcmp(name, "localhost") == 0 || net_name_below(name, "localhost") ||
	       net_name_below(name, "local") || is_service_of_allowed(c, name);
}

struct dns_answer dns_answer(const struct dns_server_config *c, const struct dns_query *q,
			     struct dns_event *ret_event)
{
	struct net_query nq = {.phase = c->phase, .name = q->name, .any_service = true};
	struct dns_answer a = {.rcode = DNS_NXDOMAIN, .ttl = TTL_S};
	char name[NET_NAME_SIZE];
	struct net_addr addr;

	*ret_event = (struct dns_event){.name = q->name, .type = q->type};
	ret_event->decision = net_decide(c->rules, c->n_rules, &nq);
	if (q->class != DNS_CLASS_IN || q->type == DNS_TYPE_AXFR || q->type == DNS_TYPE_IXFR) {
		a.rcode = DNS_REFUSED;
		return a;
	}
	if (ret_event->decision.reason != NET_ALLOWED) {
		ret_event->noise = is_noise(c, q);
		return a;
	}
	a.rcode = DNS_NOERROR;
	if (q->type != DNS_TYPE_A)
		return a;
	if (net_name_fold(q->name, strlen(q->name), name) < 0 ||
	    net_synth_get(c->synth, name, &addr) < 0) {
		ret_event->full = true;
		a.rcode = DNS_SERVFAIL;
		return a;
	}
	a.has_address = true;
	memcpy(a.address, addr.b, sizeof(a.address));
	return a;
}

/* The length of the answer in `out`, 0 for silence. */
static size_t serve(struct dns_server *s, const uint8_t *msg, size_t len,
		    uint8_t out[DNS_ANSWER_MAX])
{
	struct dns_answer a = {0};
	struct dns_event ev;
	struct dns_query q;

	if (dns_decode(msg, len, &q) < 0)
		return 0;
	if (q.rcode == DNS_NOERROR) {
		a = dns_answer(&s->config, &q, &ev);
		if (s->config.event)
			s->config.event(&ev, s->config.user_data);
	}
	return dns_encode(&q, &a, out, DNS_ANSWER_MAX);
}

static void on_udp(struct loop_source *src, uint32_t events, void *user_data)
{
	struct dns_server *s = user_data;
	uint8_t in[DNS_QUERY_MAX], out[DNS_ANSWER_MAX];

	for (int i = 0; i < UDP_BATCH; i++) {
		struct sockaddr_storage from;
		socklen_t from_len = sizeof(from);
		size_t len;
		ssize_t n = recvfrom(s->config.udp_fd, in, sizeof(in), MSG_DONTWAIT | MSG_TRUNC,
				     (struct sockaddr *)&from, &from_len);

		if (n < 0)
			return; /* nothing left, or an error that concerns one datagram */
		if ((size_t)n > sizeof(in))
			continue;
		len = serve(s, in, (size_t)n, out);
		if (len > 0) /* a full queue loses the answer, as UDP may */
			(void)sendto(s->config.udp_fd, out, len, MSG_DONTWAIT | MSG_NOSIGNAL,
				     (struct sockaddr *)&from, from_len);
	}
}

static void conn_close(struct conn *c)
{
	c->source = loop_remove(c->source);
	fd_close(&c->fd);
}

/* Sends what is in `out`. False when the connection is gone. */
static bool conn_flush(struct conn *c)
{
	while (c->out_done < c->out_len) {
		ssize_t n = send(c->fd, c->out + c->out_done, c->out_len - c->out_done,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return loop_fd_events(c->source, EPOLLOUT) == 0;
		if (n < 0)
			return false;
		c->out_done += (size_t)n;
	}
	c->out_len = c->out_done = 0;
	return true;
}

/* Answers the whole questions in `in`, one at a time. False when the connection is to end. */
static bool conn_answer(struct conn *c)
{
	while (c->out_len == 0 && c->in_len >= 2) {
		size_t len = (size_t)c->in[0] << 8 | c->in[1], n;

		if (len > DNS_QUERY_MAX)
			return false;
		if (c->in_len < len + 2)
			break;
		n = serve(c->server, c->in + 2, len, c->out + 2);
		memmove(c->in, c->in + 2 + len, c->in_len - 2 - len);
		c->in_len -= 2 + len;
		if (n == 0)
			return false; /* what is no query has no place in a stream */
		c->out[0] = (uint8_t)(n >> 8);
		c->out[1] = (uint8_t)n;
		c->out_len = n + 2;
		c->deadline = io_now_ms() + c->server->config.tcp_idle_ms;
		if (!conn_flush(c))
			return false;
	}
	return c->out_len > 0 || loop_fd_events(c->source, EPOLLIN) == 0;
}

static void on_conn(struct loop_source *src, uint32_t events, void *user_data)
{
	struct conn *c = user_data;
	ssize_t n;

	if (c->out_len > 0) {
		if (!conn_flush(c) || (c->out_len == 0 && !conn_answer(c)))
			conn_close(c);
		return;
	}
	n = recv(c->fd, c->in + c->in_len, sizeof(c->in) - c->in_len, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		conn_close(c);
		return;
	}
	c->in_len += (size_t)n;
	if (!conn_answer(c))
		conn_close(c);
}

/* A free place, made by closing the connection that is nearest to its deadline if need be. */
static struct conn *conn_slot(struct dns_server *s)
{
	struct conn *oldest = &s->conns[0];

	for (size_t i = 0; i < DNS_TCP_CONNECTIONS_MAX; i++) {
		if (!s->conns[i].source)
			return &s->conns[i];
		if (s->conns[i].deadline < oldest->deadline)
			oldest = &s->conns[i];
	}
	conn_close(oldest);
	return oldest;
}

static void on_tcp(struct loop_source *src, uint32_t events, void *user_data)
{
	struct dns_server *s = user_data;
	_cleanup_close_ int fd =
		accept4(s->config.tcp_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct conn *c;

	if (fd < 0)
		return;
	c = conn_slot(s);
	c->server = s;
	c->in_len = c->out_len = c->out_done = 0;
	c->deadline = io_now_ms() + s->config.tcp_idle_ms;
	if (loop_add_fd(s->loop, fd, EPOLLIN, on_conn, c, &c->source) == 0)
		c->fd = take_fd(&fd);
}

static void on_timer(struct loop_source *src, void *user_data)
{
	struct dns_server *s = user_data;
	uint64_t now = io_now_ms();

	for (size_t i = 0; i < DNS_TCP_CONNECTIONS_MAX; i++) {
		if (s->conns[i].source && s->conns[i].deadline <= now)
			conn_close(&s->conns[i]);
	}
}

int dns_server_new(struct loop *l, const struct dns_server_config *c, struct dns_server **ret,
		   struct err *e)
{
	struct dns_server *s = calloc(1, sizeof(*s));
	int r = 0;

	if (!s)
		return err_oom(e);
	s->loop = l;
	s->config = *c;
	if (!s->config.tcp_idle_ms)
		s->config.tcp_idle_ms = 10000;
	for (size_t i = 0; i < DNS_TCP_CONNECTIONS_MAX; i++)
		s->conns[i].fd = -1;
	if (c->udp_fd >= 0)
		r = loop_add_fd(l, c->udp_fd, EPOLLIN, on_udp, s, &s->udp);
	if (r == 0 && c->tcp_fd >= 0) {
		r = loop_add_fd(l, c->tcp_fd, EPOLLIN, on_tcp, s, &s->tcp);
		if (r == 0)
			r = loop_add_timer(l, on_timer, s, &s->timer);
		if (r == 0)
			r = loop_timer_set(s->timer, MIN(s->config.tcp_idle_ms, 1000ULL),
					   MIN(s->config.tcp_idle_ms, 1000ULL));
	}
	if (r < 0) {
		(void)dns_server_free(s);
		return err_errno(e, r, "cannot start the DNS server");
	}
	*ret = s;
	return 0;
}

void dns_server_set_phase(struct dns_server *s, enum net_phase phase)
{
	s->config.phase = phase;
}

struct dns_server *dns_server_free(struct dns_server *s)
{
	if (!s)
		return NULL;
	for (size_t i = 0; i < DNS_TCP_CONNECTIONS_MAX; i++)
		conn_close(&s->conns[i]);
	s->udp = loop_remove(s->udp);
	s->tcp = loop_remove(s->tcp);
	s->timer = loop_remove(s->timer);
	free(s);
	return NULL;
}
