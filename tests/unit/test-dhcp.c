/* SPDX-License-Identifier: GPL-3.0-or-later */
/* net: DHCP messages, the one lease, and the server in a network namespace of the test's own. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/io.h"
#include "net/dhcp-server.h"
#include "net/listen.h"

#define ADDRESS 0x0a141e02 /* 10.20.30.2 */
#define SERVER	0x0a141e01

static const struct dhcp_lease lease = {.mac = {2, 0, 0, 0, 0, 1},
					.address = ADDRESS,
					.prefix_len = 24,
					.server = SERVER,
					.router = SERVER,
					.dns = SERVER,
					.lease_s = 86400};

struct msg {
	uint8_t b[DHCP_MESSAGE_MAX + 1];
	size_t len;
};

static void put_u32(uint8_t *p, uint32_t v)
{
	for (int i = 3; i >= 0; i--, v >>= 8)
		p[i] = (uint8_t)v;
}

static void begin(struct msg *m, uint8_t type)
{
	static const uint8_t head[] = {1, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef, 0, 0, 0x80};

	*m = (struct msg){.len = 243};
	memcpy(m->b, head, sizeof(head));
	memcpy(m->b + 28, lease.mac, sizeof(lease.mac));
	memcpy(m->b + 236, "\x63\x82\x53\x63\x35\1", 6);
	m->b[242] = type;
}

static void option(struct msg *m, uint8_t code, uint32_t v)
{
	m->b[m->len] = code;
	m->b[m->len + 1] = 4;
	put_u32(m->b + m->len + 2, v);
	m->len += 6;
}

static void end(struct msg *m)
{
	m->b[m->len++] = 255;
}

/* The value of a four-byte option of a reply, 0 if it has none. */
static uint32_t find(const uint8_t *b, uint8_t code)
{
	size_t at = 240;

	while (at < DHCP_REPLY_LEN && b[at] != 255) {
		if (b[at] == code && b[at + 1] == 4)
			return (uint32_t)b[at + 2] << 24 | (uint32_t)b[at + 3] << 16 |
			       (uint32_t)b[at + 4] << 8 | b[at + 5];
		at += 2U + b[at + 1];
	}
	ck_assert_uint_lt(at, DHCP_REPLY_LEN);
	return 0;
}

/* Type of the reply to what stands in m, 0 for none, -1 when m is no message. */
static int ask(struct msg *m, uint8_t out[DHCP_REPLY_LEN], bool *broadcast)
{
	struct dhcp_message d;

	if (dhcp_decode(m->b, m->len, &d) < 0)
		return -1;
	return dhcp_reply(&lease, &d, out, broadcast) ? out[242] : 0;
}

START_TEST(handshake)
{
	uint8_t out[DHCP_REPLY_LEN];
	bool broadcast = false;
	struct msg m;

	begin(&m, DHCP_DISCOVER);
	end(&m);
	ck_assert_int_eq(ask(&m, out, &broadcast), DHCP_OFFER);
	ck_assert(broadcast);
	ck_assert_uint_eq(out[0], 2);
	ck_assert_mem_eq(out + 4, m.b + 4, 4);
	ck_assert_mem_eq(out + 10, "\x80\0", 2);
	ck_assert_mem_eq(out + 16, "\x0a\x14\x1e\x02", 4);
	ck_assert_mem_eq(out + 28, lease.mac, 6);
	ck_assert_uint_eq(find(out, 1), 0xffffff00);
	ck_assert_uint_eq(find(out, 3), SERVER);
	ck_assert_uint_eq(find(out, 6), SERVER);
	ck_assert_uint_eq(find(out, 51), 86400);
	ck_assert_uint_eq(find(out, 54), SERVER);

	begin(&m, DHCP_REQUEST);
	option(&m, 50, ADDRESS);
	option(&m, 54, SERVER);
	end(&m);
	ck_assert_int_eq(ask(&m, out, &broadcast), DHCP_ACK);
	ck_assert(broadcast);
	begin(&m, DHCP_REQUEST); /* renewal: by the address that it has */
	put_u32(m.b + 12, ADDRESS);
	end(&m);
	ck_assert_int_eq(ask(&m, out, &broadcast), DHCP_ACK);
	ck_assert(!broadcast);
	begin(&m, DHCP_INFORM);
	put_u32(m.b + 12, ADDRESS);
	end(&m);
	ck_assert_int_eq(ask(&m, out, &broadcast), DHCP_ACK);
	ck_assert_mem_eq(out + 16, "\0\0\0\0", 4);
	ck_assert_uint_eq(find(out, 51), 0);
}
END_TEST

