/* SPDX-License-Identifier: GPL-3.0-or-later */
/* net: the meter; rate, total and phase in the relay; UDP flows. */
#include "unit.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/io.h"
#include "fake/net.h"

static const struct net_rule rules[] = {
	{.kind = NET_HOST_SUFFIX,
	 .name = "local.test",
	 .tcp = true,
	 .udp = true,
	 .ports = {{1024, 65535}},
	 .n_ports = 1,
	 .phases = NET_PHASE_PREPARE | NET_PHASE_BUILD,
	 .private_ok = true},
	{.kind = NET_HOST_NAME,
	 .name = "early.test",
	 .tcp = true,
	 .udp = true,
	 .ports = {{1024, 65535}},
	 .n_ports = 1,
	 .phases = NET_PHASE_PREPARE,
	 .private_ok = true},
};

START_TEST(meter)
{
	static const uint64_t rates[] = {1, 999, 10000, 1000000, UINT64_C(10) << 30};
	struct meter m;

	meter_init(&m, 0, 0, 5);
	ck_assert_uint_eq(meter_allow(&m, METER_UP, 1 << 20, 5), 1 << 20);
	ck_assert_uint_eq(meter_left(&m), UINT64_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
		uint64_t sum = 0, ms = 20000, step = 1 + i * 7;

		meter_init(&m, rates[i], 0, 1000);
		for (uint64_t now = 1000; now <= 1000 + ms; now += step) {
			size_t n;

			while ((n = meter_allow(&m, METER_DOWN, 65536, now)) > 0) {
				meter_use(&m, METER_DOWN, n);
				sum += n;
			}
		}
		/* the rate, and the bucket that was full at the start */
		ck_assert_uint_ge(sum + 1 + rates[i] * step / 1000, rates[i] * ms / 1000);
		ck_assert_uint_le(sum, rates[i] * ms / 1000 + MAX(rates[i] / 20, 4096U));
		/* the other direction has a bucket of its own */
		ck_assert_uint_gt(meter_allow(&m, METER_UP, 1, 1000 + ms), 0);
	}
	/* a datagram may overdraw; it is paid back; time that goes back gives nothing */
	meter_init(&m, 1000, 0, 0);
	meter_use(&m, METER_UP, 4096 + 2000);
	ck_assert_uint_eq(meter_allow(&m, METER_UP, 10, 2000), 0);
	ck_assert_uint_eq(meter_allow(&m, METER_UP, 10, 1000), 0);
	ck_assert_uint_eq(meter_allow(&m, METER_UP, 10, 2005), 10);
	ck_assert_uint_eq(meter_allow(&m, METER_UP, 1 << 30, UINT64_MAX), 4096);
	meter_init(&m, UINT64_MAX, 0, 0);
	ck_assert_uint_eq(meter_allow(&m, METER_UP, 65536, UINT64_MAX), 65536);
	meter_init(&m, 0, 100, 0);
	meter_use(&m, METER_UP, 60);
	ck_assert_uint_eq(meter_allow(&m, METER_DOWN, 65536, 0), 40);
	meter_use(&m, METER_DOWN, 40);
	ck_assert_uint_eq(meter_allow(&m, METER_UP, 1, 0), 0);
	ck_assert_uint_eq(meter_left(&m), 0);
	meter_use(&m, METER_DOWN, 1);
	ck_assert_uint_eq(meter_left(&m), 0);
}
END_TEST

/* Sends without end; that its connection is cut is as it should be. */
static void pour(int fd)
{
	static uint8_t data[65536];

	(void)signal(SIGPIPE, SIG_IGN);
	while (write(fd, data, sizeof(data)) > 0)
		;
}

static void pouring_server(int listen_fd, void *arg)
{
	pour(fake_accept(listen_fd));
}

static void draining_server(int listen_fd, void *arg)
{
	static uint8_t data[65536];
	int fd = fake_accept(listen_fd);

	while (read(fd, data, sizeof(data)) > 0)
		;
}

/* What a client is to do, and what it saw, in memory shared with the test. */
struct task {
	struct sockaddr_in to;
	uint64_t bytes, ms;
};

static uint64_t receive_some(int fd, uint64_t max)
{
	static uint8_t data[65536];
	uint64_t got = 0;

	while (got < max) {
		ssize_t n = read(fd, data, MIN(sizeof(data), max - got));

		if (n <= 0)
			break;
		got += (uint64_t)n;
	}
	return got;
}

#define WARM_UP 300000 /* spends the bucket that is full at the start, and fills the queues */

