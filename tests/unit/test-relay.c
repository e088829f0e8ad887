/* SPDX-License-Identifier: GPL-3.0-or-later */
/* net: TCP through relay and dialer: half-close, back pressure, many at once, refusals. */
#include "unit.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/io.h"
#include "fake/net.h"

static const struct net_rule rules[] = {
	{.kind = NET_HOST_SUFFIX,
	 .name = "local.test",
	 .tcp = true,
	 .ports = {{1024, 65535}},
	 .n_ports = 1,
	 .phases = NET_PHASE_PREPARE | NET_PHASE_BUILD,
	 .private_ok = true,
	 .line = 1},
	{.kind = NET_HOST_SUFFIX,
	 .name = "public.test",
	 .tcp = true,
	 .ports = {{1024, 65535}},
	 .n_ports = 1,
	 .phases = NET_PHASE_PREPARE | NET_PHASE_BUILD,
	 .line = 2},
	{.kind = NET_HOST_IP4,
	 .addr.s6_addr = {127, 0, 0, 1},
	 .prefix_len = 32,
	 .tcp = true,
	 .ports = {{1024, 65535}},
	 .n_ports = 1,
	 .phases = NET_PHASE_PREPARE,
	 .private_ok = true,
	 .line = 3},
};

#define SMALL (1 << 20)

static void setup(struct fake_net *f, bool by_relay)
{
	fake_net_init(f, rules, ARRAY_SIZE(rules));
	f->by_relay = by_relay;
}

/* Reads to the end before it answers: works only when the client's half-close arrives. */
static void late_server(int listen_fd, void *arg)
{
	int fd = fake_accept(listen_fd);

	fake_receive(fd, 0, SMALL);
	fake_expect_end(fd);
	fake_send(fd, 7, SMALL);
}

static void late_client(int none, void *arg)
{
	int fd = fake_connect(arg);

	fake_send(fd, 0, SMALL);
	if (shutdown(fd, SHUT_WR) < 0)
		fake_die("shutdown");
	fake_receive(fd, 7, SMALL);
	fake_expect_end(fd);
}

/* Ends its own direction first, and still takes what the client sends. */
static void early_server(int listen_fd, void *arg)
{
	int fd = fake_accept(listen_fd);

	fake_send(fd, 7, SMALL);
	if (shutdown(fd, SHUT_WR) < 0)
		fake_die("shutdown");
	fake_receive(fd, 0, SMALL);
	fake_expect_end(fd);
}

static void early_client(int none, void *arg)
{
	int fd = fake_connect(arg);

	fake_receive(fd, 7, SMALL);
	fake_expect_end(fd);
	fake_send(fd, 0, SMALL);
	if (shutdown(fd, SHUT_WR) < 0)
		fake_die("shutdown");
}

static void pair(void (*server)(int, void *), void (*client)(int, void *), const char *host,
		 bool by_relay)
{
	struct fake_net f;
	struct sockaddr_in to;
	pid_t s, c;
	uint16_t port;
	int fd = fake_listen(SOCK_STREAM, &port);

	setup(&f, by_relay);
	f.config.phase = NET_PHASE_PREPARE;
	to = fake_net_dest(&f, host, port);
	fake_net_start(&f);
	s = fake_peer(server, fd, NULL);
	close(fd);
	c = fake_peer(client, -1, &to);
	fake_net_wait(&f, c);
	fake_net_wait(&f, s);
	ck_assert_uint_eq(f.events[RELAY_OPENED], 1);
	fake_net_done(&f);
}

START_TEST(half_close)
{
	struct fake_net f;
	struct relay_stats stats;
	struct sockaddr_in to;
	pid_t s, c;
	uint16_t port;
	int fd = fake_listen(SOCK_STREAM, &port);

	pair(late_server, late_client, "127.0.0.1", _i);
	pair(early_server, early_client, "a.local.test", _i);
	setup(&f, _i);
	to = fake_net_dest(&f, "a.local.test", port);
	fake_net_start(&f);
	s = fake_peer(late_server, fd, NULL);
	close(fd);
	c = fake_peer(late_client, -1, &to);
	fake_net_wait(&f, c);
	fake_net_wait(&f, s);
	fake_net_drain(&f);
	relay_get_stats(f.relay, &stats);
	ck_assert_uint_eq(stats.opened, 1);
	ck_assert_uint_eq(stats.bytes[METER_UP], SMALL);
	ck_assert_uint_eq(stats.bytes[METER_DOWN], SMALL);
	ck_assert_uint_eq(relay_rule_stats(f.relay, 0)->bytes[METER_DOWN], SMALL);
	ck_assert_uint_eq(relay_rule_stats(f.relay, 0)->connections, 1);
	ck_assert_uint_eq(relay_rule_stats(f.relay, 1)->connections, 0);
	ck_assert_str_eq(f.last_name, "a.local.test");
	fake_net_done(&f);
}
END_TEST

