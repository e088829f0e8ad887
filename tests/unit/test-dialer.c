/* SPDX-License-Identifier: GPL-3.0-or-later */
/* net: messages between relay and dialer, and the dialer as a process with an injected resolver. */
#include "unit.h"

#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>

#include "dialing.h"

START_TEST(messages)
{
	struct dial_message m = {.kind = DIAL_KIND_REQUEST,
				 .request = {.id = 0x01020304,
					     .phase = NET_PHASE_BUILD,
					     .proto = NET_PROTO_UDP,
					     .port = 65535,
					     .name = "a.example"}};
	struct dial_message back;
	uint8_t data[DIAL_MESSAGE_MAX];
	size_t n = dial_encode(&m, data);

	ck_assert_uint_eq(n, 26 + 9);
	ck_assert_int_eq(dial_decode(data, n, &back), 0);
	ck_assert_mem_eq(&back.request, &m.request, sizeof(m.request));
	for (size_t i = 0; i <= 26; i++)
		ck_assert_int_eq(dial_decode(data, i, &back), -EBADMSG);
	data[3] = 4; /* a name and an address */
	ck_assert_int_eq(dial_decode(data, n, &back), -EBADMSG);
	data[3] = 0;
	data[1] = 3; /* two phases at once */
	ck_assert_int_eq(dial_decode(data, n, &back), -EBADMSG);
	data[1] = 1;
	data[2] = 1; /* ICMP */
	ck_assert_int_eq(dial_decode(data, n, &back), -EBADMSG);
	data[2] = 6;
	data[27] = 0; /* a NUL in the name */
	ck_assert_int_eq(dial_decode(data, n, &back), -EBADMSG);
	memset(data + 26, 'a', sizeof(data) - 26);
	ck_assert_int_eq(dial_decode(data, 26 + 253, &back), 0);
	ck_assert_int_eq(dial_decode(data, 26 + 254, &back), -EBADMSG);

	m = (struct dial_message){.kind = DIAL_KIND_REPLY,
				  .reply = {.id = 7,
					    .code = DIAL_DENIED,
					    .error = 111,
					    .has_addr = true,
					    .decision = {NET_DENIED_ADDRESS, 3, NET_ADDR_PRIVATE}}};
	ck_assert_int_eq(net_addr_parse("fd00::1", &m.reply.addr), 0);
	n = dial_encode(&m, data);
	ck_assert_int_eq(dial_decode(data, n, &back), 0);
	ck_assert_mem_eq(&back.reply, &m.reply, sizeof(m.reply));
	ck_assert_int_eq(dial_decode(data, n - 1, &back), -EBADMSG);
	ck_assert_int_eq(dial_decode(data, n + 1, &back), -EBADMSG);
	data[26] = 1; /* rule 256 + 3 */
	ck_assert_int_eq(dial_decode(data, n, &back), -EBADMSG);
	m.reply.decision.rule = -1;
	m.reply.addr = net_addr_ip4(0x01020304);
	n = dial_encode(&m, data);
	ck_assert_int_eq(dial_decode(data, n, &back), 0);
	ck_assert_int_eq(back.reply.decision.rule, -1);
	data[14] = 1; /* a fifth byte of an IPv4 address */
	ck_assert_int_eq(dial_decode(data, n, &back), -EBADMSG);
	data[14] = 0;
	data[1] = DIAL_GONE; /* never sent */
	ck_assert_int_eq(dial_decode(data, n, &back), -EBADMSG);
}
END_TEST

