/* SPDX-License-Identifier: GPL-3.0-or-later */
/* net: the multiplexed port, each end a process, between a manager and a dialer that are the test.
 */
#include "unit.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/io.h"
#include "fake/mux.h"

#define BIG (3 * 1024 * 1024 + 17)

START_TEST(both_ways)
{
	static char up[BIG], down[BIG];
	int client, server;
	struct world w;
	pid_t pid;

	fill(up, sizeof(up), 1);
	fill(down, sizeof(down), 2);
	world_up(&w, true, (struct mux_host_config){0});
	connect_through(&w, 7, NET_PROTO_TCP, &client, &server);
	pid = fork();
	if (pid == 0) {
		send_all(client, up, sizeof(up));
		(void)shutdown(client, SHUT_WR);
		_exit(0);
	}
	expect_bytes(server, up, sizeof(up));
	expect_eof(server);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	/* one way is closed, the other goes on */
	pid = fork();
	if (pid == 0) {
		send_all(server, down, sizeof(down));
		_exit(0);
	}
	(void)close(server);
	expect_bytes(client, down, sizeof(down));
	expect_eof(client);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	(void)close(client);
	ck_assert_uint_eq(w.counts->bytes[METER_UP], sizeof(up));
	ck_assert_uint_eq(w.counts->bytes[METER_DOWN], sizeof(down));
	ck_assert_uint_eq(w.counts->opened, 1);
	ck_assert_int_eq(world_down(&w), MUX_HOST_CLOSED);
}
END_TEST

START_TEST(resets)
{
	int client, server;
	struct world w;

	world_up(&w, true, (struct mux_host_config){0});
	connect_through(&w, 1, NET_PROTO_TCP, &client, &server);
	reset(&server);
	expect_reset(client);
	(void)close(client);
	connect_through(&w, 2, NET_PROTO_TCP, &client, &server);
	reset(&client);
	expect_reset(server);
	(void)close(server);
	/* a server that has said all it has to say, and a client that breaks off */
	connect_through(&w, 3, NET_PROTO_TCP, &client, &server);
	(void)shutdown(server, SHUT_WR);
	expect_eof(client);
	reset(&client);
	expect_reset(server);
	(void)close(server);
	ck_assert_int_eq(world_down(&w), MUX_HOST_CLOSED);
}
END_TEST

/* Nobody reads the first stream: the second goes on, and the first has lost nothing. */
START_TEST(slow_reader)
{
	static char data[BIG];
	int clients[2], servers[2];
	struct world w;
	pid_t flood;

	fill(data, sizeof(data), 3);
	world_up(&w, true, (struct mux_host_config){0});
	for (int i = 0; i < 2; i++)
		connect_through(&w, (uint32_t)i, NET_PROTO_TCP, &clients[i], &servers[i]);
	flood = fork();
	if (flood == 0) {
		send_all(servers[0], data, sizeof(data));
		(void)shutdown(servers[0], SHUT_WR);
		_exit(0);
	}
	for (int i = 0; i < 20; i++) {
		send_all(servers[1], data, 50000);
		expect_bytes(clients[1], data, 50000);
		send_all(clients[1], data, 50000);
		expect_bytes(servers[1], data, 50000);
	}
	expect_bytes(clients[0], data, sizeof(data));
	expect_eof(clients[0]);
	ck_assert_int_eq(waitpid(flood, NULL, 0), flood);
	for (int i = 0; i < 2; i++) {
		(void)close(clients[i]);
		(void)close(servers[i]);
	}
	ck_assert_int_eq(world_down(&w), MUX_HOST_CLOSED);
}
END_TEST

START_TEST(datagrams)
{
	static const size_t sizes[] = {1, 0, 1400, 60000, 3};
	static char data[65536], got[65536];
	int client, server;
	struct world w;

	fill(data, sizeof(data), 4);
	world_up(&w, true, (struct mux_host_config){0});
	connect_through(&w, 1, NET_PROTO_UDP, &client, &server);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		ck_assert_int_eq(send(client, data, sizes[i], 0), (ssize_t)sizes[i]);
		ck_assert_int_eq(recv(server, got, sizeof(got), 0), (ssize_t)sizes[i]);
		ck_assert_int_eq(memcmp(got, data, sizes[i]), 0);
		ck_assert_int_eq(send(server, data, sizes[i], 0), (ssize_t)sizes[i]);
		ck_assert_int_eq(recv(client, got, sizeof(got), 0), (ssize_t)sizes[i]);
	}
	(void)close(client);
	/* the other end's socket is closed soon, which the kernel then tells */
	for (int i = 0; i < WAIT_MS / 10; i++) {
		if (send(server, "x", 1, 0) < 0)
			break;
		(void)poll(NULL, 0, 10);
	}
	ck_assert_int_eq(errno, ECONNREFUSED);
	(void)close(server);
	ck_assert_int_eq(world_down(&w), MUX_HOST_CLOSED);
}
END_TEST

