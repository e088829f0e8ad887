/* SPDX-License-Identifier: GPL-3.0-or-later */
/* net: nf_tables lists, encoder, decoder, netlink bytes, and the policy's literals and walls. */
#include "unit.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>

#include "net/nft-apply.h"
#include "net/nft-decode.h"
#include "net/nl-read.h"
#include "net/ruleset.h"

static const struct ruleset_config config = {
	.ifname = "br0",
	.host = {0},
	.worker_mac = {2, 0, 0, 0, 0, 1},
	.relay_tcp = 1,
	.relay_udp = 2,
	.connections = 10,
	.log_group = 1,
};

static struct ruleset_config full(void)
{
	struct ruleset_config c = config;

	c.host.s_addr = htonl(0x0a620001);
	c.worker.s_addr = htonl(0x0a620002);
	return c;
}

START_TEST(messages_and_attributes_end_where_the_bytes_do)
{
	struct {
		struct nlmsghdr h;
		struct nlattr a;
		uint32_t v;
	} m = {{28, 7, 0, 9, 0}, {8, 3 | NLA_F_NESTED}, htobe32(5)};
	struct nl_bytes rest = {(uint8_t *)&m, 28 - 4}, data;
	struct nl_message msg;
	struct nl_attr_view a;
	uint32_t v;

	m.h.nlmsg_len = 24;
	ck_assert_int_eq(nl_next_message(&rest, &msg), 1);
	ck_assert_uint_eq(msg.seq, 9);
	ck_assert_uint_eq(rest.len, 0);
	ck_assert_int_eq(nl_next_message(&rest, &msg), 0);
	ck_assert(nl_find_attr(msg.payload, 3, &data));
	ck_assert(nl_be32(data, &v));
	ck_assert_uint_eq(v, 5);
	ck_assert(!nl_find_attr(msg.payload, 4, &data));
	for (uint32_t len = 0; len < 32; len++) {
		m.h.nlmsg_len = len;
		rest = (struct nl_bytes){(uint8_t *)&m, 24};
		ck_assert_int_eq(nl_next_message(&rest, &msg),
				 len >= 16 && len <= 24 ? 1 : -EBADMSG);
	}
	for (uint16_t len = 0; len < 16; len++) {
		m.a.nla_len = len;
		rest = (struct nl_bytes){(uint8_t *)&m.a, 8};
		ck_assert_int_eq(nl_next_attr(&rest, &a), len >= 4 && len <= 8 ? 1 : -EBADMSG);
	}
	rest = (struct nl_bytes){(uint8_t *)&m, 3};
	ck_assert_int_eq(nl_next_message(&rest, &msg), -EBADMSG);
	ck_assert_int_eq(nl_next_attr(&rest, &a), -EBADMSG);
}
END_TEST

START_TEST(numbers_and_strings_have_their_size)
{
	static const uint8_t b[8] = {0, 0, 0, 0, 0, 0, 1, 2};
	uint64_t v8;
	uint32_t v4;

	ck_assert(nl_be64((struct nl_bytes){b, 8}, &v8) && v8 == 258);
	ck_assert(nl_be32((struct nl_bytes){b + 4, 4}, &v4) && v4 == 258);
	ck_assert(!nl_be64((struct nl_bytes){b, 7}, &v8));
	ck_assert(!nl_be32((struct nl_bytes){b, 5}, &v4));
	ck_assert(nl_is_string((struct nl_bytes){(const uint8_t *)"abc", 3}, "abc"));
	ck_assert(nl_is_string((struct nl_bytes){(const uint8_t *)"abc", 4}, "abc"));
	ck_assert(!nl_is_string((struct nl_bytes){(const uint8_t *)"abcd", 4}, "abc"));
	ck_assert(!nl_is_string((struct nl_bytes){(const uint8_t *)"ab", 2}, "abc"));
}
END_TEST

static int cut_decodes(const struct nft_batch *b, size_t len)
{
	_cleanup_buf_ struct buf out = {0};

	return nft_decode(b->bytes.data, len, &out);
}

