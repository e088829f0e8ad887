/* SPDX-License-Identifier: GPL-3.0-or-later */
/* net: rules from the URLs of an image's package repositories. */
#include "unit.h"

#include <errno.h>

#include "net/policy.h"
#include "net/repository.h"

static const struct {
	const char *url;
	int r;
	const char *host;
	uint16_t port;
} urls[] = {
	{"http://deb.debian.org/debian", 1, "deb.debian.org", 80},
	{"HTTPS://Deb.Debian.org", 1, "deb.debian.org", 443},
	{"https://mirror.example:8443/x?y#z", 1, "mirror.example", 8443},
	{"http://user:secret@mirror.example:81/", 1, "mirror.example", 81},
	{"http://mirror.example:/", 1, "mirror.example", 80},
	{"ftp://ftp.example/pub", 1, "ftp.example", 21},
	{"http://192.0.2.7:3142/debian", 1, "", 3142},
	{"http://[2001:db8::1]/debian", 1, "", 80},
	{"http://[2001:db8::1]:3142/debian", 1, "", 3142},
	{"file:/srv/debian", 0, NULL, 0},
	{"cdrom:[Debian]/", 0, NULL, 0},
	{"copy:/x", 0, NULL, 0},
	{"", -EINVAL, NULL, 0},
	{"deb.debian.org", -EINVAL, NULL, 0},
	{"gopher://x.example/", -EINVAL, NULL, 0},
	{"http:///debian", -EINVAL, NULL, 0},
	{"http://", -EINVAL, NULL, 0},
	{"http://x.example:0/", -EINVAL, NULL, 0},
	{"http://x.example:70000/", -EINVAL, NULL, 0},
	{"http://x.example:1:2/", -EINVAL, NULL, 0},
	{"http://[::1/", -EINVAL, NULL, 0},
	{"http://a b/", -EINVAL, NULL, 0},
	{"http://@/", -EINVAL, NULL, 0},
};

START_TEST(from_url)
{
	char longest[600] = "http://";

	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		struct net_rule r = {0};
		struct err e = ERR_INIT;
		int rc = net_rule_from_url(&r, urls[i].url, &e);

		ck_assert_msg(rc == urls[i].r, "%s: %d %s", urls[i].url, rc, e.text);
		ck_assert(rc >= 0 || e.text[0]);
		if (rc != 1)
			continue;
		ck_assert_str_eq(r.name, urls[i].host);
		ck_assert_uint_eq(r.n_ports, 1);
		ck_assert_uint_eq(r.ports[0].first, urls[i].port);
		ck_assert_uint_eq(r.ports[0].last, urls[i].port);
		ck_assert(r.tcp && !r.udp && !r.private_ok && r.test_ok && r.line == 0);
		ck_assert_uint_eq(r.phases, NET_PHASE_PREPARE);
	}
	memset(longest + 7, 'a', sizeof(longest) - 8);
	ck_assert_int_eq(net_rule_from_url(&(struct net_rule){0}, longest, NULL), -EINVAL);
}
END_TEST

START_TEST(join)
{
	static const char *const list[] = {
		"http://a.example/1", "http://a.example/2", "file:/x", "junk",
		"https://a.example/", "http://b.example/"};
	struct net_rule *spec = calloc(NET_RULES_MAX, sizeof(*spec)), *all = NULL;
	struct err e = ERR_INIT;
	size_t n = 0;

	spec[0].line = 7;
	ck_assert_int_eq(net_rules_join(spec, 1, list, ARRAY_SIZE(list), &all, &n, &e), 0);
	ck_assert_uint_eq(n, 4);
	ck_assert_int_eq(all[0].line, 7);
	ck_assert_str_eq(all[3].name, "b.example");
	free(all);
	ck_assert_int_eq(net_rules_join(NULL, 0, NULL, 0, &all, &n, &e), 0);
	ck_assert_uint_eq(n, 0);
	free(all);
	ck_assert_int_eq(net_rules_join(spec, NET_RULES_MAX, list, 2, &all, &n, &e), -E2BIG);
	free(spec);
}
END_TEST

/* A repository's rule: a closed network's mirror may have an address for documentation. */
START_TEST(test_addresses)
{
	struct net_rule r = {.kind = NET_HOST_NAME,
			     .name = "deb.example",
			     .tcp = true,
			     .ports = {{80, 80}},
			     .n_ports = 1,
			     .phases = NET_PHASE_PREPARE};
	const struct {
		const char *addr;
		enum net_reason without, with;
	} all[] = {
		{"203.0.113.80", NET_DENIED_ADDRESS, NET_ALLOWED},
		{"2001:db8::1", NET_DENIED_ADDRESS, NET_ALLOWED},
		{"192.0.32.8", NET_ALLOWED, NET_ALLOWED},
		{"10.1.2.3", NET_DENIED_ADDRESS, NET_DENIED_ADDRESS},
		{"127.0.0.1", NET_DENIED_ADDRESS, NET_DENIED_ADDRESS},
		{"169.254.169.254", NET_DENIED_ADDRESS, NET_DENIED_ADDRESS},
		{"255.255.255.255", NET_DENIED_NEVER, NET_DENIED_NEVER},
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		struct net_addr addr;
		struct net_query q = {.phase = NET_PHASE_PREPARE,
				      .name = "deb.example",
				      .addr = &addr,
				      .port = 80,
				      .proto = NET_PROTO_TCP};

		ck_assert_int_eq(net_addr_parse(all[i].addr, &addr), 0);
		r.test_ok = false;
		ck_assert_int_eq(net_decide(&r, 1, &q).reason, all[i].without);
		r.test_ok = true;
		ck_assert_int_eq(net_decide(&r, 1, &q).reason, all[i].with);
		q.own = true;
		ck_assert_int_ne(net_decide(&r, 1, &q).reason, NET_ALLOWED);
	}
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("repository");
	TCase *tc = unit_case(s, "repository");

	tcase_add_test(tc, from_url);
	tcase_add_test(tc, join);
	tcase_add_test(tc, test_addresses);
	return s;
}
