/* SPDX-License-Identifier: GPL-3.0-or-later */
/* net: connections that are given to the dialer, which passes their bytes on. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>

#include "dialing.h"
#include "net/pair.h"

static void on_passed(const struct dial_passed *p, void *user_data)
{
	struct fixture *f = user_data;

	f->ended += p->ended;
	for (int d = 0; d < _METER_DIR_MAX; d++)
		f->bytes[d] += p->bytes[d];
}

/* Gives the dialer one end of a TCP connection, the other end of which is the worker's. */
static uint32_t pass(struct fixture *f, const char *host, uint16_t port, int *ret_worker)
{
	struct dial_request rq = {.phase = NET_PHASE_BUILD, .proto = NET_PROTO_TCP, .port = port};
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	uint16_t relay_port = 0;
	int relay = listener("127.0.0.1", 1, &relay_port), fd;
	uint32_t id;

	while (!f->client->passes)
		ck_assert_int_eq(loop_step(f->loop, 1000), 0);
	(void)snprintf(rq.name, sizeof(rq.name), "%s", host);
	in.sin_port = htons(relay_port);
	*ret_worker = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(*ret_worker, (struct sockaddr *)&in, sizeof(in)), 0);
	fd = accept4(relay, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	ck_assert_int_ge(fd, 0);
	close(relay);
	ck_assert_int_eq(f->client->pass(f->client, &rq, fd, on_done, on_passed, f, &id), 0);
	return id;
}

static void step_until_ended(struct fixture *f, unsigned n)
{
	uint64_t end = io_now_ms() + 8000;

	while (f->ended < n && io_now_ms() < end)
		ck_assert_int_eq(loop_step(f->loop, 100), 0);
	ck_assert_uint_eq(f->ended, n);
}

/* The next thing that comes is a reset. */
static void check_reset(struct fixture *f, int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint64_t end = io_now_ms() + 8000;
	char c;

	while (poll(&p, 1, 0) == 0 && io_now_ms() < end)
		ck_assert_int_eq(loop_step(f->loop, 10), 0);
	ck_assert_int_lt(read(fd, &c, 1), 0);
	ck_assert_int_eq(errno, ECONNRESET);
}

/* Bytes pass without the client, which is told how many. */
START_TEST(passes)
{
	struct fixture f;
	char data[1000] = "";
	uint16_t port = 0;
	int fd = listener("127.0.0.1", 16, &port), worker, host;

	setup(&f);
	for (unsigned i = 1; i <= 3; i++) {
		(void)pass(&f, "ok.local.test", port, &worker);
		ck_assert_int_eq(send(worker, data, 10, 0), 10); /* before it is connected */
		host = accept(fd, NULL, NULL);
		ck_assert_int_eq(recv(host, data, sizeof(data), 0), 10);
		ck_assert_int_eq(send(host, data, 1000, 0), 1000);
		ck_assert_int_eq(recv(worker, data, 1000, MSG_WAITALL), 1000);
		step_until(&f, i);
		ck_assert_int_eq(f.reply.code, DIAL_OK);
		ck_assert(f.reply.has_addr);
		ck_assert_int_eq(f.got, -1);
		close(worker);
		ck_assert_int_eq(recv(host, data, 1, 0), 0);
		close(host);
		step_until_ended(&f, i);
		ck_assert_uint_eq(f.bytes[METER_UP], i * 10ULL);
		ck_assert_uint_eq(f.bytes[METER_DOWN], i * 1000ULL);
	}
	close(fd);
	(void)pass(&f, "two.local.test", port, &worker);
	step_until(&f, 4);
	ck_assert_int_eq(f.reply.code, DIAL_REFUSED);
	check_reset(&f, worker);
	close(worker);
	ck_assert_uint_eq(f.ended, 3);
	teardown(&f);
}
END_TEST

