/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Measures the manager VM's network port, in place of contractor-manager: see tests/bench/network.
 */
/*
 * It dials and talks as tests/attack/guest.pl does in a worker, and says the same lines in the log:
 * what was moved or done, and the seconds that it took.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>

#include "base/fds.h"
#include "base/io.h"
#include "net/dial.h"
#include "stand-in.h"

/* Of tests/attack/world.py, and of the bench itself. */
enum { PORT_ECHO = 5010, PORT_SINK = 9, PORT_SOURCE = 19 };
#define WEB "45.12.7.10"

#define BYTES	  (100 * 1000 * 1000)
#define TURNS	  500
#define QUESTIONS 1000

static void tell(const char *what, uint64_t n, uint64_t since)
{
	char text[128];
	int len = snprintf(text, sizeof(text), "%s: %llu %.3f\n", what, (unsigned long long)n,
			   (double)(io_now_ms() - since) / 1000);

	stand_in_out(PROTO_LOG, text, (size_t)len);
}

/* A connection, blocking; without one the measurement ends here. */
static int dial(uint16_t port)
{
	static uint32_t id;
	struct dial_message m = {.kind = DIAL_KIND_REQUEST,
				 .request = {.id = ++id,
					     .phase = NET_PHASE_BUILD,
					     .proto = NET_PROTO_TCP,
					     .port = port}};
	uint8_t data[DIAL_MESSAGE_MAX];
	const struct iovec iov = {data, sizeof(data)};
	struct pollfd p = {.fd = STAND_IN_DIALER, .events = POLLIN};
	int fd;

	(void)net_addr_parse(WEB, &m.request.addr);
	(void)dial_send(STAND_IN_DIALER, &m, -1);
	(void)poll(&p, 1, 30000);
	(void)fds_receive(STAND_IN_DIALER, &iov, 1, &fd, 1, MSG_DONTWAIT);
	if (fd < 0 || io_set_nonblock(fd, 0) < 0)
		_exit(1);
	return fd;
}

static void down(void)
{
	static char data[65536];
	int fd = dial(PORT_SOURCE);
	uint64_t got = 0, since = 0;
	ssize_t n;

	while (got < BYTES && (n = read(fd, data, sizeof(data))) > 0) {
		since = since ? since : io_now_ms();
		got += (uint64_t)n;
	}
	tell("down", got, since);
	(void)close(fd);
}

static void up(void)
{
	static char data[65536];
	int fd = dial(PORT_SINK);
	uint64_t since = io_now_ms(), sent = 0;

	while (sent < BYTES && io_write_full(fd, data, sizeof(data)) >= 0)
		sent += sizeof(data);
	(void)shutdown(fd, SHUT_WR);
	/* what the sink says when it has had all */
	(void)!read(fd, data, sizeof(data));
	tell("up", sent, since);
	(void)close(fd);
}

static void ask(int fd, int times)
{
	char byte = 'x', answer[16];

	for (int i = 0; i < times; i++) {
		if (write(fd, &byte, 1) != 1 || read(fd, answer, sizeof(answer)) <= 0)
			_exit(1);
	}
}

int main(void)
{
	uint64_t since;
	char byte;
	int fd;

	(void)signal(SIGPIPE, SIG_IGN);
	stand_in_say("{\"type\":\"hello\",\"version\":1,\"program\":\"port\"}");
	/* the order's first byte is enough */
	(void)!read(STAND_IN_CONTROL, &byte, 1);
	down();
	up();
	since = io_now_ms();
	for (int i = 0; i < TURNS; i++) {
		fd = dial(PORT_ECHO);
		ask(fd, 1);
		(void)close(fd);
	}
	tell("many", TURNS, since);
	fd = dial(PORT_ECHO);
	since = io_now_ms();
	ask(fd, QUESTIONS);
	tell("asks", QUESTIONS, since);
	(void)close(fd);
	stand_in_say("{\"type\":\"end\",\"outcome\":\"broken\",\"reason\":\"measured\"}");
	(void)poll(NULL, 0, 2000);
	return 0;
}
