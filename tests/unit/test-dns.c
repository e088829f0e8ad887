/* SPDX-License-Identifier: GPL-3.0-or-later */
/* net: DNS messages, and the server over UDP and TCP on loopback. */
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>

#include "base/io.h"
#include "net/dns-server.h"

/* A query under construction; bytes are appended. */
struct msg {
	uint8_t b[DNS_QUERY_MAX + 10];
	size_t len;
};

static void put(struct msg *m, const void *data, size_t n)
{
	ck_assert_uint_le(m->len + n, sizeof(m->b));
	memcpy(m->b + m->len, data, n);
	m->len += n;
}

static void put16(struct msg *m, unsigned v)
{
	uint8_t b[2] = {(uint8_t)(v >> 8), (uint8_t)v};

	put(m, b, 2);
}

static void header(struct msg *m, unsigned id, unsigned flags, unsigned questions,
		   unsigned additionals)
{
	m->len = 0;
	put16(m, id);
	put16(m, flags);
	put16(m, questions);
	put16(m, 0);
	put16(m, 0);
	put16(m, additionals);
}

static void question(struct msg *m, const char *name, unsigned type, unsigned class)
{
	while (*name) {
		size_t n = strcspn(name, ".");
		uint8_t len = (uint8_t)n;

		put(m, &len, 1);
		put(m, name, n);
		name += n + (name[n] == '.');
	}
	put(m, "", 1);
	put16(m, type);
	put16(m, class);
}

static void opt(struct msg *m, unsigned version, unsigned udp_size)
{
	put(m, "", 1);
	put16(m, DNS_TYPE_OPT);
	put16(m, udp_size);
	put16(m, version);
	put16(m, 0x8000); /* DO */
	put16(m, 0);
}

static void query(struct msg *m, const char *name, unsigned type)
{
	header(m, 0x1234, 0x0100, 1, 0);
	question(m, name, type, DNS_CLASS_IN);
}

START_TEST(plain)
{
	static const uint8_t want[] = {0x12, 0x34, 0x81, 0x80, 0,  1, 0, 1,   0,    0,	0, 0, 1,
				       'A',  1,	   'b',	 0,    0,  1, 0, 1,   0xc0, 12, 0, 1, 0,
				       1,    0,	   0,	 0,    30, 0, 4, 198, 18,   0,	7};
	struct dns_answer a = {.has_address = true, .address = {198, 18, 0, 7}, .ttl = 30};
	uint8_t out[DNS_ANSWER_MAX];
	struct dns_query q;
	struct msg m;

	query(&m, "A.b", DNS_TYPE_A);
	ck_assert_int_eq(dns_decode(m.b, m.len, &q), 0);
	ck_assert_int_eq(q.rcode, DNS_NOERROR);
	ck_assert_str_eq(q.name, "A.b");
	ck_assert_uint_eq(q.type, DNS_TYPE_A);
	ck_assert_uint_eq(dns_encode(&q, &a, out, sizeof(out)), sizeof(want));
	ck_assert_mem_eq(out, want, sizeof(want));
	ck_assert_uint_eq(dns_encode(&q, &a, out, sizeof(want) - 1), 0);
	for (size_t i = 0; i < m.len; i++) {
		int r = dns_decode(m.b, i, &q);

		ck_assert_int_eq(r, i < 12 ? -EBADMSG : 0);
		if (r == 0)
			ck_assert_int_eq(q.rcode, DNS_FORMERR);
	}
}
END_TEST