static void timed_download(int none, void *arg)
{
	struct task *t = arg;
	int fd = fake_connect(&t->to);
	uint64_t start;

	if (receive_some(fd, WARM_UP) != WARM_UP)
		fake_die("read");
	start = io_now_ms();
	if (receive_some(fd, t->bytes) != t->bytes)
		fake_die("read");
	t->ms = io_now_ms() - start;
}

static void timed_upload(int none, void *arg)
{
	struct task *t = arg;
	int fd = fake_connect(&t->to), small = 4096;
	uint64_t start;

	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	fake_send(fd, 0, 10 * WARM_UP);
	start = io_now_ms();
	fake_send(fd, 0, t->bytes);
	t->ms = io_now_ms() - start;
}

static void check_rate(bool up)
{
	struct task *t = fake_shared(sizeof(*t));
	struct fake_net f;
	pid_t s, c;
	uint16_t port;
	int fd = fake_listen(SOCK_STREAM, &port);

	fake_net_init(&f, rules, ARRAY_SIZE(rules));
	f.config.rate = 1000000;
	t->to = fake_net_dest(&f, "a.local.test", port);
	t->bytes = 3000000;
	fake_net_start(&f);
	s = fake_peer(up ? draining_server : pouring_server, fd, NULL);
	close(fd);
	c = fake_peer(up ? timed_upload : timed_download, -1, t);
	fake_net_wait(&f, c);
	fake_net_wait(&f, s);
	ck_assert_msg(t->ms >= 2850 && t->ms <= 3150, "3 MB at 1 MB/s took %llu ms",
		      (unsigned long long)t->ms);
	fake_net_done(&f);
	fake_unshare(t, sizeof(*t));
}

START_TEST(rate)
{
	check_rate(false);
	check_rate(true);
}
END_TEST

static void greedy_client(int none, void *arg)
{
	struct task *t = arg;

	t->bytes = receive_some(fake_connect(&t->to), UINT64_MAX);
}

#define TOTAL 10000000

START_TEST(total)
{
	struct task *t = fake_shared(sizeof(*t));
	struct fake_net f;
	struct relay_stats stats;
	pid_t s, c, late;
	uint16_t port;
	int fd = fake_listen(SOCK_STREAM, &port);

	fake_net_init(&f, rules, ARRAY_SIZE(rules));
	f.config.total = TOTAL;
	t->to = fake_net_dest(&f, "a.local.test", port);
	fake_net_start(&f);
	s = fake_peer(pouring_server, fd, NULL);
	close(fd);
	c = fake_peer(greedy_client, -1, t);
	fake_net_wait(&f, c);
	fake_net_wait(&f, s);
	ck_assert_uint_le(t->bytes, TOTAL);
	ck_assert_uint_gt(t->bytes, TOTAL / 2); /* the reset takes what was under way */
	ck_assert_uint_eq(f.events[RELAY_OVER], 1);
	relay_get_stats(f.relay, &stats);
	ck_assert_uint_eq(stats.bytes[METER_DOWN], TOTAL);
	ck_assert_uint_eq(stats.connections, 0);
	/* and nothing opens any more */
	late = fake_peer(greedy_client, -1, t);
	fake_net_step(&f, 300, NULL, 0);
	relay_get_stats(f.relay, &stats);
	ck_assert_uint_eq(stats.opened, 1);
	ck_assert_int_eq(kill(late, SIGKILL), 0);
	ck_assert_int_eq(waitpid(late, NULL, 0), late);
	fake_net_done(&f);
	fake_unshare(t, sizeof(*t));
}
END_TEST

static void exact_server(int listen_fd, void *arg)
{
	int fd = fake_accept(listen_fd);

	fake_receive(fd, 0, TOTAL / 2);
	fake_send(fd, 0, TOTAL / 2);
}

static void exact_client(int none, void *arg)
{
	int fd = fake_connect(arg);

	fake_send(fd, 0, TOTAL / 2);
	fake_receive(fd, 0, TOTAL / 2);
	fake_expect_end(fd);
}

/* All of the total may be used: what ends exactly there is not over it. */
START_TEST(total_to_the_byte)
{
	struct fake_net f;
	struct sockaddr_in to;
	pid_t s, c;
	uint16_t port;
	int fd = fake_listen(SOCK_STREAM, &port);

	fake_net_init(&f, rules, ARRAY_SIZE(rules));
	f.config.total = TOTAL;
	to = fake_net_dest(&f, "a.local.test", port);
	fake_net_start(&f);
	s = fake_peer(exact_server, fd, NULL);
	close(fd);
	c = fake_peer(exact_client, -1, &to);
	fake_net_wait(&f, c);
	fake_net_wait(&f, s);
	ck_assert_uint_eq(f.events[RELAY_OVER], 0);
	fake_net_done(&f);
}
END_TEST

