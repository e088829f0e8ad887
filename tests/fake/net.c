/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Peers, listeners and the injected ways of the relay on loopback. */
#include "net.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/io.h"

/* Benches use this file too, so that Check is not at hand. */
#define must(condition)                             \
	do {                                        \
		if (!(condition))                   \
			fake_die("%s", #condition); \
	} while (0)

static void resolve(const char *name, struct resolver_answer *ret, void *user_data)
{
	const char *addr = strncmp(name, "evil.", 5) == 0 ? "10.0.0.1" : "127.0.0.1";

	ret->code = DIAL_NO_NAME;
	if (strncmp(name, "none.", 5) == 0)
		return;
	ret->code = DIAL_OK;
	ret->n = 1;
	(void)net_addr_parse(addr, &ret->addrs[0]);
}

static int tcp_destination(int fd, struct sockaddr_storage *ret, void *data)
{
	struct fake_net *f = data;
	struct sockaddr_in in = {0};
	socklen_t len = sizeof(in);
	unsigned n;

	if (getsockname(fd, (struct sockaddr *)&in, &len) < 0)
		return -errno;
	n = ntohl(in.sin_addr.s_addr) & 0xff;
	if (n >= f->n_dests)
		return -ENOENT;
	*ret = f->dests[n];
	return 0;
}

static ssize_t udp_receive(int fd, void *buf, size_t size, struct sockaddr_storage *ret_src,
			   struct sockaddr_storage *ret_dst, void *data)
{
	struct fake_net *f = data;
	socklen_t len = sizeof(*ret_src);
	ssize_t n;

	*ret_src = (struct sockaddr_storage){0};
	n = recvfrom(fd, buf, size, MSG_DONTWAIT, (struct sockaddr *)ret_src, &len);
	if (n < 0)
		return -errno;
	*ret_dst = f->dests[n > 1 ? ((uint8_t *)buf)[1] % FAKE_DESTS_MAX : 0];
	return n;
}

static int udp_flow(const struct sockaddr_storage *src, const struct sockaddr_storage *dst,
		    void *data)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, (const struct sockaddr *)src, sizeof(struct sockaddr_in)) < 0)
		fd_close(&fd);
	return fd;
}

static const struct relay_ops ops = {
	.tcp_destination = tcp_destination,
	.udp_receive = udp_receive,
	.udp_flow = udp_flow,
};

static void on_event(const struct relay_event *ev, void *user_data)
{
	struct fake_net *f = user_data;

	f->events[ev->type]++;
	f->last = *ev;
	(void)snprintf(f->last_name, sizeof(f->last_name), "%s", ev->name ? ev->name : "");
}

static int bound(int type, uint32_t addr, uint16_t *port)
{
	struct sockaddr_in in = {.sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(addr),
				 .sin_port = htons(*port)};
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(in);

	must(fd >= 0);
	must(bind(fd, (struct sockaddr *)&in, len) == 0);
	if (type == SOCK_STREAM)
		must(listen(fd, 2048) == 0);
	must(getsockname(fd, (struct sockaddr *)&in, &len) == 0);
	*port = ntohs(in.sin_port);
	return fd;
}

void fake_net_drain(struct fake_net *f)
{
	uint64_t end = io_now_ms() + 10000;
	struct relay_stats stats;

	do {
		must(io_now_ms() < end && loop_step(f->loop, 10) == 0);
		relay_get_stats(f->relay, &stats);
	} while (stats.connections > 0);
}

int fake_listen(int type, uint16_t *ret_port)
{
	*ret_port = 0;
	return bound(type, INADDR_LOOPBACK, ret_port);
}

void fake_net_init(struct fake_net *f, const struct net_rule *rules, size_t n_rules)
{
	*f = (struct fake_net){.dialer_fd = -1};
	must(loop_new(&f->loop) == 0);
	must(net_synth_new(0xc6120001, 0xc613fffe, &f->synth) == 0);
	f->dialer_config = (struct dialer_config){.rules = rules,
						  .n_rules = n_rules,
						  .resolve = resolve,
						  .connect_ms = 3000};
	f->config = (struct relay_config){.rules = rules,
					  .n_rules = n_rules,
					  .phase = NET_PHASE_BUILD,
					  .synth = f->synth,
					  .ops = &ops,
					  .ops_data = f,
					  .event = on_event,
					  .user_data = f};
	f->config.tcp6_fd = f->config.udp6_fd = -1;
	f->config.tcp_fd = bound(SOCK_STREAM, INADDR_ANY, &f->port);
	f->config.udp_fd = bound(SOCK_DGRAM, INADDR_ANY, &f->port);
	must(io_set_nonblock(f->config.tcp_fd, 1) == 0);
	must(io_set_nonblock(f->config.udp_fd, 1) == 0);
}

/* In the child: nothing stays open but fd, as number 3. */
static void keep_only(int fd)
{
	if (fd != 3 && fd >= 0 && dup2(fd, 3) < 0)
		fake_die("dup2");
	if (syscall(SYS_close_range, fd >= 0 ? 4 : 3, ~0U, 0) < 0)
		fake_die("close_range");
}

static void run_dialer(int fd, void *arg)
{
	if (dialer_run(fd, arg, NULL) < 0)
		fake_die("dialer_run");
}

