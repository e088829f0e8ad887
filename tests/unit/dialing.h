/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A dialer in a process of its own, with names of its own, and a client of it. */
#ifndef CONTRACTOR_TESTS_UNIT_DIALING_H
#define CONTRACTOR_TESTS_UNIT_DIALING_H

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/io.h"
#include "net/dial-client.h"
#include "net/dialer.h"
#include "unit.h"

static const struct net_rule rules[] = {
	{.kind = NET_HOST_SUFFIX,
	 .name = "local.test",
	 .tcp = true,
	 .udp = true,
	 .ports = {{1, 65535}},
	 .n_ports = 1,
	 .phases = NET_PHASE_PREPARE | NET_PHASE_BUILD,
	 .private_ok = true},
	{.kind = NET_HOST_SUFFIX,
	 .name = "public.test",
	 .tcp = true,
	 .udp = true,
	 .ports = {{1, 65535}},
	 .n_ports = 1,
	 .phases = NET_PHASE_PREPARE | NET_PHASE_BUILD},
	{.kind = NET_HOST_IP4,
	 .addr.s6_addr = {127, 0, 0, 1},
	 .prefix_len = 32,
	 .tcp = true,
	 .ports = {{1, 65535}},
	 .n_ports = 1,
	 .phases = NET_PHASE_BUILD,
	 .private_ok = true},
	{.kind = NET_HOST_IP4,
	 .addr.s6_addr = {127, 0, 0, 2},
	 .prefix_len = 32,
	 .tcp = true,
	 .ports = {{1, 65535}},
	 .n_ports = 1,
	 .phases = NET_PHASE_BUILD},
};

/* What each name of the tests resolves to; addresses after the first blank. */
static const char *const hosts[] = {
	"ok.local.test 127.0.0.1",
	"two.local.test 127.0.0.3 127.0.0.1",  /* nobody listens on the first */
	"late.local.test 127.0.0.9 127.0.0.1", /* the first does not answer */
	"mixed.local.test 0.0.0.0 127.0.0.1",
	"never.local.test 0.0.0.0 255.255.255.255",
	"rebind.public.test 127.0.0.1",
	"rebind6.public.test ::1 ::ffff:127.0.0.1",
	"meta.public.test 169.254.169.254",
	"own.public.test 9.8.7.6",
	"nat.public.test 64:ff9b::908:706",
	"none.local.test",
};

static void test_resolver(const char *name, struct resolver_answer *ret, void *user_data)
{
	ret->code = DIAL_NO_NAME;
	if (strncmp(name, "slow", 4) == 0)
		(void)poll(NULL, 0, 30000);
	if (strncmp(name, "crash", 5) == 0)
		(void)raise(SIGKILL);
	if (strncmp(name, "lie", 3) == 0) {
		ret->code = DIAL_OK;
		ret->n = RESOLVER_ADDRS_MAX + 1;
	}
	if (strncmp(name, "any", 3) == 0) {
		ret->code = DIAL_OK;
		(void)net_addr_parse("127.0.0.1", &ret->addrs[ret->n++]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		size_t n = strlen(name);
		char line[200], *p = line, *word;

		if (strncmp(hosts[i], name, n) != 0 || hosts[i][n] != ' ')
			continue;
		(void)snprintf(line, sizeof(line), "%s", hosts[i] + n + 1);
		ret->code = DIAL_OK;
		while ((word = strsep(&p, " ")))
			(void)net_addr_parse(word, &ret->addrs[ret->n++]);
	}
}

/* A dialer process and a client of it, and what the last dial came to. */
struct fixture {
	struct loop *loop;
	pid_t pid;
	int fd;
	struct dial_client *client;
	struct dial_reply reply;
	int got; /* the descriptor, or -1 */
	unsigned replies, ok, ended;
	uint64_t bytes[_METER_DIR_MAX];
	bool gone;
};

static inline void on_gone(void *user_data)
{
	((struct fixture *)user_data)->gone = true;
}

static inline void setup(struct fixture *f)
{
	struct dialer_config c = {.rules = rules,
				  .n_rules = ARRAY_SIZE(rules),
				  .resolve = test_resolver,
				  .resolve_ms = 700,
				  .connect_ms = 1200};
	int fds[2];

	*f = (struct fixture){.got = -1};
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	f->pid = fork();
	if (f->pid == 0) {
		/* nothing of the test's own, a listener say, may live on in it */
		if (dup2(fds[1], 100) != 100 || close_range(3, 99, 0) || close_range(101, ~0U, 0))
			_exit(2);
		_exit(dialer_run(100, &c, NULL) == 0 ? 0 : 1);
	}
	close(fds[1]);
	f->fd = fds[0];
	ck_assert_int_eq(loop_new(&f->loop), 0);
	ck_assert_int_eq(dial_client_new(f->loop, f->fd, on_gone, f, &f->client, NULL), 0);
}

static inline void teardown(struct fixture *f)
{
	int status;

	dial_client_free(f->client);
	loop_free(f->loop);
	close(f->fd);
	ck_assert_int_eq(waitpid(f->pid, &status, 0), f->pid);
	ck_assert_int_eq(status, f->gone ? SIGKILL : 0);
}

static inline void on_done(const struct dial_reply *reply, int consume_fd, void *user_data)
{
	struct fixture *f = user_data;

	f->reply = *reply;
	fd_close(&f->got);
	f->got = consume_fd;
	f->replies++;
	f->ok += reply->code == DIAL_OK;
}

static inline void step_until(struct fixture *f, unsigned replies)
{
	uint64_t end = io_now_ms() + 8000;

	while (f->replies < replies && io_now_ms() < end)
		ck_assert_int_eq(loop_step(f->loop, 100), 0);
	ck_assert_uint_ge(f->replies, replies);
}

static inline int listener(const char *addr, int backlog, uint16_t *port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(*port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(in);

	ck_assert_int_eq(inet_pton(AF_INET, addr, &in.sin_addr), 1);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, len), 0);
	ck_assert_int_eq(listen(fd, backlog), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	*port = ntohs(in.sin_port);
	return fd;
}

#endif