START_TEST(other_messages)
{
	struct dial_message m = {.kind = DIAL_KIND_PASSED,
				 .passed = {.id = 5, .bytes = {1ULL << 40, 3}, .ended = true}};
	struct dial_message back;
	uint8_t data[DIAL_MESSAGE_MAX];
	size_t n;

	ck_assert_uint_eq(dial_encode(&m, data), 24);
	ck_assert_int_eq(dial_decode(data, 24, &back), 0);
	ck_assert_uint_eq(back.passed.id, 5);
	ck_assert_uint_eq(back.passed.bytes[METER_UP], 1ULL << 40);
	ck_assert_uint_eq(back.passed.bytes[METER_DOWN], 3);
	ck_assert(back.passed.ended);
	ck_assert_int_eq(dial_decode(data, 23, &back), -EBADMSG);
	ck_assert_int_eq(dial_decode(data, 25, &back), -EBADMSG);
	data[1] = 2;
	ck_assert_int_eq(dial_decode(data, 24, &back), -EBADMSG);
	m = (struct dial_message){.kind = DIAL_KIND_PASS,
				  .request = {.id = 9,
					      .phase = NET_PHASE_BUILD,
					      .proto = NET_PROTO_TCP,
					      .port = 1,
					      .name = "b"}};
	n = dial_encode(&m, data);
	ck_assert_int_eq(dial_decode(data, n, &back), 0);
	ck_assert_mem_eq(&back.request, &m.request, sizeof(m.request));
	data[2] = NET_PROTO_UDP;
	ck_assert_int_eq(dial_decode(data, n, &back), -EBADMSG);
	m = (struct dial_message){.kind = DIAL_KIND_OFFER};
	ck_assert_uint_eq(dial_encode(&m, data), 8);
	ck_assert_int_eq(dial_decode(data, 8, &back), 0);
	ck_assert_int_eq(dial_decode(data, 9, &back), -EBADMSG);
	m = (struct dial_message){.kind = DIAL_KIND_CANCEL, .request.id = 9};
	ck_assert_uint_eq(dial_encode(&m, data), 8);
	ck_assert_int_eq(dial_decode(data, 8, &back), 0);
	ck_assert_uint_eq(back.request.id, 9);
	data[0] = 7;
	ck_assert_int_eq(dial_decode(data, 8, &back), -EBADMSG);
	data[0] = 0;
	ck_assert_int_eq(dial_decode(data, 8, &back), -EBADMSG);
}
END_TEST

static int send_dial(struct fixture *f, const char *host, uint16_t port, enum net_proto proto,
		     uint32_t *ret_id)
{
	struct dial_request rq = {.phase = NET_PHASE_BUILD, .proto = proto, .port = port};

	if (net_addr_parse(host, &rq.addr) < 0)
		(void)snprintf(rq.name, sizeof(rq.name), "%s", host);
	return f->client->dial(f->client, &rq, on_done, f, ret_id);
}

static enum dial_code dial(struct fixture *f, const char *host, uint16_t port, enum net_proto proto)
{
	uint32_t id;

	f->replies = 0;
	ck_assert_int_eq(send_dial(f, host, port, proto, &id), 0);
	step_until(f, 1);
	ck_assert_uint_eq(f->reply.id, id);
	ck_assert_int_eq(f->got >= 0, f->reply.code == DIAL_OK);
	return f->reply.code;
}

/* The connection that was handed over reaches the listener. */
static void check_connected(struct fixture *f, int listen_fd)
{
	int fd = accept(listen_fd, NULL, NULL);
	char c = 0;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(f->got, "x", 1), 1);
	ck_assert_int_eq(read(fd, &c, 1), 1);
	ck_assert_int_eq(c, 'x');
	close(fd);
}