void fake_net_start_dialer(struct fake_net *f)
{
	struct err e = ERR_INIT;
	int fds[2];

	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0);
	f->dialer_pid = fake_peer(run_dialer, fds[1], &f->dialer_config);
	close(fds[1]);
	f->dialer_fd = fds[0];
	must(dial_client_new(f->loop, f->dialer_fd, NULL, NULL, &f->client, &e) == 0);
	while (!f->client->passes)
		must(loop_step(f->loop, 10000) == 0);
	f->client->passes = !f->by_relay;
	f->config.dialer = f->client;
}

void fake_net_start_relay(struct fake_net *f)
{
	struct err e = ERR_INIT;

	if (relay_new(f->loop, &f->config, &f->relay, &e) < 0)
		fake_die("%s", e.text);
}

void fake_net_start(struct fake_net *f)
{
	fake_net_start_dialer(f);
	fake_net_start_relay(f);
}

void fake_net_done(struct fake_net *f)
{
	int status;

	relay_free(f->relay);
	dial_client_free(f->client);
	fd_close(&f->dialer_fd);
	fd_close(&f->config.tcp_fd);
	fd_close(&f->config.udp_fd);
	net_synth_free(f->synth);
	loop_free(f->loop);
	if (f->dialer_pid > 0) {
		must(waitpid(f->dialer_pid, &status, 0) == f->dialer_pid);
		must(status == 0);
	}
}

struct sockaddr_in fake_net_dest(struct fake_net *f, const char *host, uint16_t port)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(f->port)};
	struct net_addr a;

	must(f->n_dests < FAKE_DESTS_MAX);
	if (net_addr_parse(host, &a) < 0)
		must(net_synth_get(f->synth, host, &a) == 0);
	(void)net_addr_to_sockaddr(&a, port, &f->dests[f->n_dests]);
	in.sin_addr.s_addr = htonl(0x7f000100 | (uint32_t)f->n_dests);
	f->n_dests++;
	return in;
}

pid_t fake_peer(void (*fn)(int fd, void *arg), int fd, void *arg)
{
	pid_t pid = fork();

	must(pid >= 0);
	if (pid == 0) {
		(void)alarm(100);
		keep_only(fd);
		fn(3, arg);
		_exit(0);
	}
	return pid;
}

void *fake_shared(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	must(p != MAP_FAILED);
	return p;
}

void fake_unshare(void *p, size_t n)
{
	must(munmap(p, n) == 0);
}

void fake_net_wait(struct fake_net *f, pid_t pid)
{
	uint64_t end = io_now_ms() + 100000;
	int status = 0;
	pid_t r = 0;

	while (r == 0 && io_now_ms() < end) {
		must(loop_step(f->loop, 20) == 0);
		r = waitpid(pid, &status, WNOHANG);
	}
	must(r == pid);
	must(status == 0);
}

void fake_net_step(struct fake_net *f, uint64_t ms, const unsigned *counter, unsigned n)
{
	uint64_t end = io_now_ms() + ms;

	while (io_now_ms() < end && !(counter && *counter >= n))
		must(loop_step(f->loop, 10) == 0);
}

void fake_die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fprintf(stderr, ": %s\n", strerror(errno));
	_exit(1);
}

int fake_connect(const struct sockaddr_in *to)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)to, sizeof(*to)) < 0)
		fake_die("connect");
	return fd;
}

int fake_accept(int listen_fd)
{
	int fd = accept(listen_fd, NULL, NULL);

	if (fd < 0)
		fake_die("accept");
	return fd;
}

/* The byte at a place of the pattern; period 2^32, so that nothing lost or repeated fits. */
static void pattern(uint64_t pos, uint8_t *data, size_t n)
{
	for (size_t i = 0; i < n; i++, pos++) {
		uint32_t x = (uint32_t)(pos >> 2) * 2654435761U;

		data[i] = (uint8_t)(x >> (8 * (pos & 3)));
	}
}

void fake_send(int fd, uint64_t start, uint64_t n)
{
	static uint8_t data[65536];

	while (n > 0) {
		size_t len = MIN(n, sizeof(data));

		pattern(start, data, len);
		if (io_write_full(fd, data, len) < 0)
			fake_die("write at %llu", (unsigned long long)start);
		start += len;
		n -= len;
	}
}

void fake_receive(int fd, uint64_t start, uint64_t n)
{
	static uint8_t data[65536], want[65536];

	while (n > 0) {
		size_t len = MIN(n, sizeof(data));
		ssize_t got = read(fd, data, len);

		if (got <= 0)
			fake_die("read at %llu: %zd", (unsigned long long)start, got);
		pattern(start, want, (size_t)got);
		if (memcmp(data, want, (size_t)got) != 0)
			fake_die("other bytes than were sent, after %llu",
				 (unsigned long long)start);
		start += (uint64_t)got;
		n -= (uint64_t)got;
	}
}

void fake_expect_end(int fd)
{
	char c;
	ssize_t n = read(fd, &c, 1);

	if (n != 0)
		fake_die("the end was expected, read says %zd", n);
}

void fake_expect_reset(int fd)
{
	for (int i = 0; i < 1000; i++) {
		char c;
		ssize_t n = read(fd, &c, 1);

		if (n < 0 && (errno == ECONNRESET || errno == EPIPE))
			return;
		if (n < 0)
			break;
		(void)poll(NULL, 0, n == 0 ? 10 : 0);
		if (n == 0 && send(fd, "x", 1, MSG_NOSIGNAL) < 0)
			return;
	}
	fake_die("a reset was expected");
}
