/* SPDX-License-Identifier: GPL-3.0-or-later */
/* net: addresses, names, the decision about a connection, synthetic addresses. */
#include "unit.h"

#include <errno.h>

#include "net/own.h"
#include "net/policy.h"
#include "net/synth.h"

static const struct {
	const char *addr;
	enum net_addr_class class;
} class_cases[] = {
	{"8.8.8.8", NET_ADDR_GLOBAL},
	{"0.0.0.0", NET_ADDR_UNSPECIFIED},
	{"0.1.2.3", NET_ADDR_UNSPECIFIED},
	{"1.0.0.0", NET_ADDR_GLOBAL},
	{"9.255.255.255", NET_ADDR_GLOBAL},
	{"10.0.0.0", NET_ADDR_PRIVATE},
	{"10.255.255.255", NET_ADDR_PRIVATE},
	{"11.0.0.0", NET_ADDR_GLOBAL},
	{"100.63.255.255", NET_ADDR_GLOBAL},
	{"100.64.0.0", NET_ADDR_PRIVATE},
	{"100.127.255.255", NET_ADDR_PRIVATE},
	{"100.128.0.0", NET_ADDR_GLOBAL},
	{"100.100.100.200", NET_ADDR_METADATA},
	{"126.255.255.255", NET_ADDR_GLOBAL},
	{"127.0.0.1", NET_ADDR_LOOPBACK},
	{"127.255.255.255", NET_ADDR_LOOPBACK},
	{"128.0.0.0", NET_ADDR_GLOBAL},
	{"168.63.129.15", NET_ADDR_GLOBAL},
	{"168.63.129.16", NET_ADDR_METADATA},
	{"169.253.255.255", NET_ADDR_GLOBAL},
	{"169.254.0.1", NET_ADDR_LINK_LOCAL},
	{"169.254.169.254", NET_ADDR_METADATA},
	{"169.254.170.2", NET_ADDR_METADATA},
	{"169.255.0.0", NET_ADDR_GLOBAL},
	{"172.15.255.255", NET_ADDR_GLOBAL},
	{"172.16.0.0", NET_ADDR_PRIVATE},
	{"172.31.255.255", NET_ADDR_PRIVATE},
	{"172.32.0.0", NET_ADDR_GLOBAL},
	{"192.0.0.1", NET_ADDR_RESERVED},
	{"192.0.0.192", NET_ADDR_METADATA},
	{"192.0.1.0", NET_ADDR_GLOBAL},
	{"192.0.2.1", NET_ADDR_TEST},
	{"192.88.99.1", NET_ADDR_RESERVED},
	{"192.167.255.255", NET_ADDR_GLOBAL},
	{"192.168.0.0", NET_ADDR_PRIVATE},
	{"192.169.0.0", NET_ADDR_GLOBAL},
	{"198.17.255.255", NET_ADDR_GLOBAL},
	{"198.18.0.0", NET_ADDR_TEST},
	{"198.19.255.255", NET_ADDR_TEST},
	{"198.20.0.0", NET_ADDR_GLOBAL},
	{"198.51.100.7", NET_ADDR_TEST},
	{"203.0.113.7", NET_ADDR_TEST},
	{"223.255.255.255", NET_ADDR_GLOBAL},
	{"224.0.0.1", NET_ADDR_MULTICAST},
	{"239.255.255.250", NET_ADDR_MULTICAST},
	{"240.0.0.0", NET_ADDR_RESERVED},
	{"255.255.255.254", NET_ADDR_RESERVED},
	{"255.255.255.255", NET_ADDR_BROADCAST},
	{"::", NET_ADDR_UNSPECIFIED},
	{"::1", NET_ADDR_LOOPBACK},
	{"::2", NET_ADDR_RESERVED},
	{"::127.0.0.1", NET_ADDR_RESERVED},
	{"::8.8.8.8", NET_ADDR_RESERVED},
	{"::ffff:127.0.0.1", NET_ADDR_LOOPBACK},
	{"::ffff:10.1.2.3", NET_ADDR_PRIVATE},
	{"::ffff:169.254.169.254", NET_ADDR_METADATA},
	{"::ffff:0.0.0.0", NET_ADDR_UNSPECIFIED},
	{"::ffff:8.8.8.8", NET_ADDR_GLOBAL},
	{"::ffff:0:192.168.1.1", NET_ADDR_PRIVATE},
	{"::ffff:0:8.8.8.8", NET_ADDR_GLOBAL},
	{"64:ff9b::127.0.0.1", NET_ADDR_LOOPBACK},
	{"64:ff9b::169.254.169.254", NET_ADDR_METADATA},
	{"64:ff9b::8.8.8.8", NET_ADDR_GLOBAL},
	{"64:ff9b::1:808:808", NET_ADDR_RESERVED},
	{"64:ff9b:1::8.8.8.8", NET_ADDR_PRIVATE},
	{"2002:7f00:1::", NET_ADDR_LOOPBACK},
	{"2002:a00:1::1", NET_ADDR_PRIVATE},
	{"2002:808:808::1", NET_ADDR_GLOBAL},
	{"2001::1", NET_ADDR_RESERVED},
	{"2001:0:4136:e378:8000:63bf:3fff:fdd2", NET_ADDR_RESERVED},
	{"2001:2::1", NET_ADDR_TEST},
	{"2001:20::1", NET_ADDR_RESERVED},
	{"2001:200::1", NET_ADDR_GLOBAL},
	{"2001:db8::1", NET_ADDR_TEST},
	{"2001:4860:4860::8888", NET_ADDR_GLOBAL},
	{"3fff::1", NET_ADDR_TEST},
	{"3fff:1000::1", NET_ADDR_GLOBAL},
	{"4000::1", NET_ADDR_RESERVED},
	{"5f00::1", NET_ADDR_RESERVED},
	{"100::1", NET_ADDR_RESERVED},
	{"fbff::1", NET_ADDR_RESERVED},
	{"fc00::1", NET_ADDR_PRIVATE},
	{"fd00:ec2::254", NET_ADDR_METADATA},
	{"fd00:ec2::253", NET_ADDR_PRIVATE},
	{"fd20:ce::254", NET_ADDR_METADATA},
	{"fd00:42::42", NET_ADDR_METADATA},
	{"fdff::1", NET_ADDR_PRIVATE},
	{"fe80::1", NET_ADDR_LINK_LOCAL},
	{"febf::1", NET_ADDR_LINK_LOCAL},
	{"fec0::1", NET_ADDR_PRIVATE},
	{"ff02::1", NET_ADDR_MULTICAST},
};