static void waiting_server(int listen_fd, void *arg)
{
	int one = fake_accept(listen_fd), two = fake_accept(listen_fd);

	fake_expect_reset(one);
	fake_receive(two, 0, 10);
}

/* The first connection is cut, the second outlives the phase. */
static void phase_client(int none, void *arg)
{
	struct sockaddr_in *to = arg;
	int one = fake_connect(&to[0]), two;

	(void)poll(NULL, 0, 200); /* so that the server accepts them in this order */
	two = fake_connect(&to[1]);
	fake_expect_reset(one);
	fake_send(two, 0, 10);
}

START_TEST(phase_ends)
{
	struct fake_net f;
	struct sockaddr_in to[2];
	pid_t s, c;
	uint16_t port;
	int fd = fake_listen(SOCK_STREAM, &port);

	fake_net_init(&f, rules, ARRAY_SIZE(rules));
	f.by_relay = _i;
	f.config.phase = NET_PHASE_PREPARE;
	to[0] = fake_net_dest(&f, "early.test", port);
	to[1] = fake_net_dest(&f, "a.local.test", port);
	fake_net_start(&f);
	s = fake_peer(waiting_server, fd, NULL);
	close(fd);
	c = fake_peer(phase_client, -1, to);
	fake_net_step(&f, 5000, &f.events[RELAY_OPENED], 2);
	relay_set_phase(f.relay, NET_PHASE_BUILD);
	ck_assert_uint_eq(f.events[RELAY_ENDED], 1);
	ck_assert_str_eq(f.last_name, "early.test");
	ck_assert_int_eq(f.last.decision.reason, NET_DENIED_PHASE);
	fake_net_wait(&f, c);
	fake_net_wait(&f, s);
	fake_net_done(&f);
}
END_TEST

static void idle_client(int none, void *arg)
{
	fake_expect_reset(fake_connect(arg));
}

static void idle_server(int listen_fd, void *arg)
{
	fake_expect_reset(fake_accept(listen_fd));
}

START_TEST(idle)
{
	struct fake_net f;
	struct sockaddr_in to;
	pid_t s, c;
	uint16_t port;
	int fd = fake_listen(SOCK_STREAM, &port);

	fake_net_init(&f, rules, ARRAY_SIZE(rules));
	f.by_relay = _i;
	f.config.idle_ms = 500;
	to = fake_net_dest(&f, "a.local.test", port);
	fake_net_start(&f);
	s = fake_peer(idle_server, fd, NULL);
	close(fd);
	c = fake_peer(idle_client, -1, &to);
	fake_net_wait(&f, c);
	fake_net_wait(&f, s);
	fake_net_done(&f);
}
END_TEST

/* A datagram for dests[n], of that length. */
static void send_datagram(struct fake_net *f, int fd, uint8_t n, size_t len)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				 .sin_port = htons(f->port)};
	uint8_t data[60000] = {'d', n};

	ck_assert_int_eq(sendto(fd, data, len, 0, (struct sockaddr *)&to, sizeof(to)),
			 (ssize_t)len);
}

/* Steps the loop until a datagram is there; its length, or -1 after ms. */
static ssize_t receive_datagram(struct fake_net *f, int fd, uint64_t ms,
				struct sockaddr_in *ret_from)
{
	uint64_t end = io_now_ms() + ms;
	uint8_t data[60000];
	socklen_t len = sizeof(*ret_from);
	ssize_t n;

	do {
		ck_assert_int_eq(loop_step(f->loop, 10), 0);
		n = recvfrom(fd, data, sizeof(data), MSG_DONTWAIT, (struct sockaddr *)ret_from,
			     &len);
	} while (n < 0 && io_now_ms() < end);
	return n;
}

START_TEST(udp)
{
	struct sockaddr_in from;
	struct fake_net f;
	struct relay_stats stats;
	uint16_t port;
	int server = fake_listen(SOCK_DGRAM, &port);
	int client = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	fake_net_init(&f, rules, ARRAY_SIZE(rules));
	f.config.udp_idle_ms = 500;
	(void)fake_net_dest(&f, "a.local.test", port);
	(void)fake_net_dest(&f, "a.local.test", 53);
	(void)fake_net_dest(&f, "evil.local.test", port);
	fake_net_start(&f);
	for (size_t i = 0; i < 3; i++) { /* the first opens the flow, the others use it */
		send_datagram(&f, client, 0, 2 + i * 20000);
		ck_assert_int_eq(receive_datagram(&f, server, 3000, &from),
				 (ssize_t)(2 + i * 20000));
		ck_assert_int_eq(sendto(server, "answer", 6, 0, (struct sockaddr *)&from,
					sizeof(from)),
				 6);
		ck_assert_int_eq(receive_datagram(&f, client, 3000, &from), 6);
	}
	ck_assert_uint_eq(f.events[RELAY_OPENED], 1);
	relay_get_stats(f.relay, &stats);
	ck_assert_uint_eq(stats.flows, 1);
	ck_assert_uint_eq(stats.bytes[METER_UP], 60006);
	ck_assert_uint_eq(stats.bytes[METER_DOWN], 18);
	send_datagram(&f, client, 1, 100);
	fake_net_step(&f, 2000, &f.events[RELAY_DENIED], 1);
	ck_assert_int_eq(f.last.decision.reason, NET_DENIED_PORT);
	ck_assert_int_eq(f.last.proto, NET_PROTO_UDP);
	fake_net_step(&f, 2000, NULL, 0); /* the flow idles away */
	relay_get_stats(f.relay, &stats);
	ck_assert_uint_eq(stats.flows, 0);
	close(server);
	close(client);
	fake_net_done(&f);
}
END_TEST