START_TEST(edns)
{
	struct dns_answer a = {.rcode = DNS_NXDOMAIN};
	uint8_t out[DNS_ANSWER_MAX];
	struct dns_query q;
	struct msg m;

	header(&m, 1, 0x0100, 1, 1);
	question(&m, "a", DNS_TYPE_A, 1);
	opt(&m, 0, 65535);
	ck_assert_int_eq(dns_decode(m.b, m.len, &q), 0);
	ck_assert(q.edns && q.rcode == DNS_NOERROR);
	ck_assert_uint_eq(dns_encode(&q, &a, out, sizeof(out)), m.len);
	ck_assert_uint_eq(out[3] & 0xf, DNS_NXDOMAIN);
	ck_assert_uint_eq(out[11], 1);
	header(&m, 1, 0x0100, 1, 1);
	question(&m, "a", DNS_TYPE_A, 1);
	opt(&m, 1, 512);
	ck_assert_int_eq(dns_decode(m.b, m.len, &q), 0);
	ck_assert_int_eq(q.rcode, DNS_BADVERS);
	ck_assert_uint_eq(dns_encode(&q, &a, out, sizeof(out)), m.len);
	ck_assert_uint_eq(out[3] & 0xf, 0);	   /* low four bits of 16 */
	ck_assert_uint_eq(out[12 + 7 + 5], 1);	   /* the high bits are in OPT */
	ck_assert_uint_eq(out[12 + 7 + 5 + 1], 0); /* version 0 */
}
END_TEST

/* What must come of each message: -1 silence, else the rcode. */
static const struct hostile {
	const char *what;
	int rcode;
	size_t len;
	const char *bytes;
} hostile[] = {
#define H(flags, qd, an, ns, ar) "\0\1" flags "\0" qd "\0" an "\0" ns "\0" ar
#define Q			 "\1a\0\0\1\0\1"
#define M(s)			 sizeof(s) - 1, s
	{"empty", -1, M("")},
	{"short header", -1, M("\0\1\0\0\0\1\0\0\0\0\0")},
	{"a response", -1, M(H("\x80\0", "\1", "\0", "\0", "\0") Q)},
	{"header alone", DNS_FORMERR, M(H("\1\0", "\0", "\0", "\0", "\0"))},
	{"no question there", DNS_FORMERR, M(H("\1\0", "\1", "\0", "\0", "\0"))},
	{"two questions", DNS_FORMERR, M(H("\1\0", "\2", "\0", "\0", "\0") Q Q)},
	{"65535 questions", DNS_FORMERR, M("\0\1\1\0\xff\xff\0\0\0\0\0\0" Q)},
	{"an answer", DNS_FORMERR, M(H("\1\0", "\1", "\1", "\0", "\0") Q)},
	{"an authority", DNS_FORMERR, M(H("\1\0", "\1", "\0", "\1", "\0") Q)},
	{"status", DNS_NOTIMP, M(H("\x10\0", "\1", "\0", "\0", "\0") Q)},
	{"update", DNS_NOTIMP, M(H("\x28\0", "\1", "\0", "\0", "\0") Q)},
	{"truncated flag", DNS_FORMERR, M(H("\3\0", "\1", "\0", "\0", "\0") Q)},
	{"garbage behind", DNS_FORMERR, M(H("\1\0", "\1", "\0", "\0", "\0") Q "x")},
	{"pointer to itself", DNS_FORMERR, M(H("\1\0", "\1", "\0", "\0", "\0") "\xc0\x0c\0\1\0\1")},
	{"pointer ahead", DNS_FORMERR, M(H("\1\0", "\1", "\0", "\0", "\0") "\xc0\xff\0\1\0\1")},
	{"label then pointer", DNS_FORMERR,
	 M(H("\1\0", "\1", "\0", "\0", "\0") "\1a\xc0\x0c\0\1\0\1")},
	{"reserved label type", DNS_FORMERR, M(H("\1\0", "\1", "\0", "\0", "\0") "\x40\0\0\1\0\1")},
	{"label beyond the end", DNS_FORMERR,
	 M(H("\1\0", "\1", "\0", "\0", "\0") "\x3f"
					     "abc")},
	{"name without end", DNS_FORMERR, M(H("\1\0", "\1", "\0", "\0", "\0") "\1a\1b")},
	{"no type", DNS_FORMERR, M(H("\1\0", "\1", "\0", "\0", "\0") "\1a\0\0")},
	{"no class", DNS_FORMERR, M(H("\1\0", "\1", "\0", "\0", "\0") "\1a\0\0\1\0")},
	{"additional missing", DNS_FORMERR, M(H("\1\0", "\1", "\0", "\0", "\1") Q)},
	{"255 additionals", DNS_FORMERR, M(H("\1\0", "\1", "\0", "\0", "\xff") Q)},
	{"OPT twice", DNS_FORMERR,
	 M(H("\1\0", "\1", "\0", "\0", "\2") Q "\0\0\x29\2\0\0\0\0\0\0\0"
					       "\0\0\x29\2\0\0\0\0\0\0\0")},
	{"OPT of a name", DNS_FORMERR,
	 M(H("\1\0", "\1", "\0", "\0", "\1") Q "\1a\0\0\x29\2\0\0\0\0\0\0\0")},
	{"OPT data beyond", DNS_FORMERR,
	 M(H("\1\0", "\1", "\0", "\0", "\1") Q "\0\0\x29\2\0\0\0\0\0\xff\xff"
					       "x")},
	{"OPT with a cookie", DNS_NOERROR,
	 M(H("\1\0", "\1", "\0", "\0", "\1") Q "\0\0\x29\2\0\0\0\0\0\0\x0c\0\x0a\0\x08"
					       "12345678")},
	{"TSIG skipped", DNS_NOERROR,
	 M(H("\1\0", "\1", "\0", "\0", "\1") Q "\xc0\x0c\0\xfa\0\xff\0\0\0\0\0\1x")},
	{"NUL in a label", DNS_NOERROR, M(H("\1\0", "\1", "\0", "\0", "\0") "\3a\0b\0\0\1\0\1")},
	{"the root", DNS_NOERROR, M(H("\1\0", "\1", "\0", "\0", "\0") "\0\0\1\0\1")},
#undef H
#undef Q
#undef M
};

