/* SPDX-License-Identifier: GPL-3.0-or-later */
/* net: the words of a rule. */
#include "unit.h"

#include <errno.h>

#include "net/rule.h"

/* 253 characters: three labels of 63 and one of 61. */
#define L10  "abcdefghij"
#define L60  L10 L10 L10 L10 L10 L10
#define L63  L60 "abc"
#define LONG L63 "." L63 "." L63 "." L60 "a"

static const struct {
	const char *host;
	enum net_host_kind kind;
	const char *name;
} names[] = {
	{"example.org", NET_HOST_NAME, "example.org"},
	{"Example.ORG.", NET_HOST_NAME, "example.org"},
	{"localhost", NET_HOST_NAME, "localhost"},
	{"a_b-c.d", NET_HOST_NAME, "a_b-c.d"},
	{"1.2.3.4.example", NET_HOST_NAME, "1.2.3.4.example"},
	{"xn--bcher-kva.example", NET_HOST_NAME, "xn--bcher-kva.example"},
	{"*.example.org", NET_HOST_SUFFIX, "example.org"},
	{"*.Co.UK.", NET_HOST_SUFFIX, "co.uk"},
	{LONG, NET_HOST_NAME, LONG},
	{"*." LONG, NET_HOST_SUFFIX, LONG},
};

START_TEST(host_names)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct net_rule r = {0};
		struct err e = ERR_INIT;

		ck_assert_msg(net_rule_set_host(&r, names[i].host, &e) == 0, "%s", e.text);
		ck_assert_int_eq(r.kind, names[i].kind);
		ck_assert_str_eq(r.name, names[i].name);
	}
}
END_TEST

static const struct {
	const char *host;
	enum net_host_kind kind;
	unsigned prefix;
	unsigned char addr[16];
} addresses[] = {
	{"192.0.2.7", NET_HOST_IP4, 32, {192, 0, 2, 7}},
	{"192.0.2.0/24", NET_HOST_IP4, 24, {192, 0, 2, 0}},
	{"10.0.0.0/8", NET_HOST_IP4, 8, {10}},
	{"192.0.2.128/25", NET_HOST_IP4, 25, {192, 0, 2, 128}},
	{"192.0.2.7/32", NET_HOST_IP4, 32, {192, 0, 2, 7}},
	{"0.0.0.0/0", NET_HOST_IP4, 0, {0}},
	{"2001:db8::1", NET_HOST_IP6, 128, {0x20, 1, 0xd, 0xb8, [15] = 1}},
	{"2001:DB8::/32", NET_HOST_IP6, 32, {0x20, 1, 0xd, 0xb8}},
	{"2001:db8:8000::/33", NET_HOST_IP6, 33, {0x20, 1, 0xd, 0xb8, 0x80}},
	{"::1", NET_HOST_IP6, 128, {[15] = 1}},
	{"::/0", NET_HOST_IP6, 0, {0}},
	{"1:2:3:4:5:6:7:8", NET_HOST_IP6, 128, {0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8}},
};

START_TEST(host_addresses)
{
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		struct net_rule r = {.name = "left over"};
		struct err e = ERR_INIT;

		ck_assert_msg(net_rule_set_host(&r, addresses[i].host, &e) == 0, "%s", e.text);
		ck_assert_msg(r.kind == addresses[i].kind && r.prefix_len == addresses[i].prefix &&
				      memcmp(&r.addr, addresses[i].addr, 16) == 0,
			      "%s", addresses[i].host);
		ck_assert_str_eq(r.name, "");
	}
}
END_TEST

