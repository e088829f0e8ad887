/* SPDX-License-Identifier: GPL-3.0-or-later */
/* net: refused packets, decoded and described. */
#include "unit.h"

#include <errno.h>
#include <linux/if_ether.h>

#include "net/nflog.h"
#include "net/ruleset.h"

/* 10.98.0.2:40000 to 1.2.3.4:80, TCP, 24 bytes of it */
static const uint8_t tcp4[] = {0x45, 0,	 0, 40, 0, 1, 0, 0, 64,	  6,	0, 0,
			       10,   98, 0, 2,	1, 2, 3, 4, 0x9c, 0x40, 0, 80};
/* UDP over IPv6 behind an eight-byte destination option */
static const uint8_t udp6[] = {0x60, 0, 0, 0, 0, 16, 60,   64,	 0xfe, 0x80, 0,	   0,	 0,  0,
			       0,    0, 0, 0, 0, 0,  0,	   0,	 0,    2,    0x20, 0x01, 13, 0xb8,
			       0,    0, 0, 0, 0, 0,  0,	   0,	 0,    0,    0,	   1,	 17, 0,
			       1,    4, 0, 0, 0, 0,  0x9c, 0x40, 0,    53,   0,	   8,	 0,  0};
/* 10.98.0.1 at 52:54:00:99:99:99 asks for 10.98.0.2 */
static const uint8_t arp[] = {0,  1,  8, 0, 6, 4, 0, 1, 0x52, 0x54, 0,	0x99, 0x99, 0x99,
			      10, 98, 0, 1, 0, 0, 0, 0, 0,    0,    10, 98,   0,    2};
static const uint8_t mac[8] = {0x52, 0x54, 0, 1, 2, 3};

static int decode(const char *prefix, uint16_t type, const uint8_t *p, size_t len,
		  struct attempt *ret)
{
	/* a copy of exact size, so that a sanitizer sees every byte too far */
	_cleanup_free_ uint8_t *copy = malloc(len ? len : 1);
	struct nflog_raw raw = {prefix, type, copy, len, mac, sizeof(mac)};

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, p, len);
	*ret = (struct attempt){0};
	return nflog_decode(&raw, ret);
}

static void says(const struct attempt *a, const char *want)
{
	char text[ATTEMPT_TEXT_MAX];

	ck_assert_str_eq(attempt_text(a, text), want);
}

START_TEST(denied_packets)
{
	struct attempt a;

	ck_assert_int_eq(decode(RULESET_LOG_DENIED, ETH_P_IP, tcp4, sizeof(tcp4), &a), 0);
	ck_assert_int_eq(a.kind, ATTEMPT_DENIED);
	ck_assert_uint_eq(a.port, 80);
	says(&a, "tcp to 1.2.3.4 port 80");
	/* without a type the version tells, without a known prefix it is denied */
	ck_assert_int_eq(decode(NULL, 0, udp6, sizeof(udp6), &a), 0);
	says(&a, "udp to 2001:db8::1 port 53");
	ck_assert_int_eq(decode("x", 0, tcp4, sizeof(tcp4), &a), 0);
	ck_assert_int_eq(a.kind, ATTEMPT_DENIED);
}
END_TEST

START_TEST(spoofed_packets)
{
	struct attempt a;

	ck_assert_int_eq(decode(RULESET_LOG_SPOOF_MAC, 0, tcp4, sizeof(tcp4), &a), 0);
	says(&a, "tcp to 1.2.3.4 port 80 from 52:54:00:01:02:03, which is not the worker's MAC"
		 " address");
	ck_assert_int_eq(decode(RULESET_LOG_SPOOF_IP, 0, tcp4, sizeof(tcp4), &a), 0);
	says(&a, "tcp to 1.2.3.4 port 80 from 10.98.0.2, which is not the worker's address");
	ck_assert_int_eq(decode(RULESET_LOG_ARP, ETH_P_ARP, arp, sizeof(arp), &a), 0);
	says(&a, "ARP about 10.98.0.2 from 10.98.0.1 at 52:54:00:99:99:99");
}
END_TEST