START_TEST(hostile_messages)
{
	for (size_t i = 0; i < ARRAY_SIZE(hostile); i++) {
		const struct hostile *h = &hostile[i];
		struct dns_answer a = {.rcode = DNS_NOERROR};
		uint8_t out[DNS_ANSWER_MAX];
		struct dns_query q;
		int r = dns_decode((const uint8_t *)h->bytes, h->len, &q);
		size_t n;

		ck_assert_msg((r < 0 ? -1 : (int)q.rcode) == h->rcode, "%s: %d %d", h->what, r,
			      q.rcode);
		if (r < 0)
			continue;
		n = dns_encode(&q, &a, out, sizeof(out));
		ck_assert_msg(n >= 12 && n <= h->len, "%s", h->what);
		ck_assert_uint_eq(out[3] & 0xf, (unsigned)h->rcode & 0xf);
	}
}
END_TEST

START_TEST(name_texts)
{
	char longest[256], text[16];
	struct dns_query q;
	struct msg m;

	header(&m, 1, 0, 1, 0);
	put(&m, "\5a.\\\x1b\xff\1b\0\0\1\0\1", 13);
	ck_assert_int_eq(dns_decode(m.b, m.len, &q), 0);
	ck_assert_str_eq(q.name, "a\\046\\092\\027\\255.b");
	for (size_t i = 0; i < sizeof(longest); i++)
		longest[i] = i % 2 ? '.' : 'a';
	longest[253] = '\0';
	query(&m, longest, 1); /* 127 labels: 255 bytes */
	ck_assert_int_eq(dns_decode(m.b, m.len, &q), 0);
	ck_assert_int_eq(q.rcode, DNS_NOERROR);
	ck_assert_str_eq(q.name, longest);
	longest[253] = '.';
	longest[254] = 'a';
	longest[255] = '\0';
	query(&m, longest, 1);
	ck_assert_int_eq(dns_decode(m.b, m.len, &q), 0);
	ck_assert_int_eq(q.rcode, DNS_FORMERR);
	/* the longest text: 251 odd bytes */
	header(&m, 1, 0, 1, 0);
	for (unsigned n = 63, i = 0; i < 4; i++, n = i == 3 ? 61 : 63) {
		uint8_t len = (uint8_t)n;

		put(&m, &len, 1);
		while (n--)
			put(&m, "\xff", 1);
	}
	put(&m, "\0\0\1\0\1", 5);
	ck_assert_int_eq(dns_decode(m.b, m.len, &q), 0);
	ck_assert_int_eq(q.rcode, DNS_NOERROR);
	ck_assert_uint_eq(strlen(q.name), 4 * 250 + 3);
	ck_assert_str_eq(dns_type_text(28, text), "AAAA");
	ck_assert_str_eq(dns_type_text(65535, text), "TYPE65535");
}
END_TEST