START_TEST(classes)
{
	for (size_t i = 0; i < ARRAY_SIZE(class_cases); i++) {
		struct net_addr a;

		ck_assert_msg(net_addr_parse(class_cases[i].addr, &a) == 0, "%s",
			      class_cases[i].addr);
		ck_assert_msg(net_addr_classify(&a) == class_cases[i].class, "%s is %s",
			      class_cases[i].addr, net_addr_class_text(net_addr_classify(&a)));
	}
}
END_TEST

START_TEST(addresses)
{
	static const char *const bad[] = {"",	     "1.2.3", "01.2.3.4", "1.2.3.4/8",
					  "0x7f.1",  "127.1", "1.2.3.4 ", "fe80::1%lo",
					  "::1/128", "x",     "256.1.1.1"};
	struct sockaddr_storage ss;
	char text[NET_ADDR_TEXT_MAX];
	struct net_addr a, b;
	uint16_t port;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(net_addr_parse(bad[i], &a) == -EINVAL, "%s", bad[i]);
	ck_assert_int_eq(net_addr_parse("::ffff:1.2.3.4", &a), 0);
	ck_assert_uint_eq(net_addr_to_sockaddr(&a, 80, &ss), sizeof(struct sockaddr_in6));
	ck_assert_int_eq(net_addr_from_sockaddr(&ss, &b, &port), 0);
	ck_assert_uint_eq(port, 80);
	ck_assert_str_eq(net_addr_format(&b, text), "1.2.3.4");
	a = net_addr_ip4(0x01020304);
	ck_assert_mem_eq(&a, &b, sizeof(a));
	ck_assert_uint_eq(net_addr_to_sockaddr(&a, 80, &ss), sizeof(struct sockaddr_in));
	ck_assert_int_eq(net_addr_from_sockaddr(&ss, &b, NULL), 0);
	ck_assert_mem_eq(&a, &b, sizeof(a));
	ss.ss_family = AF_UNIX;
	ck_assert_int_eq(net_addr_from_sockaddr(&ss, &b, NULL), -EAFNOSUPPORT);
}
END_TEST