/* Whoever gives one up while the dialer is slow to listen has it ended all the same. */
START_TEST(passing_is_cancelled)
{
	enum { N = 400 };
	static int workers[N], ends[N];
	static uint32_t ids[N];
	struct fixture f;
	uint16_t port = 0;
	int fd = listener("127.0.0.1", N, &port);

	setup(&f);
	for (unsigned i = 0; i < N; i++) {
		ids[i] = pass(&f, "ok.local.test", port, &workers[i]);
		step_until(&f, i + 1);
		ck_assert_int_eq(f.reply.code, DIAL_OK);
		ends[i] = accept(fd, NULL, NULL);
	}
	ck_assert_int_eq(kill(f.pid, SIGSTOP), 0);
	for (unsigned i = 0; i < N; i++) /* more than the socket takes */
		f.client->cancel(f.client, ids[i]);
	ck_assert_int_eq(kill(f.pid, SIGCONT), 0);
	for (unsigned i = 0; i < N; i++) {
		check_reset(&f, workers[i]);
		check_reset(&f, ends[i]);
		close(workers[i]);
		close(ends[i]);
	}
	ck_assert_uint_eq(f.ended, 0); /* nobody wants to know */
	close(fd);
	teardown(&f);
}
END_TEST

/* A worker that does not wait ends the search for its host. */
START_TEST(hang_up)
{
	struct fixture f;
	uint64_t start;
	int worker;

	setup(&f);
	(void)pass(&f, "slow.local.test", 80, &worker);
	pair_reset_fd(&worker);
	start = io_now_ms();
	step_until(&f, 1);
	ck_assert_int_eq(f.reply.code, DIAL_CANCELLED);
	ck_assert_uint_lt(io_now_ms() - start, 600); /* its deadline is at 700 */
	teardown(&f);
}
END_TEST

static void expect_refusal(int fd, enum dial_code code, int error)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint8_t data[DIAL_MESSAGE_MAX];
	struct dial_message m;
	ssize_t n;

	do {
		ck_assert_int_eq(poll(&p, 1, 5000), 1);
		n = recv(fd, data, sizeof(data), 0);
		ck_assert_int_eq(dial_decode(data, (size_t)n, &m), 0);
	} while (m.kind == DIAL_KIND_OFFER);
	ck_assert_int_eq(m.kind, DIAL_KIND_REPLY);
	ck_assert_int_eq(m.reply.code, code);
	ck_assert_int_eq(m.reply.error, error);
}

/* What is no TCP socket has no bytes passed on, whoever sends it. */
START_TEST(only_tcp_is_passed)
{
	struct dial_message m = {.kind = DIAL_KIND_PASS,
				 .request = {.id = 1,
					     .phase = NET_PHASE_BUILD,
					     .proto = NET_PROTO_TCP,
					     .port = 80,
					     .name = "ok.local.test"}};
	struct fixture f;
	int local[2], ends[2], datagrams = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const int *fds[] = {&local[0], &ends[0], &datagrams};

	setup(&f);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, local), 0);
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		ck_assert_int_eq(dial_send(f.fd, &m, *fds[i]), 0);
		expect_refusal(f.fd, DIAL_ERROR, EBADF);
	}
	ck_assert_int_eq(dial_send(f.fd, &m, -1), 0);
	expect_refusal(f.fd, DIAL_BUSY, EMFILE);
	close(local[0]);
	close(local[1]);
	close(ends[0]);
	close(ends[1]);
	close(datagrams);
	teardown(&f);
}
END_TEST

/* A dialer's end is the end of what it passes on, and is told. */
START_TEST(dies)
{
	struct fixture f;
	uint16_t port = 0;
	int fd = listener("127.0.0.1", 1, &port), worker;
	char c;

	setup(&f);
	(void)pass(&f, "ok.local.test", port, &worker);
	step_until(&f, 1);
	ck_assert_int_eq(f.reply.code, DIAL_OK);
	ck_assert_int_eq(kill(f.pid, SIGKILL), 0);
	step_until_ended(&f, 1);
	ck_assert(f.gone);
	ck_assert_uint_eq(f.replies, 1);
	ck_assert_int_eq(read(worker, &c, 1), 0);
	close(worker);
	close(fd);
	teardown(&f);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("passage");
	TCase *tc = unit_case(s, "passage");

	tcase_add_test(tc, passes);
	tcase_add_test(tc, passing_is_cancelled);
	tcase_add_test(tc, hang_up);
	tcase_add_test(tc, only_tcp_is_passed);
	tcase_add_test(tc, dies);
	return s;
}