static const struct net_rule rules[] = {
	{.kind = NET_HOST_NAME,
	 .name = "deb.example.org",
	 .tcp = true,
	 .ports = {{80, 80}},
	 .n_ports = 1,
	 .phases = NET_PHASE_PREPARE},
	{.kind = NET_HOST_SUFFIX,
	 .name = "cdn.example.net",
	 .tcp = true,
	 .ports = {{443, 443}},
	 .n_ports = 1,
	 .phases = NET_PHASE_PREPARE | NET_PHASE_BUILD},
};

static const struct {
	enum net_phase phase;
	const char *name;
	unsigned type, class;
	enum dns_rcode rcode;
	bool address, noise;
} answers[] = {
	{NET_PHASE_PREPARE, "deb.example.org", DNS_TYPE_A, 1, DNS_NOERROR, true, false},
	{NET_PHASE_PREPARE, "DEB.example.ORG", DNS_TYPE_A, 1, DNS_NOERROR, true, false},
	{NET_PHASE_PREPARE, "deb.example.org", DNS_TYPE_AAAA, 1, DNS_NOERROR, false, false},
	{NET_PHASE_PREPARE, "deb.example.org", DNS_TYPE_MX, 1, DNS_NOERROR, false, false},
	{NET_PHASE_PREPARE, "deb.example.org", DNS_TYPE_TXT, 1, DNS_NOERROR, false, false},
	{NET_PHASE_PREPARE, "deb.example.org", DNS_TYPE_ANY, 1, DNS_NOERROR, false, false},
	{NET_PHASE_PREPARE, "deb.example.org", DNS_TYPE_HTTPS, 1, DNS_NOERROR, false, false},
	{NET_PHASE_PREPARE, "deb.example.org", DNS_TYPE_AXFR, 1, DNS_REFUSED, false, false},
	{NET_PHASE_PREPARE, "deb.example.org", DNS_TYPE_A, 3, DNS_REFUSED, false, false},
	{NET_PHASE_PREPARE, "deb.example.org", DNS_TYPE_A, 255, DNS_REFUSED, false, false},
	{NET_PHASE_BUILD, "deb.example.org", DNS_TYPE_A, 1, DNS_NXDOMAIN, false, false},
	{NET_PHASE_BUILD, "x.cdn.example.net", DNS_TYPE_A, 1, DNS_NOERROR, true, false},
	{NET_PHASE_BUILD, "cdn.example.net", DNS_TYPE_A, 1, DNS_NXDOMAIN, false, false},
	{NET_PHASE_BUILD, "evil.example", DNS_TYPE_A, 1, DNS_NXDOMAIN, false, false},
	{NET_PHASE_BUILD, "evil.example", DNS_TYPE_TXT, 1, DNS_NXDOMAIN, false, false},
	{NET_PHASE_BUILD, "c2VjcmV0.evil.example", DNS_TYPE_A, 1, DNS_NXDOMAIN, false, false},
	{NET_PHASE_BUILD, "_x.evil.example", DNS_TYPE_SRV, 1, DNS_NXDOMAIN, false, false},
	{NET_PHASE_BUILD, "1.0.18.198.in-addr.arpa", DNS_TYPE_PTR, 1, DNS_NXDOMAIN, false, true},
	{NET_PHASE_PREPARE, "_http._tcp.deb.example.org", DNS_TYPE_SRV, 1, DNS_NXDOMAIN, false,
	 true},
	{NET_PHASE_BUILD, "localhost", DNS_TYPE_A, 1, DNS_NXDOMAIN, false, true},
	{NET_PHASE_BUILD, "printer.local", DNS_TYPE_A, 1, DNS_NXDOMAIN, false, true},
	{NET_PHASE_BUILD, "", DNS_TYPE_SOA, 1, DNS_NXDOMAIN, false, true},
	{NET_PHASE_BUILD, "a b.cdn.example.net", DNS_TYPE_A, 1, DNS_NXDOMAIN, false, false},
};