START_TEST(prefixes)
{
	static const struct {
		const char *addr, *prefix;
		unsigned len;
		bool in;
	} t[] = {
		{"10.1.2.3", "10.0.0.0", 8, true},	 {"11.1.2.3", "10.0.0.0", 8, false},
		{"10.1.2.3", "10.1.2.2", 31, true},	 {"10.1.2.4", "10.1.2.2", 31, false},
		{"10.1.2.3", "10.1.2.3", 32, true},	 {"10.1.2.3", "0.0.0.0", 0, true},
		{"10.1.2.3", "10.1.2.3", 33, false},	 {"10.1.2.3", "::", 0, false},
		{"2001:db8::1", "2001:db8::", 32, true}, {"2001:db9::1", "2001:db8::", 32, false},
		{"2001:db9::1", "2001:db8::", 31, true}, {"::1", "0.0.0.0", 0, false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct net_addr a, p;

		ck_assert_int_eq(net_addr_parse(t[i].addr, &a), 0);
		ck_assert_int_eq(net_addr_parse(t[i].prefix, &p), 0);
		ck_assert_msg(net_addr_in_prefix(&a, &p, t[i].len) == t[i].in, "%s in %s/%u",
			      t[i].addr, t[i].prefix, t[i].len);
	}
}
END_TEST

#define L63 "a23456789012345678901234567890123456789012345678901234567890123"

START_TEST(names)
{
	static const struct {
		const char *in, *out;
		int r;
	} t[] = {
		{"example.org", "example.org", 0},
		{"EXAMPLE.Org.", "example.org", 0},
		{"a", "a", 0},
		{"xn--bcher-kva.example", "xn--bcher-kva.example", 0},
		{"_dns.example", "_dns.example", 0},
		{"1.example", "1.example", 0},
		{"3com", "3com", 0},
		{L63 ".org", L63 ".org", 0},
		{L63 "a.org", NULL, -ENAMETOOLONG},
		{"", NULL, -EINVAL},
		{".", NULL, -EINVAL},
		{"..", NULL, -EINVAL},
		{".org", NULL, -EINVAL},
		{"a..b", NULL, -EINVAL},
		{"a.b..", NULL, -EINVAL},
		{"-a.org", NULL, -EINVAL},
		{"a-.org", NULL, -EINVAL},
		{"a b", NULL, -EINVAL},
		{"*.org", NULL, -EINVAL},
		{"a/b", NULL, -EINVAL},
		{"a:80", NULL, -EINVAL},
		{"b\xc3\xbc"
		 "cher.example",
		 NULL, -EINVAL},
		{"\xc4\xb0.example", NULL, -EINVAL},
		{"127.0.0.1", NULL, -EINVAL},
		{"2130706433", NULL, -EINVAL},
		{"0x7f000001", NULL, -EINVAL},
		{"a.0x", NULL, -EINVAL},
		{"a.0x7g", "a.0x7g", 0},
		{"::1", NULL, -EINVAL},
	};
	char name[NET_NAME_SIZE], longest[300];

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		ck_assert_msg(net_name_fold(t[i].in, strlen(t[i].in), name) == t[i].r, "%s",
			      t[i].in);
		if (t[i].out)
			ck_assert_str_eq(name, t[i].out);
	}
	ck_assert_int_eq(net_name_fold("a\0b", 3, name), -EINVAL);
	for (size_t i = 0; i < sizeof(longest); i++)
		longest[i] = i % 2 ? '.' : 'a';
	ck_assert_int_eq(net_name_fold(longest, 253, name), 0);
	ck_assert_uint_eq(strlen(name), 253);
	ck_assert_int_eq(net_name_fold(longest, 254, name), 0); /* with its final dot */
	ck_assert_int_eq(net_name_fold(longest, 255, name), -ENAMETOOLONG);
	ck_assert(net_name_below("a.example.org", "example.org"));
	ck_assert(net_name_below("b.a.example.org", "example.org"));
	ck_assert(!net_name_below("example.org", "example.org"));
	ck_assert(!net_name_below("badexample.org", "example.org"));
	ck_assert(!net_name_below("example.org.evil", "example.org"));
	ck_assert(!net_name_below("a", ""));
}
END_TEST