START_TEST(a_batch_is_numbered_framed_and_decodes)
{
	_cleanup_(nft_list_done) struct nft_list l = {0};
	_cleanup_(nft_batch_done) struct nft_batch b = {0};
	struct ruleset_config c = full();
	struct nl_bytes rest;
	struct nl_message m;
	uint32_t seq = 0;

	ck_assert_int_eq(ruleset_build(&c, &l, NULL), 0);
	ck_assert_int_eq(nft_encode(&l, &b, NULL), 0);
	ck_assert_uint_eq(b.n, l.n + 2);
	rest = (struct nl_bytes){(uint8_t *)b.bytes.data, b.bytes.len};
	while (nl_next_message(&rest, &m) > 0) {
		bool acked = m.flags & NLM_F_ACK;

		ck_assert_uint_eq(m.seq, ++seq);
		ck_assert_int_eq(acked, b.labels[seq - 1].acked);
		ck_assert_int_eq(acked, seq > 1 && seq < b.n);
		ck_assert(m.flags & NLM_F_REQUEST);
	}
	ck_assert_uint_eq(seq, b.n);
	ck_assert_str_eq(b.labels[1].what, "table contractor");
	ck_assert_int_eq(cut_decodes(&b, b.bytes.len), 0);
	for (size_t len = 1; len < 600; len++)
		(void)cut_decodes(&b, len);
	ck_assert_int_eq(cut_decodes(&b, b.bytes.len - 1), -EBADMSG);
}
END_TEST

START_TEST(a_list_keeps_its_first_error)
{
	_cleanup_(nft_list_done) struct nft_list l = {0};
	_cleanup_(nft_batch_done) struct nft_batch b = {0};
	struct err e = ERR_INIT;

	nft_add_table(&l, NFPROTO_INET, "t");
	for (int i = 0; i < 5000; i++)
		nft_add_counter(&l, "c");
	ck_assert_int_eq(l.error, -E2BIG);
	ck_assert_ptr_null(nft_add_rule(&l, "c", "r"));
	nft_x_reject(NULL, 0, 0);
	nft_m_iface(NULL, NFT_META_IIFNAME, NFT_CMP_EQ, "eth0");
	nft_add_elems(&l, "s", 12, calloc(1, sizeof(struct nft_elem)), 1);
	ck_assert_int_eq(nft_encode(&l, &b, &e), -E2BIG);
	ck_assert_int_ne(e.text[0], 0);
}
END_TEST

/* Every expression, decoded as it was meant. */
START_TEST(expressions)
{
	_cleanup_(nft_list_done) struct nft_list l = {0};
	_cleanup_(nft_batch_done) struct nft_batch b = {0};
	_cleanup_buf_ struct buf out = {0};
	struct nft_rule *r;

	nft_add_table(&l, NFPROTO_INET, "t");
	r = nft_add_rule(&l, "c", "first");
	nft_x_range(r, "\0\1", "\0\7", 2);
	nft_x_ct_state(r, 8);
	nft_x_connlimit_over(r, 7);
	nft_x_limit(r, 5, 6);
	nft_x_limit_bytes_over(r, 1000, 10);
	nft_x_object(r, NFT_OBJECT_QUOTA, "q");
	r = nft_add_rule(&l, "c", "second");
	nft_m_addr4(r, true, NFT_CMP_NEQ, htonl(0x0a630001), 24);
	nft_m_addr4(r, false, NFT_CMP_EQ, htonl(0xac100001), 12);
	nft_m_addr4(r, false, NFT_CMP_EQ, htonl(0x81020304), 1);
	nft_x_log(r, 5, "why", 128);
	nft_x_reject(r, NFT_REJECT_ICMPX_UNREACH, 3);
	ck_assert_int_eq(nft_encode(&l, &b, NULL), 0);
	ck_assert_int_eq(nft_decode(b.bytes.data, b.bytes.len, &out), 0);
	static const char *const wanted[] = {
		"\"range\" sreg=1 op=0 from={ value=0x0001} to={ value=0x0007}\n",
		"\"ct\" key=0 dreg=1\n\t\"bitwise\" sreg=1 dreg=1 len=4 mask={ value=0x08000000}"
		" xor={ value=0x00000000}\n\t\"cmp\" sreg=1 op=1 data={ value=0x00000000}\n",
		"\"connlimit\" count=7 flags=1\n",
		"\"limit\" rate=5 unit=1 burst=6 type=0 flags=0\n",
		"\"limit\" rate=1000 unit=1 burst=10 type=1 flags=1\n",
		"\"objref\" type=2 name=\"q\"",
		"\"payload\" dreg=1 base=1 offset=12 len=3\n\t\"cmp\" sreg=1 op=1 data={"
		" value=0x0a6300}\n",
		"\"payload\" dreg=1 base=1 offset=16 len=4\n\t\"bitwise\" sreg=1 dreg=1 len=4 "
		"mask={"
		" value=0xfff00000} xor={ value=0x00000000}\n\t\"cmp\" sreg=1 op=0 data={"
		" value=0xac100000}\n",
		"\"payload\" dreg=1 base=1 offset=16 len=4\n\t\"bitwise\" sreg=1 dreg=1 len=4 "
		"mask={"
		" value=0x80000000} xor={ value=0x00000000}\n\t\"cmp\" sreg=1 op=0 data={"
		" value=0x80000000}\n",
		"\"log\" prefix=\"why\" group=5 snaplen=128\n",
		"\"reject\" type=2 code=3",
	};
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		ck_assert_msg(strstr(buf_str(&out), wanted[i]), "no %s in\n%s", wanted[i],
			      buf_str(&out));
}
END_TEST