START_TEST(answer_table)
{
	struct dns_server_config c = {.rules = rules, .n_rules = ARRAY_SIZE(rules)};

	ck_assert_int_eq(net_synth_new(0xc6120100, 0xc613ffff, &c.synth), 0);
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		struct dns_event ev;
		struct dns_answer a;
		struct dns_query q;
		struct msg m;

		header(&m, 1, 0, 1, 0);
		question(&m, answers[i].name, answers[i].type, answers[i].class);
		ck_assert_int_eq(dns_decode(m.b, m.len, &q), 0);
		c.phase = answers[i].phase;
		a = dns_answer(&c, &q, &ev);
		ck_assert_msg(a.rcode == answers[i].rcode && a.has_address == answers[i].address &&
				      ev.noise == answers[i].noise,
			      "%s type %u: %d %d %d", answers[i].name, answers[i].type, a.rcode,
			      a.has_address, ev.noise);
	}
	net_synth_free(c.synth);
}
END_TEST

/* A server on loopback and its loop, stepped by the test that talks to it. */
struct served {
	struct loop *loop;
	struct dns_server_config config;
	struct dns_server *server;
	struct sockaddr_in addr;
	unsigned events;
	char last[DNS_TEXT_NAME_MAX];
	struct net_decision decision;
};

static void on_event(const struct dns_event *ev, void *user_data)
{
	struct served *s = user_data;

	s->events++;
	s->decision = ev->decision;
	(void)snprintf(s->last, sizeof(s->last), "%s", ev->name);
}

static void served_init(struct served *s, uint64_t idle_ms)
{
	socklen_t len = sizeof(s->addr);
	struct err e = ERR_INIT;

	*s = (struct served){
		.addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
	s->config = (struct dns_server_config){.rules = rules,
					       .n_rules = ARRAY_SIZE(rules),
					       .phase = NET_PHASE_BUILD,
					       .tcp_idle_ms = idle_ms,
					       .event = on_event,
					       .user_data = s};
	ck_assert_int_eq(net_synth_new(0xc6120100, 0xc613ffff, &s->config.synth), 0);
	s->config.tcp_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* the port that is free for one may be somebody's for the other */
	for (int tries = 0;; tries++) {
		s->addr.sin_port = 0;
		s->config.udp_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		ck_assert_int_eq(bind(s->config.udp_fd, (struct sockaddr *)&s->addr, len), 0);
		ck_assert_int_eq(getsockname(s->config.udp_fd, (struct sockaddr *)&s->addr, &len),
				 0);
		if (bind(s->config.tcp_fd, (struct sockaddr *)&s->addr, len) == 0)
			break;
		ck_assert_int_lt(tries, 100);
		close(s->config.udp_fd);
	}
	ck_assert_int_eq(listen(s->config.tcp_fd, 100), 0);
	ck_assert_int_eq(loop_new(&s->loop), 0);
	ck_assert_msg(dns_server_new(s->loop, &s->config, &s->server, &e) == 0, "%s", e.text);
}

static void served_done(struct served *s)
{
	dns_server_free(s->server);
	loop_free(s->loop);
	net_synth_free(s->config.synth);
	close(s->config.udp_fd);
	close(s->config.tcp_fd);
}

/* Steps the loop until fd has something to read, or the end, or 5 s went by. */
static ssize_t receive(struct served *s, int fd, void *data, size_t size)
{
	uint64_t end = io_now_ms() + 5000;

	while (io_now_ms() < end) {
		ssize_t n = recv(fd, data, size, MSG_DONTWAIT);

		if (n >= 0 || (errno != EAGAIN && errno != EINTR))
			return n < 0 ? -errno : n;
		ck_assert_int_eq(loop_step(s->loop, 20), 0);
	}
	return -ETIMEDOUT;
}

static int client(struct served *s, int type)
{
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&s->addr, sizeof(s->addr)), 0);
	return fd;
}