#define BULK (32 << 20)

/* Both directions at once, each in a process. */
static void bulk_both(int fd)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		fake_send(fd, 0, BULK);
		if (shutdown(fd, SHUT_WR) < 0)
			fake_die("shutdown");
		_exit(0);
	}
	fake_receive(fd, 0, BULK);
	fake_expect_end(fd);
	if (waitpid(pid, &status, 0) != pid || status != 0)
		fake_die("sender");
}

static void bulk_server(int listen_fd, void *arg)
{
	bulk_both(fake_accept(listen_fd));
}

static void bulk_client(int none, void *arg)
{
	bulk_both(fake_connect(arg));
}

START_TEST(bulk)
{
	pair(bulk_server, bulk_client, "a.local.test", _i);
}
END_TEST

static void refused_client(int none, void *arg)
{
	int fd = fake_connect(arg);

	fake_expect_reset(fd);
}

START_TEST(refusals)
{
	static const struct {
		const char *host;
		uint16_t port;
		enum relay_event_type type;
		enum net_reason reason;
		enum dial_code code;
	} t[] = {
		{"a.local.test", 80, RELAY_DENIED, NET_DENIED_PORT, DIAL_OK},
		{"a.other.test", 8080, RELAY_DENIED, NET_DENIED_HOST, DIAL_OK},
		{"127.0.0.1", 8080, RELAY_DENIED, NET_DENIED_PHASE, DIAL_OK},
		{"10.0.0.1", 8080, RELAY_DENIED, NET_DENIED_HOST, DIAL_OK},
		{"198.19.9.9", 8080, RELAY_DENIED, NET_DENIED_HOST, DIAL_OK},
		{"evil.public.test", 8080, RELAY_DENIED, NET_DENIED_ADDRESS, DIAL_DENIED},
		{"none.local.test", 8080, RELAY_FAILED, NET_ALLOWED, DIAL_NO_NAME},
		{"a.local.test", 0, RELAY_FAILED, NET_ALLOWED, DIAL_REFUSED},
	};
	struct fake_net f;
	char text[NET_TEXT_MAX];
	uint16_t closed;
	int fd = fake_listen(SOCK_STREAM, &closed);

	close(fd);
	setup(&f, _i);
	fake_net_start(&f);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct sockaddr_in to =
			fake_net_dest(&f, t[i].host, t[i].port ? t[i].port : closed);
		uint64_t start = io_now_ms();
		struct net_query q;

		f.events[t[i].type] = 0;
		fake_net_wait(&f, fake_peer(refused_client, -1, &to));
		ck_assert_uint_le(io_now_ms() - start, 2000);
		ck_assert_msg(f.events[t[i].type] == 1 && f.last.type == t[i].type &&
				      f.last.decision.reason == t[i].reason &&
				      f.last.code == t[i].code,
			      "%s: type %d, reason %d, code %d", t[i].host, f.last.type,
			      f.last.decision.reason, f.last.code);
		f.last.name = f.last_name[0] ? f.last_name : NULL;
		q = relay_event_query(&f.last);
		if (i == 5)
			ck_assert_str_eq(net_decision_text(&f.last.decision, rules, &q, text),
					 "evil.public.test resolves to 10.0.0.1, which is a "
					 "private address, "
					 "and line 2 does not say private: true");
	}
	fake_net_done(&f);
}
END_TEST

#define MANY 1000