START_TEST(walls_saturate)
{
	ck_assert_uint_eq(ruleset_rate_wall(0), 0);
	ck_assert_uint_eq(ruleset_rate_wall(1000), 1251);
	ck_assert_uint_eq(ruleset_rate_wall(UINT64_MAX), UINT64_MAX);
	ck_assert_uint_eq(ruleset_total_wall(0), 0);
	ck_assert_uint_eq(ruleset_total_wall(1000000), 1250000 + 65536);
	ck_assert_uint_eq(ruleset_total_wall(UINT64_MAX - 5), UINT64_MAX);
}
END_TEST

START_TEST(a_network_must_be_described_in_full)
{
	struct ruleset_config c = full();
	struct nft_list l = {0};

	c.connections = 0;
	ck_assert_int_eq(ruleset_build(&c, &l, NULL), -EINVAL);
	c = full();
	c.relay_udp = 0;
	ck_assert_int_eq(ruleset_build(&c, &l, NULL), -EINVAL);
	c = full();
	c.worker.s_addr = htonl(0x0a620102);
	ck_assert_int_eq(ruleset_build(&c, &l, NULL), -EINVAL);
}
END_TEST

static struct net_rule literal(const char *host, const char *ports, const char *protocol)
{
	struct net_rule r = {.phases = NET_PHASE_BUILD};

	ck_assert_int_eq(net_rule_set_host(&r, host, NULL), 0);
	ck_assert_int_eq(net_rule_add_ports(&r, ports, NULL), 0);
	ck_assert_int_eq(net_rule_set_protocol(&r, protocol, NULL), 0);
	return r;
}

static bool holds(const struct nft_elem *e, uint32_t addr, uint8_t proto, uint16_t port)
{
	uint32_t a = htonl(addr);
	uint16_t p = htons(port);

	return memcmp(&a, e->key, 4) >= 0 && memcmp(&a, e->end, 4) <= 0 && proto == e->key[4] &&
	       memcmp(&p, e->key + 8, 2) >= 0 && memcmp(&p, e->end + 8, 2) <= 0;
}

/* How many elements hold it: more than one would be an overlap. */
static unsigned holding(const struct nft_elem *e, size_t n, uint32_t addr, uint8_t proto,
			uint16_t port)
{
	unsigned count = 0;

	for (size_t i = 0; i < n; i++)
		count += holds(&e[i], addr, proto, port);
	return count;
}

START_TEST(literals_never_overlap)
{
	struct net_rule rules[] = {
		literal("10.0.0.0/8", "80-90", "tcp"),
		literal("10.1.0.0/16", "85-100", "tcp"),
		literal("10.1.2.3", "53", "dns"),
		literal("10.1.2.3", "101", "tcp"),
		literal("0.0.0.0/0", "123", "udp"),
		literal("255.255.255.255", "1", "tcp"),
		literal("example.org", "80", "tcp"),
		literal("2001:db8::1", "80", "tcp"),
		literal("10.1.0.0/16", "65530-65535", "tcp"),
	};
	static const struct {
		uint32_t addr;
		uint8_t proto;
		uint16_t port;
		unsigned want;
	} probes[] = {
		{0x0a000000, 6, 80, 1},	 {0x0affffff, 6, 90, 1},  {0x0a000000, 6, 91, 0},
		{0x0a010000, 6, 85, 1},	 {0x0a010000, 6, 90, 1},  {0x0a01ffff, 6, 100, 1},
		{0x0a020000, 6, 100, 0}, {0x0a010203, 6, 53, 1},  {0x0a010203, 17, 53, 1},
		{0x0a010204, 17, 53, 0}, {0x0a010203, 6, 101, 1}, {0x0a010203, 17, 123, 1},
		{0, 17, 123, 1},	 {0xffffffff, 6, 1, 1},	  {0xfffffffe, 6, 1, 0},
		{0x0b000000, 6, 80, 0},	 {0x09ffffff, 6, 80, 0},  {0x0a010001, 6, 65535, 1},
	};
	_cleanup_free_ struct nft_elem *e = NULL;
	size_t n;

	ck_assert_int_eq(ruleset_literals(rules, ARRAY_SIZE(rules), false, &e, &n), 0);
	for (size_t i = 0; i < ARRAY_SIZE(probes); i++)
		ck_assert_msg(holding(e, n, probes[i].addr, probes[i].proto, probes[i].port) ==
				      probes[i].want,
			      "probe %zu", i);
}
END_TEST