START_TEST(connects)
{
	struct fixture f;
	char text[NET_ADDR_TEXT_MAX];
	uint16_t port = 0;
	int fd = listener("127.0.0.1", 16, &port);

	setup(&f);
	ck_assert_int_eq(dial(&f, "ok.local.test", port, NET_PROTO_TCP), DIAL_OK);
	ck_assert_str_eq(net_addr_format(&f.reply.addr, text), "127.0.0.1");
	check_connected(&f, fd);
	ck_assert_int_eq(dial(&f, "ok.local.test", port, NET_PROTO_TCP), DIAL_OK); /* remembered */
	check_connected(&f, fd);
	ck_assert_int_eq(dial(&f, "two.local.test", port, NET_PROTO_TCP), DIAL_OK);
	check_connected(&f, fd);
	ck_assert_int_eq(dial(&f, "mixed.local.test", port, NET_PROTO_TCP), DIAL_OK);
	check_connected(&f, fd);
	ck_assert_int_eq(dial(&f, "127.0.0.1", port, NET_PROTO_TCP), DIAL_OK);
	check_connected(&f, fd);
	close(fd);
	ck_assert_int_eq(dial(&f, "two.local.test", port, NET_PROTO_TCP), DIAL_REFUSED);
	ck_assert_int_eq(f.reply.error, ECONNREFUSED);
	ck_assert_int_eq(dial(&f, "none.local.test", port, NET_PROTO_TCP), DIAL_NO_NAME);
	ck_assert_int_eq(dial(&f, "crash.local.test", port, NET_PROTO_TCP), DIAL_NO_RESOLVER);
	ck_assert_int_eq(dial(&f, "lie.local.test", port, NET_PROTO_TCP), DIAL_NO_RESOLVER);
	teardown(&f);
}
END_TEST

START_TEST(udp)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(in);
	struct fixture f;
	char c;

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, len), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	setup(&f);
	ck_assert_int_eq(dial(&f, "ok.local.test", ntohs(in.sin_port), NET_PROTO_UDP), DIAL_OK);
	ck_assert_int_eq(send(f.got, "u", 1, 0), 1);
	ck_assert_int_eq(recv(fd, &c, 1, 0), 1);
	fd_close(&f.got);
	ck_assert_int_eq(dial(&f, "127.0.0.1", ntohs(in.sin_port), NET_PROTO_UDP), DIAL_DENIED);
	ck_assert_int_eq(f.reply.decision.reason, NET_DENIED_PROTOCOL);
	close(fd);
	teardown(&f);
}
END_TEST

START_TEST(denied)
{
	static const struct {
		const char *host;
		uint16_t port;
		enum net_reason reason;
	} t[] = {
		{"rebind.public.test", 80, NET_DENIED_ADDRESS},
		{"rebind6.public.test", 80, NET_DENIED_ADDRESS},
		{"meta.public.test", 80, NET_DENIED_ADDRESS},
		{"never.local.test", 80, NET_DENIED_NEVER},
		{"ok.local.test", 0, NET_DENIED_PORT},
		{"evil.test", 80, NET_DENIED_HOST},
		{"local.test", 80, NET_DENIED_HOST},
		{"a b.local.test", 80, NET_DENIED_BAD_NAME},
		{"127.0.0.2", 80, NET_DENIED_ADDRESS},
		{"127.0.0.3", 80, NET_DENIED_HOST},
		{"::1", 80, NET_DENIED_HOST},
	};
	struct dial_request rq = {.phase = NET_PHASE_PREPARE,
				  .proto = NET_PROTO_TCP,
				  .port = 80,
				  .name = "ok.local.test"};
	struct fixture f;
	uint32_t id;

	setup(&f);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		ck_assert_int_eq(dial(&f, t[i].host, t[i].port, NET_PROTO_TCP), DIAL_DENIED);
		ck_assert_msg(f.reply.decision.reason == t[i].reason, "%s: %d", t[i].host,
			      f.reply.decision.reason);
	}
	/* the build has begun: nothing is prepared any more */
	f.replies = 0;
	ck_assert_int_eq(f.client->dial(f.client, &rq, on_done, &f, &id), 0);
	step_until(&f, 1);
	ck_assert_int_eq(f.reply.code, DIAL_DENIED);
	ck_assert_int_eq(f.reply.decision.reason, NET_DENIED_PHASE);
	teardown(&f);
}
END_TEST