/* The rules that the table below is asked of. */
static const struct net_rule rules[] = {
	{.kind = NET_HOST_NAME,
	 .name = "deb.example.org",
	 .tcp = true,
	 .ports = {{80, 80}},
	 .n_ports = 1,
	 .phases = NET_PHASE_PREPARE,
	 .line = 1},
	{.kind = NET_HOST_SUFFIX,
	 .name = "cdn.example.net",
	 .tcp = true,
	 .ports = {{443, 443}, {8000, 8080}},
	 .n_ports = 2,
	 .phases = NET_PHASE_PREPARE | NET_PHASE_BUILD,
	 .line = 2},
	{.kind = NET_HOST_NAME,
	 .name = "intern.example.org",
	 .tcp = true,
	 .udp = true,
	 .ports = {{1, 65535}},
	 .n_ports = 1,
	 .phases = NET_PHASE_BUILD,
	 .private_ok = true,
	 .line = 3},
	{.kind = NET_HOST_IP4,
	 .addr.s6_addr = {192, 0, 1},
	 .prefix_len = 24,
	 .udp = true,
	 .ports = {{53, 53}},
	 .n_ports = 1,
	 .phases = NET_PHASE_BUILD,
	 .line = 4},
	{.kind = NET_HOST_IP6,
	 .addr.s6_addr = {0x20, 0x01, 0x48, 0x60},
	 .prefix_len = 32,
	 .tcp = true,
	 .ports = {{443, 443}},
	 .n_ports = 1,
	 .phases = NET_PHASE_BUILD,
	 .line = 5},
	{.kind = NET_HOST_IP4,
	 .addr.s6_addr = {10},
	 .prefix_len = 8,
	 .tcp = true,
	 .ports = {{22, 22}},
	 .n_ports = 1,
	 .phases = NET_PHASE_BUILD,
	 .line = 6},
	{.kind = NET_HOST_IP4,
	 .addr.s6_addr = {10, 9},
	 .prefix_len = 16,
	 .tcp = true,
	 .ports = {{22, 22}},
	 .n_ports = 1,
	 .phases = NET_PHASE_BUILD,
	 .private_ok = true,
	 .line = 7},
	{.kind = NET_HOST_IP4,
	 .prefix_len = 0,
	 .tcp = true,
	 .ports = {{9999, 9999}},
	 .n_ports = 1,
	 .phases = NET_PHASE_BUILD,
	 .private_ok = true},
	{.kind = NET_HOST_NAME,
	 .name = "deb.example.org",
	 .udp = true,
	 .ports = {{80, 80}},
	 .n_ports = 1,
	 .phases = NET_PHASE_BUILD,
	 .line = 9},
};

#define P NET_PHASE_PREPARE
#define B NET_PHASE_BUILD
#define T NET_PROTO_TCP
#define U NET_PROTO_UDP