START_TEST(refusals)
{
	uint8_t out[DHCP_REPLY_LEN];
	bool broadcast = false;
	struct msg m;

	begin(&m, DHCP_REQUEST);
	option(&m, 50, ADDRESS + 1);
	end(&m);
	ck_assert_int_eq(ask(&m, out, &broadcast), DHCP_NAK);
	ck_assert(broadcast);
	ck_assert_mem_eq(out + 16, "\0\0\0\0", 4);
	ck_assert_uint_eq(find(out, 51), 0);
	begin(&m, DHCP_REQUEST); /* an address that is not ours is never sent to */
	put_u32(m.b + 12, 0x08080808);
	end(&m);
	ck_assert_int_eq(ask(&m, out, &broadcast), DHCP_NAK);
	ck_assert(broadcast);
	begin(&m, DHCP_REQUEST);
	option(&m, 50, ADDRESS);
	option(&m, 54, SERVER + 9);
	end(&m);
	ck_assert_int_eq(ask(&m, out, &broadcast), 0);
	begin(&m, DHCP_DISCOVER); /* another MAC */
	m.b[33]++;
	end(&m);
	ck_assert_int_eq(ask(&m, out, &broadcast), 0);
	begin(&m, DHCP_INFORM);
	end(&m);
	ck_assert_int_eq(ask(&m, out, &broadcast), 0);
	for (uint8_t type = 0; type < 20; type++) {
		if (type == DHCP_DISCOVER || type == DHCP_REQUEST || type == DHCP_INFORM)
			continue;
		begin(&m, type);
		end(&m);
		ck_assert_int_eq(ask(&m, out, &broadcast), type == 0 || type > 8 ? -1 : 0);
	}
}
END_TEST

START_TEST(hostile)
{
	uint8_t out[DHCP_REPLY_LEN];
	bool broadcast;
	struct msg m;

	begin(&m, DHCP_DISCOVER);
	option(&m, 50, ADDRESS);
	for (size_t len = 0; len <= 240; len++) {
		m.len = len;
		ck_assert_int_eq(ask(&m, out, &broadcast), -1);
	}
	for (size_t len = 241; len <= 249; len++) { /* 243: whole without the second option */
		m.len = len;
		ck_assert_int_eq(ask(&m, out, &broadcast),
				 len == 243 || len == 249 ? DHCP_OFFER : -1);
	}
	m.len = DHCP_MESSAGE_MAX; /* padding to the end, without an end option */
	ck_assert_int_eq(ask(&m, out, &broadcast), DHCP_OFFER);
	m.len = DHCP_MESSAGE_MAX + 1;
	ck_assert_int_eq(ask(&m, out, &broadcast), -1);
	static const struct {
		size_t at;
		uint8_t value;
	} bad[] = {{0, 2},   {1, 6},   {2, 16},	 {24, 1},   {236, 0},
		   {239, 0}, {241, 2}, {244, 3}, {244, 255}};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		begin(&m, DHCP_DISCOVER);
		option(&m, 50, ADDRESS);
		end(&m);
		m.b[bad[i].at] = bad[i].value;
		ck_assert_msg(ask(&m, out, &broadcast) == -1, "byte %zu", bad[i].at);
	}
	begin(&m, DHCP_DISCOVER); /* BOOTP: no type at all */
	m.b[240] = 0;
	m.b[241] = 0;
	m.b[242] = 255;
	ck_assert_int_eq(ask(&m, out, &broadcast), -1);
}
END_TEST