START_TEST(refused_and_given_up)
{
	struct dial_message m, cancel = {.kind = DIAL_KIND_CANCEL, .request.id = 6};
	struct world w;
	int fd;

	world_up(&w, true, (struct mux_host_config){0});
	request(&w, 5, NET_PROTO_TCP);
	m = outside_hears(&w);
	outside_says(&w, m.request.id, DIAL_DENIED, -1);
	m = receive_message(w.manager, &fd);
	ck_assert_uint_eq(m.reply.id, 5);
	ck_assert_int_eq(m.reply.code, DIAL_DENIED);
	ck_assert_int_eq(fd, -1);
	ck_assert_uint_eq(w.counts->denied, 1);
	request(&w, 6, NET_PROTO_TCP);
	(void)outside_hears(&w);
	send_message(w.manager, &cancel, -1);
	m = receive_message(w.manager, &fd);
	ck_assert_uint_eq(m.reply.id, 6);
	ck_assert_int_eq(m.reply.code, DIAL_CANCELLED);
	m = outside_hears(&w);
	ck_assert_int_eq(m.kind, DIAL_KIND_CANCEL);
	ck_assert_int_eq(world_down(&w), MUX_HOST_CLOSED);
}
END_TEST

/* Streams end in all orders, and their numbers come again. */
START_TEST(many)
{
	enum { N = 40, ROUNDS = 60 };
	int clients[N], servers[N];
	struct world w;

	world_up(&w, true, (struct mux_host_config){0});
	for (uint32_t round = 0; round < ROUNDS; round++) {
		for (uint32_t i = 0; i < N; i++)
			connect_through(&w, round << 16 | i, NET_PROTO_TCP, &clients[i],
					&servers[i]);
		for (uint32_t i = 0; i < N; i++) {
			send_all(clients[i], (char *)&i, sizeof(i));
			if (i % 4 == 0)
				reset(&servers[i]);
			else if (i % 4 == 1)
				reset(&clients[i]);
			else if (i % 4 == 2)
				fd_close(&clients[i]);
			else
				fd_close(&servers[i]);
		}
		for (uint32_t i = 0; i < N; i++) {
			if (i % 4 == 2) {
				expect_bytes(servers[i], (char *)&i, sizeof(i));
				expect_eof(servers[i]);
			}
			fd_close(&clients[i]);
			fd_close(&servers[i]);
		}
	}
	ck_assert_int_eq(world_down(&w), MUX_HOST_CLOSED);
}
END_TEST

static void put_frame(struct world *w, struct mux_frame f, const void *data, size_t len)
{
	uint8_t out[MUX_HEADER_SIZE + DIAL_MESSAGE_MAX];
	size_t n = mux_encode(&f, out);

	if (f.type == MUX_DATA)
		mux_encode_header(MUX_DATA, f.stream, len, out);
	send_all(w->port, (char *)out, n);
	if (len)
		send_all(w->port, data, len);
}

#define ASK                                                                                      \
	{                                                                                        \
		.phase = NET_PHASE_BUILD, .proto = NET_PROTO_TCP, .port = 1, .name = "b.example" \
	}

/* A stream whose server's end is *ret_server, for a guest that is not to be trusted. */
static void open_raw(struct world *w, uint16_t stream, int *ret_server)
{
	char got[MUX_HEADER_SIZE + 29];
	struct dial_message m;
	int fds[2];

	tcp_pair(fds);
	put_frame(w, (struct mux_frame){.type = MUX_OPEN, .stream = stream, .open = ASK}, NULL, 0);
	m = outside_hears(w);
	outside_says(w, m.request.id, DIAL_OK, fds[0]);
	ck_assert_int_eq(recv(w->port, got, sizeof(got), MSG_WAITALL), (ssize_t)sizeof(got));
	ck_assert_int_eq(got[0], MUX_REPLY);
	*ret_server = fds[1];
}