START_TEST(six_has_a_set_of_its_own)
{
	struct net_rule rules[] = {
		literal("2001:db8::/32", "80", "tcp"),
		literal("2001:db8:1::/48", "80-81", "tcp"),
		literal("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "1", "tcp"),
		literal("::/0", "53", "udp"),
		literal("10.0.0.0/8", "80", "tcp"),
	};
	static const struct {
		const char *addr;
		uint8_t proto;
		uint16_t port;
		unsigned want;
	} probes[] = {
		{"2001:db8::", 6, 80, 1},
		{"2001:db8:ffff::1", 6, 80, 1},
		{"2001:db9::", 6, 80, 0},
		{"2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", 6, 80, 0},
		{"2001:db8:1::5", 6, 81, 1},
		{"2001:db8:2::", 6, 81, 0},
		{"2001:db8:1::5", 6, 80, 1},
		{"::", 17, 53, 1},
		{"::", 6, 53, 0},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 6, 1, 1},
		{"2001:db8::7", 17, 53, 1},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 17, 53, 1},
	};
	_cleanup_free_ struct nft_elem *e = NULL;
	size_t n;

	ck_assert_int_eq(ruleset_literals(rules, ARRAY_SIZE(rules), true, &e, &n), 0);
	for (size_t i = 0; i < ARRAY_SIZE(probes); i++) {
		uint16_t p = htons(probes[i].port);
		uint8_t a[16];
		unsigned count = 0;

		ck_assert_int_eq(inet_pton(AF_INET6, probes[i].addr, a), 1);
		for (size_t k = 0; k < n; k++)
			count += memcmp(a, e[k].key, 16) >= 0 && memcmp(a, e[k].end, 16) <= 0 &&
				 probes[i].proto == e[k].key[16] &&
				 memcmp(&p, e[k].key + 20, 2) >= 0 &&
				 memcmp(&p, e[k].end + 20, 2) <= 0;
		ck_assert_msg(count == probes[i].want, "probe %zu: %u", i, count);
	}
}
END_TEST

START_TEST(six_subnet_keeps_out_of_the_rules)
{
	struct net_rule rules[] = {
		literal("2001:db8::1", "80", "tcp"),
		literal("fd63:6f6e:7472::/63", "80", "tcp"),
		literal("::/0", "80", "tcp"),
	};
	struct in6_addr host, worker;
	char text[INET6_ADDRSTRLEN];

	ck_assert(!ruleset_pick_subnet6(rules, 0, &host, &worker));
	ck_assert(IN6_IS_ADDR_UNSPECIFIED(&host) && IN6_IS_ADDR_UNSPECIFIED(&worker));
	ck_assert(ruleset_pick_subnet6(rules, 1, &host, &worker));
	ck_assert_str_eq(inet_ntop(AF_INET6, &host, text, sizeof(text)), "fd63:6f6e:7472::1");
	ck_assert_str_eq(inet_ntop(AF_INET6, &worker, text, sizeof(text)), "fd63:6f6e:7472::2");
	ck_assert(ruleset_pick_subnet6(rules, 2, &host, &worker));
	ck_assert_str_eq(inet_ntop(AF_INET6, &host, text, sizeof(text)), "fd63:6f6e:7472:2::1");
	ck_assert(ruleset_pick_subnet6(rules, 3, &host, &worker));
	ck_assert_str_eq(inet_ntop(AF_INET6, &host, text, sizeof(text)), "fd63:6f6e:7472::1");
}
END_TEST