static void many_server(int listen_fd, void *arg)
{
	static int fds[MANY];

	for (size_t i = 0; i < MANY; i++)
		fds[i] = fake_accept(listen_fd);
	for (size_t i = 0; i < MANY; i++) {
		fake_receive(fds[i], 3, 1000);
		fake_send(fds[i], 3, 1000);
	}
}

/* All are open before the first byte is sent. */
static void many_client(int none, void *arg)
{
	static int fds[MANY];

	for (size_t i = 0; i < MANY; i++)
		fds[i] = fake_connect(arg);
	for (size_t i = 0; i < MANY; i++)
		fake_send(fds[i], 3, 1000);
	for (size_t i = 0; i < MANY; i++)
		fake_receive(fds[i], 3, 1000);
}

START_TEST(many)
{
	struct fake_net f;
	struct sockaddr_in to;
	struct relay_stats stats;
	pid_t s, c;
	uint16_t port;
	int fd = fake_listen(SOCK_STREAM, &port);

	setup(&f, _i);
	to = fake_net_dest(&f, "a.local.test", port);
	fake_net_start(&f);
	s = fake_peer(many_server, fd, NULL);
	close(fd);
	c = fake_peer(many_client, -1, &to);
	fake_net_wait(&f, c);
	fake_net_wait(&f, s);
	fake_net_drain(&f);
	relay_get_stats(f.relay, &stats);
	ck_assert_uint_eq(stats.opened, MANY);
	fake_net_done(&f);
}
END_TEST

#define QUEUED 60

static void one_by_one(int listen_fd, void *arg)
{
	for (int i = 0; i < QUEUED; i++) {
		int fd = fake_accept(listen_fd);

		fake_send(fd, 0, 10);
		close(fd);
	}
}

static void all_at_once(int none, void *arg)
{
	int fds[QUEUED];

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = fake_connect(arg);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fake_receive(fds[i], 0, 10);
		fake_expect_end(fds[i]);
		close(fds[i]);
	}
}

/* Beyond the limit connections wait in the kernel's queue, and have their turn. */
static void check_queue(size_t connections, bool by_relay)
{
	struct fake_net f;
	struct sockaddr_in to;
	pid_t s, c;
	uint16_t port;
	int fd = fake_listen(SOCK_STREAM, &port);

	setup(&f, by_relay);
	f.config.connections = connections;
	to = fake_net_dest(&f, "a.local.test", port);
	fake_net_start(&f);
	s = fake_peer(one_by_one, fd, NULL);
	close(fd);
	c = fake_peer(all_at_once, -1, &to);
	fake_net_wait(&f, c);
	fake_net_wait(&f, s);
	fake_net_done(&f);
}

START_TEST(connection_limit)
{
	check_queue(3, _i);
}
END_TEST

/* With few descriptors to have, the relay takes fewer connections and lives. */
START_TEST(few_descriptors)
{
	struct rlimit few = {260, 260};

	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	check_queue(0, _i);
}
END_TEST

/* Sends without end on its first connection, answers on the second. */
static void pouring_server(int listen_fd, void *arg)
{
	int pour = fake_accept(listen_fd), fd;

	if (fork() == 0) {
		(void)signal(SIGPIPE, SIG_IGN);
		for (uint64_t pos = 0; io_write_full(pour, &pos, sizeof(pos)) == 0; pos++)
			;
		_exit(0);
	}
	fd = fake_accept(listen_fd);
	fake_receive(fd, 0, SMALL);
	fake_send(fd, 0, SMALL);
}

static void slow_reader(int none, void *arg)
{
	int stuck = fake_connect(arg), fd;
	struct pollfd first = {.fd = stuck, .events = POLLIN};
	uint64_t start, took;

	/* the server must have accepted this one before the other; then time to fill all buffers */
	if (poll(&first, 1, 30000) != 1)
		fake_die("nothing comes");
	(void)poll(NULL, 0, 300);
	start = io_now_ms();
	fd = fake_connect(arg);
	fake_send(fd, 0, SMALL);
	fake_receive(fd, 0, SMALL);
	took = io_now_ms() - start;
	if (took > 3000)
		fake_die("%llu ms beside a reader that does not read", (unsigned long long)took);
	close(stuck);
}