START_TEST(short_and_broken_packets)
{
	uint8_t b[sizeof(udp6)];
	struct attempt a;

	for (size_t len = 0; len <= sizeof(tcp4); len++) {
		ck_assert_int_eq(decode(NULL, ETH_P_IP, tcp4, len, &a), len < 20 ? -EBADMSG : 0);
		ck_assert_uint_eq(a.port, len < 24 ? 0 : 80);
	}
	for (size_t len = 0; len <= sizeof(udp6); len++) {
		ck_assert_int_eq(decode(NULL, ETH_P_IPV6, udp6, len, &a), len < 40 ? -EBADMSG : 0);
		ck_assert_uint_eq(a.port, len < 52 ? 0 : 53);
	}
	for (size_t len = 0; len <= sizeof(arp); len++)
		ck_assert_int_eq(decode(RULESET_LOG_ARP, ETH_P_ARP, arp, len, &a),
				 len < 28 ? -EBADMSG : 0);
	ck_assert_int_eq(decode(NULL, ETH_P_IPV6, tcp4, sizeof(tcp4), &a), -EBADMSG);
	ck_assert_int_eq(decode(NULL, ETH_P_IP, udp6, sizeof(udp6), &a), -EBADMSG);
	ck_assert_int_eq(decode(NULL, 0x1234, tcp4, sizeof(tcp4), &a), -EBADMSG);
	/* a header shorter than itself, a later fragment, options beyond the end */
	memcpy(b, tcp4, sizeof(tcp4));
	b[0] = 0x44;
	ck_assert_int_eq(decode(NULL, 0, b, sizeof(tcp4), &a), 0);
	ck_assert_uint_eq(a.port, 0);
	b[0] = 0x4f;
	ck_assert_int_eq(decode(NULL, 0, b, sizeof(tcp4), &a), 0);
	ck_assert_uint_eq(a.port, 0);
	b[0] = 0x45;
	b[7] = 1;
	ck_assert_int_eq(decode(NULL, 0, b, sizeof(tcp4), &a), 0);
	ck_assert_uint_eq(a.port, 0);
	/* an extension that claims more than there is */
	memcpy(b, udp6, sizeof(udp6));
	b[41] = 200;
	ck_assert_int_eq(decode(NULL, 0, b, sizeof(udp6), &a), 0);
	ck_assert_uint_eq(a.port, 0);
}
END_TEST

START_TEST(sources_chosen_at_will_make_no_new_attempts)
{
	uint8_t b[sizeof(tcp4)];
	static const struct net_addr none;
	struct attempt a;

	memcpy(b, tcp4, sizeof(b));
	for (uint8_t i = 0; i < 200; i++) {
		b[15] = i; /* source address */
		b[21] = i; /* source port */
		ck_assert_int_eq(decode(RULESET_LOG_DENIED, 0, b, sizeof(b), &a), 0);
		ck_assert_mem_eq(&a.src, &none, sizeof(none));
		says(&a, "tcp to 1.2.3.4 port 80");
	}
}
END_TEST

START_TEST(protocols_have_names)
{
	struct attempt a = {.proto = 47, .has_dst = true};

	says(&a, "protocol 47 to 0.0.0.0");
	a.proto = IPPROTO_ICMPV6;
	a.has_dst = false;
	says(&a, "icmp to nowhere");
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("nflog");
	TCase *tc = unit_case(s, "nflog");

	tcase_add_test(tc, denied_packets);
	tcase_add_test(tc, spoofed_packets);
	tcase_add_test(tc, short_and_broken_packets);
	tcase_add_test(tc, sources_chosen_at_will_make_no_new_attempts);
	tcase_add_test(tc, protocols_have_names);
	return s;
}
