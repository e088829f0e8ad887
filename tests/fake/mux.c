/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The world of a multiplexed port. */
#include "mux.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/fds.h"
#include "base/io.h"

static void pair(int type, int out[2])
{
	ck_assert_int_eq(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, out), 0);
}

static void limit_time(int fd)
{
	struct timeval tv = {.tv_sec = WAIT_MS / 1000};

	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)), 0);
}

static pid_t start_host(int port, int dialer, const struct mux_host_config *c)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	if (dup2(port, 200) < 0 || dup2(dialer, 201) < 0)
		_exit(99);
	(void)close_range(3, 199, 0);
	_exit((int)mux_host_run(200, 201, c));
}

static pid_t start_guest(int port, int dialer)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	if (dup2(port, 200) < 0 || dup2(dialer, 201) < 0)
		_exit(99);
	(void)close_range(3, 199, 0);
	_exit(mux_guest_run(200, 201, NULL) < 0);
}

void world_up(struct world *w, bool with_guest, struct mux_host_config c)
{
	int port[2], inner[2], outer[2];

	w->counts = mmap(NULL, sizeof(*w->counts), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(w->counts, MAP_FAILED);
	c.counts = w->counts;
	pair(SOCK_STREAM, port);
	pair(SOCK_SEQPACKET, outer);
	w->host = start_host(port[1], outer[1], &c);
	(void)close(port[1]);
	(void)close(outer[1]);
	w->outside = outer[0];
	limit_time(w->outside);
	w->guest = -1;
	w->manager = -1;
	w->port = port[0];
	limit_time(w->port);
	if (!with_guest)
		return;
	pair(SOCK_SEQPACKET, inner);
	w->guest = start_guest(port[0], inner[1]);
	(void)close(inner[1]);
	fd_close(&w->port);
	w->manager = inner[0];
	limit_time(w->manager);
}

/* How the host's end ended. */
int world_down(struct world *w)
{
	int status;

	fd_close(&w->manager);
	fd_close(&w->port);
	if (w->guest > 0) {
		ck_assert_int_eq(waitpid(w->guest, &status, 0), w->guest);
		ck_assert_int_eq(status, 0);
	}
	ck_assert_int_eq(waitpid(w->host, &status, 0), w->host);
	ck_assert(WIFEXITED(status));
	fd_close(&w->outside);
	(void)munmap(w->counts, sizeof(*w->counts));
	return WEXITSTATUS(status);
}

void send_message(int fd, const struct dial_message *m, int with_fd)
{
	ck_assert_int_eq(dial_send(fd, m, with_fd), 0);
}

struct dial_message receive_message(int fd, int *ret_fd)
{
	uint8_t data[DIAL_MESSAGE_MAX];
	struct iovec iov = {data, sizeof(data)};
	ssize_t n = fds_receive(fd, &iov, 1, ret_fd, 1, 0);
	struct dial_message m;

	ck_assert_int_gt(n, 0);
	ck_assert_int_eq(dial_decode(data, (size_t)n, &m), 0);
	return m;
}

void request(struct world *w, uint32_t id, enum net_proto proto)
{
	struct dial_message m = {.kind = DIAL_KIND_REQUEST,
				 .request = {.id = id,
					     .phase = NET_PHASE_BUILD,
					     .proto = proto,
					     .port = 80,
					     .name = "a.example"}};

	send_message(w->manager, &m, -1);
}

struct dial_message outside_hears(struct world *w)
{
	int fd;
	struct dial_message m = receive_message(w->outside, &fd);

	ck_assert_int_eq(fd, -1);
	return m;
}

void outside_says(struct world *w, uint32_t id, enum dial_code code, int consume_fd)
{
	struct dial_message m = {.kind = DIAL_KIND_REPLY,
				 .reply = {.id = id, .code = code, .decision.rule = -1}};

	send_message(w->outside, &m, consume_fd);
	fd_close(&consume_fd);
}

/* Two connected sockets over loopback. */
void tcp_pair(int out[2])
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(a);

	ck_assert_int_eq(bind(l, (struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_int_eq(listen(l, 1), 0);
	ck_assert_int_eq(getsockname(l, (struct sockaddr *)&a, &len), 0);
	out[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(out[0], (struct sockaddr *)&a, sizeof(a)), 0);
	out[1] = accept4(l, NULL, NULL, SOCK_CLOEXEC);
	ck_assert_int_ge(out[1], 0);
	(void)close(l);
}

static void udp_pair(int out[2])
{
	struct sockaddr_in a[2];

	for (int i = 0; i < 2; i++) {
		socklen_t len = sizeof(a[i]);

		a[i] = (struct sockaddr_in){.sin_family = AF_INET,
					    .sin_addr.s_addr = htonl(0x7f000001)};
		out[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		ck_assert_int_eq(bind(out[i], (struct sockaddr *)&a[i], sizeof(a[i])), 0);
		ck_assert_int_eq(getsockname(out[i], (struct sockaddr *)&a[i], &len), 0);
	}
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(connect(out[i], (struct sockaddr *)&a[!i], sizeof(a[i])), 0);
}

/* A connection through both ends: the manager's socket, and the server's. */
void connect_through(struct world *w, uint32_t id, enum net_proto proto, int *ret_client,
		     int *ret_server)
{
	struct dial_message m;
	int fds[2];

	if (proto == NET_PROTO_TCP)
		tcp_pair(fds);
	else
		udp_pair(fds);
	request(w, id, proto);
	m = outside_hears(w);
	ck_assert_int_eq(m.kind, DIAL_KIND_REQUEST);
	ck_assert_str_eq(m.request.name, "a.example");
	outside_says(w, m.request.id, DIAL_OK, fds[0]);
	m = receive_message(w->manager, ret_client);
	ck_assert_uint_eq(m.reply.id, id);
	ck_assert_int_eq(m.reply.code, DIAL_OK);
	ck_assert_int_ge(*ret_client, 0);
	*ret_server = fds[1];
	(void)io_set_nonblock(*ret_client, 0);
	limit_time(*ret_client);
	limit_time(*ret_server);
}

void fill(char *data, size_t n, unsigned seed)
{
	for (size_t i = 0; i < n; i++)
		data[i] = (char)((i * 31 + i / 251 + seed) & 0xff);
}

void send_all(int fd, const char *data, size_t n)
{
	size_t at = 0;

	while (at < n) {
		ssize_t k = send(fd, data + at, n - at, MSG_NOSIGNAL);

		ck_assert_int_gt(k, 0);
		at += (size_t)k;
	}
}

void expect_bytes(int fd, const char *data, size_t n)
{
	static char got[65536];
	size_t at = 0;

	while (at < n) {
		ssize_t k = recv(fd, got, MIN(sizeof(got), n - at), 0);

		ck_assert_int_gt(k, 0);
		ck_assert_int_eq(memcmp(got, data + at, (size_t)k), 0);
		at += (size_t)k;
	}
}

void expect_eof(int fd)
{
	char c;

	ck_assert_int_eq(recv(fd, &c, 1, 0), 0);
}

void expect_reset(int fd)
{
	char c;

	ck_assert_int_eq(recv(fd, &c, 1, 0), -1);
	ck_assert_int_eq(errno, ECONNRESET);
}

void reset(int *fd)
{
	struct linger now = {.l_onoff = 1};

	ck_assert_int_eq(setsockopt(*fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
	fd_close(fd);
}