START_TEST(udp_limits)
{
	struct sockaddr_in from;
	struct fake_net f;
	struct relay_stats stats;
	uint16_t port;
	int server = fake_listen(SOCK_DGRAM, &port), clients[20];

	fake_net_init(&f, rules, ARRAY_SIZE(rules));
	f.config.flows = 4;
	f.config.total = 20000;
	(void)fake_net_dest(&f, "a.local.test", port);
	(void)fake_net_dest(&f, "early.test", port);
	f.config.phase = NET_PHASE_PREPARE;
	fake_net_start(&f);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++) { /* the oldest makes room */
		clients[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		send_datagram(&f, clients[i], (uint8_t)(i % 2), 10);
		ck_assert_int_eq(receive_datagram(&f, server, 3000, &from), 10);
	}
	relay_get_stats(f.relay, &stats);
	ck_assert_uint_eq(stats.flows, 4);
	ck_assert_uint_eq(stats.opened, ARRAY_SIZE(clients));
	relay_set_phase(f.relay, NET_PHASE_BUILD);
	relay_get_stats(f.relay, &stats);
	ck_assert_uint_eq(stats.flows, 2);
	send_datagram(&f, clients[19], 1, 10);
	fake_net_step(&f, 2000, &f.events[RELAY_DENIED], 1);
	ck_assert_int_eq(f.last.decision.reason, NET_DENIED_PHASE);
	/* a datagram that is more than what is left goes nowhere */
	send_datagram(&f, clients[18], 0, 19801);
	ck_assert_int_eq(receive_datagram(&f, server, 300, &from), -1);
	ck_assert_uint_eq(f.events[RELAY_OVER], 1);
	relay_get_stats(f.relay, &stats);
	ck_assert_uint_eq(stats.bytes[METER_UP], 200);
	ck_assert_uint_eq(stats.flows, 0);
	for (size_t i = 0; i < ARRAY_SIZE(clients); i++)
		close(clients[i]);
	close(server);
	fake_net_done(&f);
}
END_TEST

/* A port where nobody listens: the flow ends, and a later datagram opens another. */
START_TEST(udp_unreachable)
{
	struct sockaddr_in from;
	struct fake_net f;
	struct relay_stats stats;
	uint16_t port;
	int server = fake_listen(SOCK_DGRAM, &port);
	int client = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	fake_net_init(&f, rules, ARRAY_SIZE(rules));
	(void)fake_net_dest(&f, "a.local.test", port);
	fake_net_start(&f);
	send_datagram(&f, client, 0, 10);
	ck_assert_int_eq(receive_datagram(&f, server, 3000, &from), 10);
	close(server);
	send_datagram(&f, client, 0, 10);
	fake_net_step(&f, 500, NULL, 0);
	relay_get_stats(f.relay, &stats);
	ck_assert_uint_eq(stats.flows, 0);
	send_datagram(&f, client, 0, 10);
	fake_net_step(&f, 2000, &f.events[RELAY_OPENED], 2);
	ck_assert_uint_eq(f.events[RELAY_OPENED], 2);
	close(client);
	fake_net_done(&f);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("relay-limits");
	TCase *tc = unit_case(s, "limits");

	tcase_set_timeout(tc, 110);
	tcase_add_test(tc, meter);
	tcase_add_test(tc, rate);
	tcase_add_test(tc, total);
	tcase_add_test(tc, total_to_the_byte);
	tcase_add_loop_test(tc, phase_ends, 0, 2);
	tcase_add_loop_test(tc, idle, 0, 2);
	tc = unit_case(s, "udp");
	tcase_add_test(tc, udp);
	tcase_add_test(tc, udp_limits);
	tcase_add_test(tc, udp_unreachable);
	return s;
}