struct policy_case {
	enum net_phase phase;
	const char *name, *addr;
	uint16_t port;
	enum net_proto proto;
	bool any, own;
	enum net_reason reason;
	int rule;
};

static const struct policy_case cases[] = {
	{P, "deb.example.org", NULL, 80, T, false, false, NET_ALLOWED, 0},
	{P, "DEB.Example.ORG.", NULL, 80, T, false, false, NET_ALLOWED, 0},
	{P, "deb.example.org", "151.101.2.132", 80, T, false, false, NET_ALLOWED, 0},
	{P, "deb.example.org", "2a04:4e42::644", 80, T, false, false, NET_ALLOWED, 0},
	{B, "deb.example.org", NULL, 80, T, false, false, NET_DENIED_PHASE, 0},
	{B, "deb.example.org", NULL, 80, U, false, false, NET_ALLOWED, 8},
	{P, "deb.example.org", NULL, 80, U, false, false, NET_DENIED_PHASE, 8},
	{P, "deb.example.org", NULL, 81, T, false, false, NET_DENIED_PORT, 0},
	{P, "deb.example.org", NULL, 0, T, false, false, NET_DENIED_PORT, 0},
	{P, "www.deb.example.org", NULL, 80, T, false, false, NET_DENIED_HOST, -1},
	{P, "example.org", NULL, 80, T, false, false, NET_DENIED_HOST, -1},
	{P, "deb.example.orgx", NULL, 80, T, false, false, NET_DENIED_HOST, -1},
	{P, "", NULL, 80, T, false, false, NET_DENIED_BAD_NAME, -1},
	{P, "deb.example.org..", NULL, 80, T, false, false, NET_DENIED_BAD_NAME, -1},
	{P, "8.8.8.8", NULL, 80, T, false, false, NET_DENIED_BAD_NAME, -1},
	{B, "a.cdn.example.net", NULL, 443, T, false, false, NET_ALLOWED, 1},
	{B, "b.a.cdn.example.net", NULL, 8000, T, false, false, NET_ALLOWED, 1},
	{B, "b.a.cdn.example.net", NULL, 8080, T, false, false, NET_ALLOWED, 1},
	{B, "b.a.cdn.example.net", NULL, 8081, T, false, false, NET_DENIED_PORT, 1},
	{B, "b.a.cdn.example.net", NULL, 443, U, false, false, NET_DENIED_PROTOCOL, 1},
	{B, "cdn.example.net", NULL, 443, T, false, false, NET_DENIED_HOST, -1},
	{B, "evilcdn.example.net", NULL, 443, T, false, false, NET_DENIED_HOST, -1},
	/* what an allowed name resolves to */
	{B, "a.cdn.example.net", "127.0.0.1", 443, T, false, false, NET_DENIED_ADDRESS, 1},
	{B, "a.cdn.example.net", "10.0.0.1", 443, T, false, false, NET_DENIED_ADDRESS, 1},
	{B, "a.cdn.example.net", "169.254.169.254", 443, T, false, false, NET_DENIED_ADDRESS, 1},
	{B, "a.cdn.example.net", "::ffff:127.0.0.1", 443, T, false, false, NET_DENIED_ADDRESS, 1},
	{B, "a.cdn.example.net", "64:ff9b::a00:1", 443, T, false, false, NET_DENIED_ADDRESS, 1},
	{B, "a.cdn.example.net", "fd00:ec2::254", 443, T, false, false, NET_DENIED_ADDRESS, 1},
	{B, "a.cdn.example.net", "198.18.0.2", 443, T, false, false, NET_DENIED_ADDRESS, 1},
	{B, "a.cdn.example.net", "0.0.0.0", 443, T, false, false, NET_DENIED_NEVER, 1},
	{B, "a.cdn.example.net", "::", 443, T, false, false, NET_DENIED_NEVER, 1},
	{B, "a.cdn.example.net", "255.255.255.255", 443, T, false, false, NET_DENIED_NEVER, 1},
	{B, "a.cdn.example.net", "::8.8.8.8", 443, T, false, false, NET_DENIED_NEVER, 1},
	{B, "a.cdn.example.net", "203.1.113.9", 443, T, false, true, NET_DENIED_OWN, 1},
	{B, "intern.example.org", "10.0.0.1", 443, T, false, false, NET_ALLOWED, 2},
	{B, "intern.example.org", "127.0.0.1", 443, U, false, true, NET_ALLOWED, 2},
	{B, "intern.example.org", "169.254.169.254", 80, T, false, false, NET_ALLOWED, 2},
	{B, "intern.example.org", "0.0.0.0", 443, T, false, false, NET_DENIED_NEVER, 2},
	{B, "intern.example.org", "240.0.0.1", 443, T, false, false, NET_DENIED_NEVER, 2},
	{P, "intern.example.org", "10.0.0.1", 443, T, false, false, NET_DENIED_PHASE, 2},
	/* literals */
	{B, NULL, "192.0.1.53", 53, U, false, false, NET_ALLOWED, 3},
	{B, NULL, "::ffff:192.0.1.53", 53, U, false, false, NET_ALLOWED, 3},
	{B, NULL, "192.0.1.53", 53, T, false, false, NET_DENIED_PORT, 7},
	{B, NULL, "192.0.1.53", 54, U, false, false, NET_DENIED_PORT, 3},
	{P, NULL, "192.0.1.53", 53, U, false, false, NET_DENIED_PHASE, 3},
	{B, NULL, "192.0.2.53", 53, U, false, false, NET_DENIED_PROTOCOL, 7},
	{B, NULL, "192.0.1.53", 53, U, false, true, NET_DENIED_OWN, 3},
	{B, NULL, "2001:4860:4860::8888", 443, T, false, false, NET_ALLOWED, 4},
	{B, NULL, "2001:4861:4860::8888", 443, T, false, false, NET_DENIED_HOST, -1},
	{B, NULL, "10.1.2.3", 22, T, false, false, NET_DENIED_ADDRESS, 5},
	{B, NULL, "10.9.2.3", 22, T, false, false, NET_ALLOWED, 6},
	{B, NULL, "127.0.0.1", 9999, T, false, true, NET_ALLOWED, 7},
	{B, NULL, "255.255.255.255", 9999, T, false, false, NET_DENIED_NEVER, 7},
	{B, NULL, "0.0.0.0", 9999, T, false, false, NET_DENIED_NEVER, 7},
	/* an address rule says nothing of names, a name rule nothing of addresses */
	{B, "other.example", "192.0.1.53", 53, U, false, false, NET_DENIED_HOST, -1},
	{P, NULL, "151.101.2.132", 80, T, false, false, NET_DENIED_PORT, 7},
	{B, NULL, NULL, 80, T, false, false, NET_DENIED_HOST, -1},
	/* DNS asks without a port */
	{P, "deb.example.org", NULL, 0, T, true, false, NET_ALLOWED, 0},
	{B, "deb.example.org", NULL, 0, T, true, false, NET_ALLOWED, 8},
	{P, "intern.example.org", NULL, 0, T, true, false, NET_DENIED_PHASE, 2},
	{P, "x.example.org", NULL, 0, T, true, false, NET_DENIED_HOST, -1},
};