START_TEST(slow_reader_stops_none)
{
	struct fake_net f;
	struct sockaddr_in to;
	pid_t s, c;
	uint16_t port;
	int fd = fake_listen(SOCK_STREAM, &port);

	setup(&f, _i);
	to = fake_net_dest(&f, "a.local.test", port);
	fake_net_start(&f);
	s = fake_peer(pouring_server, fd, NULL);
	close(fd);
	c = fake_peer(slow_reader, -1, &to);
	fake_net_wait(&f, c);
	fake_net_wait(&f, s);
	fake_net_drain(&f); /* the end of the stuck one reached its server */
	fake_net_done(&f);
}
END_TEST

/* An answer, and a reset behind it. */
static void resetting_server(int listen_fd, void *arg)
{
	struct linger now = {1, 0};
	int fd = fake_accept(listen_fd);

	fake_receive(fd, 0, 10);
	fake_send(fd, 0, 1000);
	(void)poll(NULL, 0, 200); /* over the wire before the reset */
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

static void reset_client(int none, void *arg)
{
	int fd = fake_connect(arg);

	fake_send(fd, 0, 10);
	fake_receive(fd, 0, 1000);
	fake_expect_reset(fd);
}

START_TEST(reset_is_passed_on)
{
	pair(resetting_server, reset_client, "a.local.test", _i);
}
END_TEST

static void waiting_server(int listen_fd, void *arg)
{
	fake_expect_reset(fake_accept(listen_fd));
}

static void leaving_client(int none, void *arg)
{
	struct linger now = {1, 0};
	int fd = fake_connect(arg);

	if (shutdown(fd, SHUT_WR) < 0)
		fake_die("shutdown");
	(void)poll(NULL, 0, 200);
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

/* The client half-closes, then resets, while the server has nothing to say. */
START_TEST(client_reset_is_passed_on)
{
	pair(waiting_server, leaving_client, "a.local.test", _i);
}
END_TEST

static void two_connections(int none, void *arg)
{
	int fd = fake_connect(arg);

	fake_receive(fd, 0, 10);
	fake_expect_reset(fd); /* the connection was the dialer's */
	fake_expect_reset(fake_connect(arg));
}

static void one_part(int listen_fd, void *arg)
{
	int fd = fake_accept(listen_fd);

	fake_send(fd, 0, 10);
	fake_expect_reset(fd);
}

START_TEST(dialer_death)
{
	struct fake_net f;
	struct relay_stats stats;
	struct sockaddr_in to;
	pid_t s, c;
	uint16_t port;
	int fd = fake_listen(SOCK_STREAM, &port), status;

	setup(&f, _i);
	to = fake_net_dest(&f, "a.local.test", port);
	fake_net_start(&f);
	s = fake_peer(one_part, fd, NULL);
	close(fd);
	c = fake_peer(two_connections, -1, &to);
	do {
		fake_net_step(&f, 10, NULL, 0);
		relay_get_stats(f.relay, &stats);
	} while (stats.bytes[METER_DOWN] < 10);
	ck_assert_int_eq(kill(f.dialer_pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(f.dialer_pid, &status, 0), f.dialer_pid);
	f.dialer_pid = 0;
	fake_net_wait(&f, c);
	fake_net_wait(&f, s);
	ck_assert_uint_eq(f.events[RELAY_FAILED], 1);
	ck_assert_int_eq(f.last.code, DIAL_GONE);
	fake_net_done(&f);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("relay");
	TCase *tc = unit_case(s, "tcp");

	tcase_set_timeout(tc, 110);
	/* 0: the dialer passes the bytes on, 1: the relay does */
	tcase_add_loop_test(tc, half_close, 0, 2);
	tcase_add_loop_test(tc, bulk, 0, 2);
	tcase_add_loop_test(tc, refusals, 0, 2);
	tcase_add_loop_test(tc, many, 0, 2);
	tcase_add_loop_test(tc, connection_limit, 0, 2);
	tcase_add_loop_test(tc, few_descriptors, 0, 2);
	tcase_add_loop_test(tc, slow_reader_stops_none, 0, 2);
	tcase_add_loop_test(tc, reset_is_passed_on, 0, 2);
	tcase_add_loop_test(tc, client_reset_is_passed_on, 0, 2);
	tcase_add_loop_test(tc, dialer_death, 0, 2);
	return s;
}