START_TEST(over_udp)
{
	struct served s;
	uint8_t out[1000];
	struct msg m;
	int fd;

	served_init(&s, 0);
	fd = client(&s, SOCK_DGRAM);
	for (size_t i = 0; i < ARRAY_SIZE(hostile); i++)
		(void)send(fd, hostile[i].bytes, hostile[i].len, 0);
	m.len = 0;
	memset(m.b, 0, sizeof(m.b));
	ck_assert_int_eq(send(fd, m.b, sizeof(m.b), 0), sizeof(m.b)); /* too long: no answer */
	for (size_t i = 0; i < ARRAY_SIZE(hostile); i++) {
		if (hostile[i].rcode >= 0)
			ck_assert_int_ge(receive(&s, fd, out, sizeof(out)), 12);
	}
	query(&m, "x.cdn.example.net", DNS_TYPE_A);
	ck_assert_int_eq(send(fd, m.b, m.len, 0), (ssize_t)m.len);
	ck_assert_int_eq(receive(&s, fd, out, sizeof(out)), (ssize_t)m.len + 16);
	ck_assert_mem_eq(out + m.len + 12, "\xc6\x12\1\0", 4);
	query(&m, "evil.example", DNS_TYPE_A);
	ck_assert_int_eq(send(fd, m.b, m.len, 0), (ssize_t)m.len);
	ck_assert_int_eq(receive(&s, fd, out, sizeof(out)), (ssize_t)m.len);
	ck_assert_uint_eq(out[3] & 0xf, DNS_NXDOMAIN);
	ck_assert_str_eq(s.last, "evil.example");
	ck_assert_int_eq(s.decision.reason, NET_DENIED_HOST);
	query(&m, "deb.example.org", DNS_TYPE_A);
	ck_assert_int_eq(send(fd, m.b, m.len, 0), (ssize_t)m.len);
	ck_assert_int_eq(receive(&s, fd, out, sizeof(out)), (ssize_t)m.len);
	ck_assert_int_eq(s.decision.reason, NET_DENIED_PHASE);
	dns_server_set_phase(s.server, NET_PHASE_PREPARE);
	ck_assert_int_eq(send(fd, m.b, m.len, 0), (ssize_t)m.len);
	ck_assert_int_eq(receive(&s, fd, out, sizeof(out)), (ssize_t)m.len + 16);
	close(fd);
	served_done(&s);
}
END_TEST

/* Frames the query for TCP. */
static void frame(struct msg *m)
{
	memmove(m->b + 2, m->b, m->len);
	m->b[0] = (uint8_t)(m->len >> 8);
	m->b[1] = (uint8_t)m->len;
	m->len += 2;
}