/* What is wrong, and a word of the sentence that says so. */
static const struct {
	const char *host, *word;
} bad_hosts[] = {
	{"", "is empty"},
	{".", "is not"},
	{"a..b", "is not a host name"},
	{".a", "is not a host name"},
	{"-a.org", "is not a host name"},
	{"a-.org", "is not a host name"},
	{"a b.org", "is not a host name"},
	{"a\nb", "a\\nb"},
	{"example.org/", "is not an address/prefix"},
	{"example.org/24", "is not an address/prefix"},
	{"http://example.org", "without scheme"},
	{"[::1]", "without brackets"},
	{"fe80::1%eth0", "zone"},
	{"example.org:80", "port goes to port:"},
	{"12345::1", "is not an IPv6 address"},
	{"*", "*.example.org"},
	{"*.org", "two labels"},
	{"*.org.", "two labels"},
	{"*.", "*.example.org"},
	{"a.*.org", "*.example.org"},
	{"*a.example.org", "*.example.org"},
	{"*.*.example.org", "*.example.org"},
	{"b\xc3\xbc"
	 "cher.example",
	 "xn--"},
	{"256.1.1.1", "is not an IPv4 address"},
	{"1.2.3", "is not an IPv4 address"},
	{"010.0.0.1", "is not an IPv4 address"},
	{"2130706433", "is not an IPv4 address"},
	{"0x7f000001", "is not a host name"},
	{"a.0x7f", "is not a host name"},
	{"a.1", "is not a host name"},
	{"*.example.1", "*.example.org"},
	{L63 "a.org", "is not a host name"},
	{LONG "a", "is not a host name"},
	{"192.0.2.0/33", "0 to 32"},
	{"192.0.2.0/", "0 to 32"},
	{"192.0.2.0/x", "0 to 32"},
	{"192.0.2.0/24/8", "0 to 32"},
	{"::/129", "0 to 128"},
	{"192.0.2.7/24", "192.0.2.0/24"},
	{"255.255.255.255/31", "255.255.255.254/31"},
	{"128.0.0.0/0", "0.0.0.0/0"},
	{"2001:db8::1/64", "2001:db8::/64"},
	{"2001:db8:ffff::/33", "2001:db8:8000::/33"},
	{"::ffff:192.0.2.1", "as an IPv4 address"},
	{"::ffff:192.0.2.0/120", "as an IPv4 address"},
};

START_TEST(hosts_refused)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad_hosts); i++) {
		struct net_rule r = {.name = "as before", .prefix_len = 99};
		struct err e = ERR_INIT;
		int rc = net_rule_set_host(&r, bad_hosts[i].host, &e);

		ck_assert_msg(rc == -EINVAL && strstr(e.text, bad_hosts[i].word), "%s: %d %s",
			      bad_hosts[i].host, rc, e.text);
		ck_assert(strcmp(r.name, "as before") == 0 && r.prefix_len == 99);
		ck_assert_int_eq(net_rule_set_host(&r, bad_hosts[i].host, NULL), -EINVAL);
	}
}
END_TEST

static const struct {
	const char *protocol;
	bool tcp, udp;
	unsigned port;
} protocols[] = {
	{"tcp", true, false, 0},     {"udp", false, true, 0},  {"http", true, false, 80},
	{"https", true, false, 443}, {"ssh", true, false, 22}, {"git", true, false, 9418},
	{"rsync", true, false, 873}, {"ftp", true, false, 21}, {"dns", true, true, 53},
};

START_TEST(protocol_names)
{
	struct err e = ERR_INIT;
	struct net_rule r = {0};

	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
		struct net_rule p = {0};

		ck_assert_int_eq(net_rule_set_protocol(&p, protocols[i].protocol, &e), 0);
		ck_assert(p.tcp == protocols[i].tcp && p.udp == protocols[i].udp);
		ck_assert_uint_eq(p.n_ports, protocols[i].port ? 1 : 0);
		ck_assert_uint_eq(p.ports[0].first, protocols[i].port);
		ck_assert_uint_eq(p.ports[0].last, protocols[i].port);
	}
	/* ports that are there stay */
	ck_assert_int_eq(net_rule_add_ports(&r, "8080", &e), 0);
	ck_assert_int_eq(net_rule_set_protocol(&r, "http", &e), 0);
	ck_assert_uint_eq(r.n_ports, 1);
	ck_assert_uint_eq(r.ports[0].first, 8080);

	ck_assert_int_eq(net_rule_set_protocol(&r, "htps", &e), -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.text, "did you mean \"https\"?"));
	ck_assert_int_eq(net_rule_set_protocol(&r, "TCP", &e), -EINVAL);
	ck_assert_int_eq(net_rule_set_protocol(&r, "carrier-pigeon", &e), -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.text, "rsync"));
	ck_assert_int_eq(net_rule_set_protocol(&r, "", NULL), -EINVAL);
}
END_TEST