/* Loopback of a namespace of our own, brought up; broadcasts stay in it. */
static void own_namespace(void)
{
	struct ifreq ifr = {.ifr_name = "lo"};
	int fd;

	ck_assert_msg(unshare(getuid() == 0 ? CLONE_NEWNET : CLONE_NEWUSER | CLONE_NEWNET) == 0,
		      "unshare: %s", strerror(errno));
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ifr.ifr_flags = IFF_UP | IFF_RUNNING;
	ck_assert_int_eq(ioctl(fd, SIOCSIFFLAGS, &ifr), 0);
	close(fd);
}

START_TEST(server)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(DHCP_SERVER_PORT),
				 .sin_addr.s_addr = htonl(INADDR_BROADCAST)};
	struct net_addr any = {0};
	struct dhcp_server *s = NULL;
	struct err e = ERR_INIT;
	uint8_t out[1000];
	struct loop *l;
	struct msg m;
	int fd, client;
	ssize_t n = -1;

	own_namespace();
	fd = net_listen(SOCK_DGRAM, NET_LISTEN_BROADCAST, &any, DHCP_SERVER_PORT, "lo", &e);
	ck_assert_msg(fd >= 0, "%s", e.text);
	client = net_listen(SOCK_DGRAM, NET_LISTEN_BROADCAST, &any, DHCP_CLIENT_PORT, "lo", &e);
	ck_assert_msg(client >= 0, "%s", e.text);
	ck_assert_int_eq(loop_new(&l), 0);
	ck_assert_int_eq(dhcp_server_new(l, fd, &lease, &s, &e), 0);
	memset(&m, 0xff, sizeof(m));
	ck_assert_int_eq(sendto(client, m.b, 1501, 0, (struct sockaddr *)&to, sizeof(to)), 1501);
	ck_assert_int_eq(sendto(client, m.b, 0, 0, (struct sockaddr *)&to, sizeof(to)), 0);
	begin(&m, DHCP_DISCOVER);
	end(&m);
	ck_assert_int_eq(sendto(client, m.b, m.len, 0, (struct sockaddr *)&to, sizeof(to)),
			 (ssize_t)m.len);
	for (int i = 0; i < 50 && n < 0; i++) {
		ck_assert_int_eq(loop_step(l, 20), 0);
		n = recv(client, out, sizeof(out), MSG_DONTWAIT);
	}
	ck_assert_int_eq(n, DHCP_REPLY_LEN);
	ck_assert_uint_eq(out[242], DHCP_OFFER);
	dhcp_server_free(s);
	loop_free(l);
	close(client);
	close(fd);
}
END_TEST

START_TEST(listening)
{
	struct net_addr lo = net_addr_ip4(INADDR_LOOPBACK), elsewhere = net_addr_ip4(0x08080808);
	struct err e = ERR_INIT;
	int fd, on = 0;
	socklen_t len = sizeof(on);

	own_namespace();
	fd = net_listen(SOCK_STREAM, NET_LISTEN_TPROXY, &lo, 1, NULL, &e);
	ck_assert_msg(fd >= 0, "%s", e.text);
	ck_assert_int_eq(getsockopt(fd, SOL_IP, IP_TRANSPARENT, &on, &len), 0);
	ck_assert_int_eq(on, 1);
	ck_assert_int_eq(net_listen(SOCK_STREAM, NET_LISTEN_PLAIN, &lo, 1, NULL, &e), -EADDRINUSE);
	ck_assert_str_eq(e.text, "cannot serve TCP on 127.0.0.1 port 1: Address already in use");
	close(fd);
	ck_assert_int_eq(net_listen(SOCK_DGRAM, NET_LISTEN_PLAIN, &elsewhere, 53, NULL, &e),
			 -EADDRNOTAVAIL);
	ck_assert_int_eq(net_listen(SOCK_DGRAM, NET_LISTEN_PLAIN, &lo, 53, "none", &e), -ENODEV);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("dhcp");
	TCase *tc = unit_case(s, "dhcp");

	tcase_add_test(tc, handshake);
	tcase_add_test(tc, refusals);
	tcase_add_test(tc, hostile);
	tcase_add_test(tc, server);
	tcase_add_test(tc, listening);
	return s;
}