static void make_query(const struct policy_case *c, struct net_query *q, struct net_addr *a)
{
	*q = (struct net_query){.phase = c->phase,
				.name = c->name,
				.port = c->port,
				.proto = c->proto,
				.any_service = c->any,
				.own = c->own};
	if (c->addr) {
		ck_assert_int_eq(net_addr_parse(c->addr, a), 0);
		q->addr = a;
	}
}

START_TEST(decisions)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct policy_case *c = &cases[i];
		char text[NET_TEXT_MAX];
		struct net_decision d;
		struct net_query q;
		struct net_addr a;

		make_query(c, &q, &a);
		d = net_decide(rules, ARRAY_SIZE(rules), &q);
		ck_assert_msg(d.reason == c->reason && d.rule == c->rule,
			      "case %zu (%s %s %u): reason %d, rule %d: %s", i,
			      c->name ? c->name : "", c->addr ? c->addr : "", c->port, d.reason,
			      d.rule, net_decision_text(&d, rules, &q, text));
		d = net_decide(NULL, 0, &q);
		ck_assert_int_ne(d.reason, NET_ALLOWED);
	}
}
END_TEST

/* Whatever a rule holds, a port of zero, an unknown protocol and a phase of none are refused. */
START_TEST(nonsense)
{
	struct net_query q = {.phase = B, .name = "intern.example.org", .port = 80, .proto = 132};
	struct net_rule r = rules[2];

	ck_assert_int_eq(net_decide(&r, 1, &q).reason, NET_DENIED_PROTOCOL);
	q.proto = T;
	q.phase = 0;
	ck_assert_int_eq(net_decide(&r, 1, &q).reason, NET_DENIED_PHASE);
	q.phase = B;
	q.port = 0;
	r.ports[0].first = 0;
	ck_assert_int_eq(net_decide(&r, 1, &q).reason, NET_DENIED_PORT);
	q.port = 1;
	ck_assert_int_eq(net_decide(&r, 1, &q).reason, NET_ALLOWED);
	r.n_ports = SIZE_MAX;
	ck_assert_int_eq(net_decide(&r, 1, &q).reason, NET_ALLOWED);
	r.kind = NET_HOST_SUFFIX;
	r.name[0] = '\0';
	ck_assert_int_eq(net_decide(&r, 1, &q).reason, NET_DENIED_HOST);
}
END_TEST