/* A network namespace of the test's own whose loopback has the public address 9.8.7.6. */
static void own_namespace(void)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x09080706)};
	struct ifreq ifr = {.ifr_name = "lo:1"};
	int fd;

	ck_assert_int_eq(unshare(CLONE_NEWUSER | CLONE_NEWNET), 0);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	memcpy(&ifr.ifr_addr, &in, sizeof(in));
	ck_assert_int_eq(ioctl(fd, SIOCSIFADDR, &ifr), 0);
	ifr.ifr_flags = IFF_UP | IFF_RUNNING;
	ck_assert_int_eq(ioctl(fd, SIOCSIFFLAGS, &ifr), 0);
	close(fd);
}

/* A public address is refused all the same when it is this host's, plain or translated. */
START_TEST(own_address)
{
	struct fixture f;
	uint16_t port = 0;
	int fd;

	own_namespace();
	fd = listener("9.8.7.6", 16, &port);
	setup(&f);
	ck_assert_int_eq(dial(&f, "own.public.test", port, NET_PROTO_TCP), DIAL_DENIED);
	ck_assert_int_eq(f.reply.decision.reason, NET_DENIED_OWN);
	ck_assert_int_eq(dial(&f, "nat.public.test", port, NET_PROTO_TCP), DIAL_DENIED);
	ck_assert_int_eq(f.reply.decision.reason, NET_DENIED_OWN);
	teardown(&f);
	close(fd);
}
END_TEST

/* Slow names and silent hosts have their deadlines, and hold up nobody. */
START_TEST(deadlines)
{
	int fds[8], n = 0, quiet, fd;
	uint16_t port = 0, same;
	struct fixture f;
	uint64_t start;
	uint32_t id;
	char name[64];

	quiet = listener("127.0.0.9", 0, &port);
	same = port;
	fd = listener("127.0.0.1", 16, &same);
	/* fill the backlog: further SYNs are dropped */
	for (; n < 8; n++) {
		struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};

		fds[n] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		ck_assert_int_eq(inet_pton(AF_INET, "127.0.0.9", &in.sin_addr), 1);
		(void)connect(fds[n], (struct sockaddr *)&in, sizeof(in));
	}
	setup(&f);
	f.replies = 0;
	for (unsigned i = 0; i < 3; i++) {
		(void)snprintf(name, sizeof(name), "slow%u.local.test", i);
		ck_assert_int_eq(send_dial(&f, name, port, NET_PROTO_TCP, &id), 0);
	}
	start = io_now_ms();
	ck_assert_int_eq(send_dial(&f, "late.local.test", port, NET_PROTO_TCP, &id), 0);
	step_until(&f, 1);
	ck_assert_int_eq(f.reply.code, DIAL_OK); /* by its second address, after the stagger */
	ck_assert_uint_eq(f.reply.id, id);
	ck_assert_uint_ge(io_now_ms() - start, DIALER_STAGGER_MS - 1);
	check_connected(&f, fd);
	step_until(&f, 4);
	ck_assert_int_eq(f.reply.code, DIAL_NO_RESOLVER);
	close(fd);
	start = io_now_ms();
	ck_assert_int_eq(dial(&f, "late.local.test", port, NET_PROTO_TCP), DIAL_TIMEOUT);
	ck_assert_uint_ge(io_now_ms() - start, 1100);
	ck_assert_uint_le(io_now_ms() - start, 3000);
	while (n > 0)
		close(fds[--n]);
	close(quiet);
	teardown(&f);
}
END_TEST

/* More at once than the dialer has processes, and than its socket holds replies for. */
START_TEST(many)
{
	struct fixture f;
	uint16_t port = 0;
	int fd = listener("127.0.0.1", 1024, &port);
	uint32_t id;
	char name[64];

	setup(&f);
	for (unsigned i = 0; i < 600; i++) {
		(void)snprintf(name, sizeof(name), "any%u.local.test", i % 40);
		ck_assert_int_eq(send_dial(&f, name, port, NET_PROTO_TCP, &id), 0);
	}
	for (unsigned i = 0; f.replies < 600 && i < 5000; i++)
		ck_assert_int_eq(loop_step(f.loop, 100), 0);
	ck_assert_uint_eq(f.replies, 600);
	ck_assert_uint_eq(f.ok, 600);
	fd_close(&f.got);
	close(fd);
	teardown(&f);
}
END_TEST