START_TEST(port_ranges)
{
	static const struct {
		const char *text;
		unsigned first, last;
	} good[] = {
		{"1", 1, 1},	       {"65535", 65535, 65535}, {"8000-8080", 8000, 8080},
		{"1-65535", 1, 65535}, {"22-22", 22, 22},
	};
	static const char *const bad[] = {
		"",    "0", "65536", "-1",    "1-",   "-",    "1-2-3",	  "80-79", "1-65536",
		"0-1", "a", "1 ",    "1 - 2", "0x50", "1:30", "99999999", "1,2",   "+1",
	};
	struct net_rule r = {0};
	struct err e = ERR_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		ck_assert_msg(net_rule_add_ports(&r, good[i].text, &e) == 0, "%s", e.text);
		ck_assert_uint_eq(r.ports[i].first, good[i].first);
		ck_assert_uint_eq(r.ports[i].last, good[i].last);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(net_rule_add_ports(&r, bad[i], &e) == -EINVAL, "%s", bad[i]);
	ck_assert_uint_eq(r.n_ports, ARRAY_SIZE(good));
	while (r.n_ports < NET_RULE_PORTS_MAX)
		ck_assert_int_eq(net_rule_add_ports(&r, "9", &e), 0);
	ck_assert_int_eq(net_rule_add_ports(&r, "9", &e), -E2BIG);
	ck_assert_uint_eq(r.n_ports, NET_RULE_PORTS_MAX);
}
END_TEST

START_TEST(completeness)
{
	struct net_rule r = {0};
	struct err e = ERR_INIT;

	ck_assert_int_eq(net_rule_check(&r, &e), -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.text, "no host"));
	ck_assert_int_eq(net_rule_set_host(&r, "*.example.org", &e), 0);
	ck_assert_int_eq(net_rule_check(&r, &e), -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.text, "no protocol"));
	ck_assert_int_eq(net_rule_set_protocol(&r, "udp", &e), 0);
	ck_assert_int_eq(net_rule_check(&r, &e), -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.text, "no port"));
	ck_assert_int_eq(net_rule_add_ports(&r, "53", &e), 0);
	ck_assert_int_eq(net_rule_check(&r, &e), -EINVAL);
	ck_assert_ptr_nonnull(strstr(e.text, "no phase"));
	r.phases = NET_PHASE_BUILD;
	ck_assert_int_eq(net_rule_check(&r, &e), 0);
	ck_assert_int_eq(net_rule_set_host(&r, "0.0.0.0/0", &e), 0);
	ck_assert_int_eq(net_rule_check(&r, &e), 0);
	ck_assert_int_eq(net_rule_set_host(&r, "::/0", &e), 0);
	ck_assert_int_eq(net_rule_check(&r, &e), 0);
}
END_TEST

START_TEST(unplaced)
{
	const struct net_rule rules[] = {{.name = "a.test", .tcp = true, .line = 3, .column = 5},
					 {.name = "b.test", .udp = true, .line = 9}};
	struct net_rule *copy = net_rules_unplaced(rules, 2), *none = net_rules_unplaced(NULL, 0);

	ck_assert_ptr_nonnull(copy);
	ck_assert_ptr_nonnull(none);
	for (size_t i = 0; i < 2; i++) {
		struct net_rule r = rules[i];

		r.line = r.column = 0;
		ck_assert_mem_eq(&copy[i], &r, sizeof(r));
	}
	free(copy);
	free(none);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("rule");
	TCase *tc = unit_case(s, "rule");

	tcase_add_test(tc, host_names);
	tcase_add_test(tc, host_addresses);
	tcase_add_test(tc, hosts_refused);
	tcase_add_test(tc, protocol_names);
	tcase_add_test(tc, port_ranges);
	tcase_add_test(tc, completeness);
	tcase_add_test(tc, unplaced);
	return s;
}