START_TEST(too_many_literals_are_an_error)
{
	_cleanup_free_ struct net_rule *rules = calloc(NET_RULES_MAX + 1, sizeof(*rules));
	struct ruleset_config c = full();
	struct err e = ERR_INIT;
	struct nft_list l = {0};

	ck_assert_ptr_nonnull(rules);
	for (unsigned i = 0; i < NET_RULES_MAX; i++) {
		rules[i] = literal(i % 2 ? "0.0.0.0/0" : "10.0.0.0", "1", "tcp");
		if (i % 2 == 0)
			rules[i].addr.s6_addr[3] = (uint8_t)i;
		for (unsigned p = 1; p < NET_RULE_PORTS_MAX; p++) {
			uint16_t port = (uint16_t)(2 * (i * NET_RULE_PORTS_MAX + p));

			rules[i].ports[p] = (struct net_port_range){port, port};
		}
		rules[i].n_ports = NET_RULE_PORTS_MAX;
	}
	c.rules = rules;
	c.n_rules = NET_RULES_MAX;
	ck_assert_int_eq(ruleset_build(&c, &l, &e), -E2BIG);
	c.n_rules = NET_RULES_MAX + 1;
	ck_assert_int_eq(ruleset_build(&c, &l, &e), -E2BIG);
}
END_TEST

START_TEST(the_subnet_keeps_out_of_the_rules_way)
{
	struct net_rule rules[] = {literal("10.98.0.7", "1", "tcp"),
				   literal("10.0.0.0/8", "1", "tcp"),
				   literal("0.0.0.0/0", "1", "tcp")};
	struct in_addr host, worker;

	ruleset_pick_subnet(rules, 0, &host, &worker);
	ck_assert_uint_eq(ntohl(host.s_addr), 0x0a620001);
	ck_assert_uint_eq(ntohl(worker.s_addr), 0x0a620002);
	ruleset_pick_subnet(rules, 1, &host, &worker);
	ck_assert_uint_eq(ntohl(host.s_addr), 0x0a620101);
	ruleset_pick_subnet(rules, 2, &host, &worker);
	ck_assert_uint_eq(ntohl(host.s_addr), 0xac1f0001);
	ruleset_pick_subnet(rules, 3, &host, &worker);
	ck_assert_uint_eq(ntohl(host.s_addr), 0x0a620001);
}
END_TEST

/* Encodes one object and reads the message as if the kernel had sent it back. */
static int read_back(bool quota, size_t cut, struct nft_reading *ret)
{
	_cleanup_(nft_list_done) struct nft_list l = {0};
	_cleanup_(nft_batch_done) struct nft_batch b = {0};
	struct nl_bytes rest;
	struct nl_message m;

	nft_add_table(&l, NFPROTO_INET, "t");
	if (quota)
		nft_add_quota(&l, "o", 1);
	else
		nft_add_counter(&l, "o");
	ck_assert_int_eq(nft_encode(&l, &b, NULL), 0);
	rest = (struct nl_bytes){(uint8_t *)b.bytes.data, b.bytes.len};
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(nl_next_message(&rest, &m), 1);
	return nft_decode_object(m.payload.p, cut < m.payload.len ? m.payload.len - cut : 0, ret);
}

START_TEST(objects_are_read_with_care)
{
	struct nft_reading r = {.bytes = 77};

	ck_assert_int_eq(read_back(false, 0, &r), 1);
	ck_assert_str_eq(r.name, "o");
	ck_assert_uint_eq(r.bytes, 0);
	r.bytes = 77;
	/* our own message has no `consumed`, and is no answer */
	ck_assert_int_eq(read_back(true, 0, &r), 0);
	for (size_t cut = 1; cut < 80; cut++)
		ck_assert_int_eq(read_back(false, cut, &r), 0);
	ck_assert_uint_eq(r.bytes, 77);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("nft");
	TCase *tc = unit_case(s, "netlink");

	tcase_add_test(tc, messages_and_attributes_end_where_the_bytes_do);
	tcase_add_test(tc, numbers_and_strings_have_their_size);
	tc = unit_case(s, "batch");
	tcase_add_test(tc, a_batch_is_numbered_framed_and_decodes);
	tcase_add_test(tc, a_list_keeps_its_first_error);
	tcase_add_test(tc, expressions);
	tcase_add_test(tc, objects_are_read_with_care);
	tc = unit_case(s, "policy");
	tcase_add_test(tc, walls_saturate);
	tcase_add_test(tc, a_network_must_be_described_in_full);
	tcase_add_test(tc, literals_never_overlap);
	tcase_add_test(tc, six_has_a_set_of_its_own);
	tcase_add_test(tc, six_subnet_keeps_out_of_the_rules);
	tcase_add_test(tc, too_many_literals_are_an_error);
	tcase_add_test(tc, the_subnet_keeps_out_of_the_rules_way);
	return s;
}