START_TEST(cancel)
{
	struct fixture f;
	uint32_t id, first = 0;

	setup(&f);
	for (unsigned i = 0; i < 50; i++) {
		ck_assert_int_eq(send_dial(&f, "slow.local.test", 80, NET_PROTO_TCP, &id), 0);
		first = i == 0 ? id : first;
		f.client->cancel(f.client, id);
		f.client->cancel(f.client, id + 1000);
	}
	ck_assert_int_eq(dial(&f, "none.local.test", 80, NET_PROTO_TCP), DIAL_NO_NAME);
	ck_assert_uint_eq(f.replies, 1);
	/* the slots came back, with other ids */
	for (unsigned i = 0; i < DIAL_PENDING_MAX; i++) {
		ck_assert_int_eq(send_dial(&f, "slow.local.test", 80, NET_PROTO_TCP, &id), 0);
		ck_assert_uint_ne(id, first);
	}
	ck_assert_int_eq(send_dial(&f, "slow.local.test", 80, NET_PROTO_TCP, &id), -EBUSY);
	teardown(&f);
}
END_TEST

START_TEST(death)
{
	struct fixture f;
	uint32_t id;

	setup(&f);
	for (unsigned i = 0; i < 10; i++)
		ck_assert_int_eq(send_dial(&f, "slow.local.test", 80, NET_PROTO_TCP, &id), 0);
	ck_assert_int_eq(loop_step(f.loop, 50), 0);
	ck_assert_int_eq(kill(f.pid, SIGKILL), 0);
	step_until(&f, 10);
	ck_assert_int_eq(f.reply.code, DIAL_GONE);
	ck_assert(f.gone);
	ck_assert_int_eq(send_dial(&f, "slow.local.test", 80, NET_PROTO_TCP, &id), -EPIPE);
	teardown(&f);
}
END_TEST

/* A dialer that gets nonsense ends; a client that gets nonsense treats its dialer as gone. */
START_TEST(nonsense)
{
	static const char junk[] = "\3junk, and more of it, as long as a message may be";
	struct fixture f;
	int fds[2], status;
	uint32_t id;

	setup(&f);
	ck_assert_int_eq(send(f.fd, junk, sizeof(junk), 0), sizeof(junk));
	ck_assert_int_eq(waitpid(f.pid, &status, 0), f.pid);
	ck_assert_int_eq(WEXITSTATUS(status), 1);
	dial_client_free(f.client);
	close(f.fd);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	ck_assert_int_eq(dial_client_new(f.loop, fds[0], on_gone, &f, &f.client, NULL), 0);
	ck_assert_int_eq(send_dial(&f, "ok.local.test", 80, NET_PROTO_TCP, &id), 0);
	ck_assert_int_eq(send(fds[1], junk, sizeof(junk), 0), sizeof(junk));
	step_until(&f, 1);
	ck_assert_int_eq(f.reply.code, DIAL_GONE);
	ck_assert(f.gone);
	dial_client_free(f.client);
	loop_free(f.loop);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

START_TEST(system_resolver)
{
	struct resolver_answer a;

	resolver_system("localhost", &a, NULL);
	ck_assert_int_eq(a.code, DIAL_OK);
	ck_assert_int_eq(net_addr_classify(&a.addrs[0]), NET_ADDR_LOOPBACK);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("dialer");
	TCase *tc = unit_case(s, "dialer");

	tcase_add_test(tc, messages);
	tcase_add_test(tc, other_messages);
	tcase_add_test(tc, connects);
	tcase_add_test(tc, udp);
	tcase_add_test(tc, denied);
	tcase_add_test(tc, own_address);
	tcase_add_test(tc, deadlines);
	tcase_add_test(tc, many);
	tcase_add_test(tc, cancel);
	tcase_add_test(tc, death);
	tcase_add_test(tc, nonsense);
	tcase_add_test(tc, system_resolver);
	return s;
}