START_TEST(texts)
{
	static const struct {
		struct policy_case c;
		const char *text, *remedy;
	} t[] = {
		{{P, "deb.example.org", NULL, 80, T}, "allowed by line 1", ""},
		{{B, NULL, "127.0.0.1", 9999, T}, "allowed by built-in rule 8", ""},
		{{B, "Evil.example", NULL, 443, T},
		 "no rule allows evil.example",
		 "- {host: evil.example, port: 443, protocol: tcp, phase: build}"},
		{{B, "no", NULL, 443, U},
		 "no rule allows no",
		 "- {host: \"no\", port: 443, protocol: udp, phase: build}"},
		{{B, "deb.example.org", NULL, 80, T},
		 "line 1 allows deb.example.org, but not in the build phase",
		 "- {host: deb.example.org, port: 80, protocol: tcp, phase: build}"},
		{{P, "deb.example.org", NULL, 81, T},
		 "line 1 allows deb.example.org by tcp, but not port 81",
		 "- {host: deb.example.org, port: 81, protocol: tcp, phase: prepare}"},
		{{B, "a.cdn.example.net", NULL, 443, U},
		 "line 2 allows a.cdn.example.net, but not udp",
		 "- {host: a.cdn.example.net, port: 443, protocol: udp, phase: build}"},
		{{B, "a.cdn.example.net", "10.0.0.1", 443, T},
		 "a.cdn.example.net resolves to 10.0.0.1, which is a private address, and line 2 "
		 "does not say private: true",
		 "- {host: a.cdn.example.net, port: 443, protocol: tcp, phase: build, "
		 "private: true}"},
		{{B, NULL, "10.1.2.3", 22, T},
		 "10.1.2.3 is a private address, and line 6 does not say private: true",
		 "- {host: 10.1.2.3, port: 22, protocol: tcp, phase: build, private: true}"},
		{{B, NULL, "2001:db8::", 22, T},
		 "no rule allows 2001:db8::",
		 "- {host: \"2001:db8::\", port: 22, protocol: tcp, phase: build, private: true}"},
		{{B, NULL, "192.0.1.53", 53, U, false, true},
		 "192.0.1.53 is an address of this host, and line 4 does not say private: true",
		 "- {host: 192.0.1.53, port: 53, protocol: udp, phase: build, private: true}"},
		{{B, NULL, "255.255.255.255", 9999, T},
		 "255.255.255.255 is the broadcast address, which no rule can allow",
		 ""},
		{{B, "\x1b[31m", NULL, 80, T}, "not a host name", ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		char text[NET_TEXT_MAX];
		struct net_decision d;
		struct net_query q;
		struct net_addr a;

		make_query(&t[i].c, &q, &a);
		d = net_decide(rules, ARRAY_SIZE(rules), &q);
		ck_assert_str_eq(net_decision_text(&d, rules, &q, text), t[i].text);
		ck_assert_str_eq(net_decision_remedy(&d, &q, text), t[i].remedy);
	}
}
END_TEST

START_TEST(own)
{
	static const struct {
		const char *addr;
		bool own;
	} t[] = {
		{"127.0.0.1", true},	    {"127.9.9.9", true},       {"::1", true},
		{"::ffff:127.0.0.1", true}, {"64:ff9b::7f00:1", true}, {"2002:7f00:1::", true},
		{"192.0.2.1", false},	    {"2001:db8::1", false},
	};
	struct net_own *o = NULL;
	struct err e = ERR_INIT;

	ck_assert_msg(net_own_new(&o, &e) == 0, "%s", e.text);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct net_addr a;

		ck_assert_int_eq(net_addr_parse(t[i].addr, &a), 0);
		ck_assert_msg(net_own_check(o, &a) == t[i].own, "%s", t[i].addr);
	}
	net_own_free(o);
}
END_TEST