START_TEST(hostile_guest)
{
	static const struct mux_frame frames[] = {
		{.type = MUX_DATA, .stream = 9},
		{.type = MUX_EOF, .stream = 9},
		{.type = MUX_CLOSE, .stream = 9},
		{.type = MUX_CREDIT, .stream = 9, .credit = 5},
		{.type = MUX_CREDIT, .stream = 1, .credit = 5}, /* it has all there is */
		{.type = MUX_REPLY, .stream = 1, .reply.decision.rule = -1},
		{.type = MUX_OPEN, .stream = 1, .open = ASK},
		{.type = MUX_DATA, .stream = MUX_STREAMS_MAX},
	};
	struct world w;
	int server;

	world_up(&w, false, (struct mux_host_config){0});
	open_raw(&w, 1, &server);
	put_frame(&w, frames[_i], NULL, 0);
	expect_eof(w.port);
	expect_reset(server);
	(void)close(server);
	ck_assert_int_eq(world_down(&w), MUX_HOST_NONSENSE);
}
END_TEST

START_TEST(more_than_the_window)
{
	static char data[MUX_PAYLOAD_MAX];
	struct world w;
	int server;

	world_up(&w, false, (struct mux_host_config){0});
	open_raw(&w, 1, &server);
	/* the server takes some of it: credit comes back, and none is left at last all the same */
	for (int i = 0; i < 2000; i++) {
		uint8_t head[MUX_HEADER_SIZE];

		mux_encode_header(MUX_DATA, 1, sizeof(data), head);
		if (send(w.port, head, sizeof(head), MSG_NOSIGNAL) < 0 ||
		    send(w.port, data, sizeof(data), MSG_NOSIGNAL) < 0)
			break;
	}
	(void)close(server);
	ck_assert_int_eq(world_down(&w), MUX_HOST_NONSENSE);
}
END_TEST

/* Opens and gives up without end, and takes no answer: the host does not grow, and serves on. */
START_TEST(deaf_guest)
{
	struct mux_frame open = {.type = MUX_OPEN, .open = ASK}, cl = {.type = MUX_CLOSE};
	struct world w;
	int sent = 0;

	world_up(&w, false, (struct mux_host_config){0});
	(void)io_set_nonblock(w.port, 1);
	for (int i = 0; i < 400000; i++) {
		uint8_t out[2 * (MUX_HEADER_SIZE + DIAL_MESSAGE_MAX)];
		size_t n;

		open.stream = cl.stream = (uint16_t)(i % MUX_STREAMS_MAX);
		n = mux_encode(&open, out);
		n += mux_encode(&cl, out + n);
		if (send(w.port, out, n, MSG_NOSIGNAL) != (ssize_t)n)
			break; /* it does not read any more: that is the wall */
		sent++;
	}
	ck_assert_int_gt(sent, 0);
	ck_assert_int_eq(waitpid(w.host, NULL, WNOHANG), 0);
	ck_assert_int_eq(kill(w.host, SIGKILL), 0);
	ck_assert_int_eq(waitpid(w.host, NULL, 0), w.host);
	(void)close(w.port);
	(void)close(w.outside);
	(void)munmap(w.counts, sizeof(*w.counts));
}
END_TEST

START_TEST(total_wall)
{
	static char data[BIG];
	int client, server;
	struct world w;

	world_up(&w, true, (struct mux_host_config){.total_wall = 1000000});
	connect_through(&w, 1, NET_PROTO_TCP, &client, &server);
	for (int i = 0; i < 100; i++) {
		if (send(server, data, 50000, MSG_NOSIGNAL) < 0 ||
		    recv(client, data, 50000, MSG_WAITALL) <= 0)
			break;
	}
	ck_assert_uint_ge(w.counts->bytes[METER_DOWN], 1000000);
	ck_assert_uint_le(w.counts->bytes[METER_DOWN], 1000000 + MUX_DATA_MAX);
	(void)close(client);
	(void)close(server);
	ck_assert_int_eq(world_down(&w), MUX_HOST_OVER);
}
END_TEST

START_TEST(dialer_ends)
{
	struct world w;
	uint8_t byte;

	world_up(&w, true, (struct mux_host_config){0});
	request(&w, 1, NET_PROTO_TCP);
	(void)outside_hears(&w);
	fd_close(&w.outside);
	/* the guest's end ends with the port, and the manager hears of it */
	while (recv(w.manager, &byte, 1, 0) > 0)
		;
	ck_assert_int_eq(world_down(&w), MUX_HOST_NO_DIALER);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("mux");
	TCase *tc = unit_case(s, "mux");

	tcase_add_test(tc, both_ways);
	tcase_add_test(tc, resets);
	tcase_add_test(tc, slow_reader);
	tcase_add_test(tc, datagrams);
	tcase_add_test(tc, refused_and_given_up);
	tcase_add_test(tc, many);
	tcase_add_loop_test(tc, hostile_guest, 0, 8);
	tcase_add_test(tc, more_than_the_window);
	tcase_add_test(tc, deaf_guest);
	tcase_add_test(tc, total_wall);
	tcase_add_test(tc, dialer_ends);
	return s;
}
