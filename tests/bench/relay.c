/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Measures the relay on loopback against no relay at all. */
/*
 * Usage: bench-relay [MEGABYTES [ROUNDS]]. Interleaved, with and without the relay: throughput,
 * connections a second, and the CPU time that the relay takes; then once with every byte checked.
 */
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/io.h"
#include "base/num.h"
#include "fake/net.h"

#define CONNECTIONS 2000

static const struct net_rule rules[] = {
	{.kind = NET_HOST_NAME,
	 .name = "bench.test",
	 .tcp = true,
	 .ports = {{1, 65535}},
	 .n_ports = 1,
	 .phases = NET_PHASE_BUILD,
	 .private_ok = true},
};

struct job {
	struct sockaddr_in to;
	uint64_t bytes; /* in each direction */
	bool check;
};

static void pour(int fd, uint64_t n)
{
	static uint8_t data[131072];

	while (n > 0) {
		size_t len = MIN(n, sizeof(data));

		if (io_write_full(fd, data, len) < 0)
			fake_die("write");
		n -= len;
	}
}

static void drain(int fd, uint64_t n)
{
	static uint8_t data[131072];

	while (n > 0) {
		ssize_t got = read(fd, data, MIN(n, sizeof(data)));

		if (got <= 0)
			fake_die("read: %zd", got);
		n -= (uint64_t)got;
	}
}

/* Sends and receives at once, every byte compared. */
static void check_both(int fd, uint64_t n)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		fake_send(fd, 0, n);
		_exit(0);
	}
	fake_receive(fd, 0, n);
	if (waitpid(pid, &status, 0) != pid || status != 0)
		fake_die("the sender");
}

static void receive_all(int listen_fd, void *arg)
{
	const struct job *j = arg;
	int fd = fake_accept(listen_fd);

	if (j->check)
		check_both(fd, j->bytes);
	else
		drain(fd, j->bytes);
	fake_send(fd, 0, 1);
}

static void send_all(int none, void *arg)
{
	const struct job *j = arg;
	int fd = fake_connect(&j->to);

	if (j->check)
		check_both(fd, j->bytes);
	else
		pour(fd, j->bytes);
	fake_receive(fd, 0, 1);
}

static void accept_all(int listen_fd, void *arg)
{
	for (int i = 0; i < CONNECTIONS; i++) {
		int fd = fake_accept(listen_fd);

		fake_receive(fd, 0, 1);
		fake_send(fd, 0, 1);
		close(fd);
	}
}

static void connect_all(int none, void *arg)
{
	const struct job *j = arg;

	for (int i = 0; i < CONNECTIONS; i++) {
		int fd = fake_connect(&j->to);

		fake_send(fd, 0, 1);
		fake_receive(fd, 0, 1);
		fake_expect_end(fd);
		close(fd);
	}
}

static double cpu_seconds(void)
{
	struct rusage u;

	(void)getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* Seconds that a server and a client take, with or without the relay between them. */
static double run(struct job *j, bool relayed, void (*server)(int, void *),
		  void (*client)(int, void *), double *ret_cpu)
{
	struct fake_net f;
	uint16_t port;
	int fd = fake_listen(SOCK_STREAM, &port);
	uint64_t start;
	double cpu;
	pid_t s, c;

	fake_net_init(&f, rules, ARRAY_SIZE(rules));
	j->to = fake_net_dest(&f, "bench.test", port);
	if (!relayed)
		j->to = (struct sockaddr_in){.sin_family = AF_INET,
					     .sin_port = htons(port),
					     .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	fake_net_start(&f);
	start = io_now_ms();
	cpu = cpu_seconds();
	s = fake_peer(server, fd, j);
	close(fd);
	c = fake_peer(client, -1, j);
	fake_net_wait(&f, c);
	fake_net_wait(&f, s);
	*ret_cpu = cpu_seconds() - cpu;
	fake_net_done(&f);
	return (double)(io_now_ms() - start + 1) / 1000;
}

static void compare(struct job *j, unsigned rounds)
{
	double mb = (double)j->bytes / 1e6, cpu, t;

	for (unsigned i = 0; i < rounds; i++) {
		t = run(j, false, receive_all, send_all, &cpu);
		(void)printf("direct  %8.0f MB/s", mb / t);
		t = run(j, true, receive_all, send_all, &cpu);
		(void)printf("   relay %8.0f MB/s, %.2f s of CPU for 1 GB", mb / t,
			     cpu / mb * 1000);
		t = run(j, false, accept_all, connect_all, &cpu);
		(void)printf("   direct %6.0f conn/s", CONNECTIONS / t);
		t = run(j, true, accept_all, connect_all, &cpu);
		(void)printf("   relay %6.0f conn/s\n", CONNECTIONS / t);
	}
}

int main(int argc, char **argv)
{
	struct job j = {0};
	uint64_t mb = 1000, rounds = 3;
	double cpu, t;

	if ((argc > 1 && parse_u64(argv[1], &mb) < 0) ||
	    (argc > 2 && parse_u64(argv[2], &rounds) < 0))
		return 2;
	j.bytes = mb * 1000000;
	compare(&j, (unsigned)rounds);
	j.check = true;
	t = run(&j, true, receive_all, send_all, &cpu);
	(void)printf("%llu MB each way through the relay at once, every byte right, in %.1f s\n",
		     (unsigned long long)mb, t);
	return 0;
}