START_TEST(synthetic)
{
	struct net_synth *s = NULL;
	struct net_addr a, b;
	char name[32];

	ck_assert_int_eq(net_synth_new(5, 4, &s), -EINVAL);
	ck_assert_int_eq(net_synth_new(0xc6120100, 0xc613ffff, &s), 0);
	for (unsigned i = 0; i < NET_SYNTH_NAMES_MAX; i++) {
		(void)snprintf(name, sizeof(name), "n%u.example", i);
		ck_assert_int_eq(net_synth_get(s, name, &a), 0);
	}
	ck_assert_int_eq(net_synth_get(s, "one.more", &a), -ENOSPC);
	for (unsigned i = 0; i < NET_SYNTH_NAMES_MAX; i++) {
		(void)snprintf(name, sizeof(name), "n%u.example", i);
		ck_assert_int_eq(net_synth_get(s, name, &a), 0);
		b = net_addr_ip4(0xc6120100 + i);
		ck_assert_mem_eq(&a, &b, sizeof(a));
		ck_assert_str_eq(net_synth_name(s, &a), name);
	}
	b = net_addr_ip4(0xc6120100 + NET_SYNTH_NAMES_MAX);
	ck_assert_ptr_null(net_synth_name(s, &b));
	ck_assert(net_synth_contains(s, &b));
	b = net_addr_ip4(0xc61200ff);
	ck_assert(!net_synth_contains(s, &b));
	b = net_addr_ip4(0xc6140000);
	ck_assert(!net_synth_contains(s, &b));
	b.v6 = true;
	ck_assert(!net_synth_contains(s, &b));
	net_synth_free(s);
	ck_assert_int_eq(net_synth_new(1, 1, &s), 0);
	ck_assert_int_eq(net_synth_get(s, "a", &a), 0);
	ck_assert_int_eq(net_synth_get(s, "b", &a), -ENOSPC);
	net_synth_free(s);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("policy");
	TCase *tc = unit_case(s, "policy");

	tcase_add_test(tc, classes);
	tcase_add_test(tc, addresses);
	tcase_add_test(tc, prefixes);
	tcase_add_test(tc, names);
	tcase_add_test(tc, decisions);
	tcase_add_test(tc, nonsense);
	tcase_add_test(tc, texts);
	tcase_add_test(tc, own);
	tcase_add_test(tc, synthetic);
	return s;
}