START_TEST(over_tcp)
{
	uint8_t in[4000], out[8000];
	struct served s;
	struct msg m;
	size_t got = 0, sent = 0, want;
	int fd;

	served_init(&s, 0);
	fd = client(&s, SOCK_STREAM);
	query(&m, "x.cdn.example.net", DNS_TYPE_A);
	frame(&m);
	/* 50 questions in pieces of 7 bytes */
	for (size_t i = 0; i < 50; i++)
		memcpy(in + i * m.len, m.b, m.len);
	want = 50 * (m.len + 16);
	while (got < want) {
		ssize_t n;

		if (sent < 50 * m.len) {
			n = send(fd, in + sent, MIN(7U, 50 * m.len - sent), 0);
			ck_assert_int_gt(n, 0);
			sent += (size_t)n;
			ck_assert_int_eq(loop_step(s.loop, 0), 0);
			n = recv(fd, out + got, sizeof(out) - got, MSG_DONTWAIT);
		} else {
			n = receive(&s, fd, out + got, sizeof(out) - got);
			ck_assert_int_gt(n, 0);
		}
		got += n > 0 ? (size_t)n : 0;
	}
	ck_assert_uint_eq(got, want);
	ck_assert_uint_eq(s.events, 50);
	close(fd);
	/* what is no query, or claims to be longer than any, ends the connection */
	fd = client(&s, SOCK_STREAM);
	ck_assert_int_eq(send(fd, "\0\3abc", 5, 0), 5);
	ck_assert_int_eq(receive(&s, fd, out, sizeof(out)), 0);
	close(fd);
	fd = client(&s, SOCK_STREAM);
	ck_assert_int_eq(send(fd, "\xff\xff", 2, 0), 2);
	ck_assert_int_eq(receive(&s, fd, out, sizeof(out)), 0);
	close(fd);
	served_done(&s);
}
END_TEST

/* Questions without end from a client that reads nothing: the server stops reading, and lives. */
START_TEST(tcp_flood)
{
	struct served s;
	uint8_t out[1000];
	struct msg m;
	size_t sent = 0;
	int fd, udp, idle = 0;

	served_init(&s, 60000);
	fd = client(&s, SOCK_STREAM);
	query(&m, "x.cdn.example.net", DNS_TYPE_A);
	frame(&m);
	for (unsigned i = 0; idle < 50 && i < 2000000; i++) {
		ssize_t n = send(fd, m.b + sent % m.len, m.len - sent % m.len, MSG_DONTWAIT);

		sent += n > 0 ? (size_t)n : 0;
		idle = n > 0 ? 0 : idle + 1;
		if (n <= 0)
			ck_assert_int_eq(loop_step(s.loop, 0), 0);
	}
	ck_assert_int_eq(idle, 50);
	udp = client(&s, SOCK_DGRAM);
	query(&m, "x.cdn.example.net", DNS_TYPE_A);
	ck_assert_int_eq(send(udp, m.b, m.len, 0), (ssize_t)m.len);
	ck_assert_int_gt(receive(&s, udp, out, sizeof(out)), 0);
	close(udp);
	close(fd);
	served_done(&s);
}
END_TEST

START_TEST(tcp_limits)
{
	int fds[DNS_TCP_CONNECTIONS_MAX + 8], closed = 0;
	struct served s;
	uint8_t out[16];

	served_init(&s, 300);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = client(&s, SOCK_STREAM);
		ck_assert_int_eq(loop_step(s.loop, 1000), 0);
	}
	/* the newest are still open */
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		closed += recv(fds[i], out, sizeof(out), MSG_DONTWAIT) == 0;
	ck_assert_int_eq(closed, 8);
	ck_assert_int_eq(recv(fds[ARRAY_SIZE(fds) - 1], out, sizeof(out), MSG_DONTWAIT), -1);
	/* half a question does not keep a connection beyond its deadline */
	ck_assert_int_eq(send(fds[ARRAY_SIZE(fds) - 1], "\0", 1, 0), 1);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		ck_assert_int_eq(receive(&s, fds[i], out, sizeof(out)), 0);
		close(fds[i]);
	}
	served_done(&s);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("dns");
	TCase *tc = unit_case(s, "codec");

	tcase_add_test(tc, plain);
	tcase_add_test(tc, edns);
	tcase_add_test(tc, hostile_messages);
	tcase_add_test(tc, name_texts);
	tcase_add_test(tc, answer_table);
	tc = unit_case(s, "server");
	tcase_add_test(tc, over_udp);
	tcase_add_test(tc, over_tcp);
	tcase_add_test(tc, tcp_flood);
	tcase_add_test(tc, tcp_limits);
	return s;
}
