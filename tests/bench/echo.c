/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Echoes TCP, with as little time as can be: what a server takes is no measure of the way to it. */
/*
 * Usage: bench-echo ADDRESS PORT. Says "ready" when it listens, and ends when its standard input
 * does.
 */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/io.h"
#include "base/loop.h"
#include "base/num.h"

static struct loop *loop;

static void on_connection(struct loop_source *s, uint32_t events, void *user_data)
{
	int fd = (int)(intptr_t)user_data;
	char data[65536];
	ssize_t n = recv(fd, data, sizeof(data), MSG_DONTWAIT);

	if (n > 0 && send(fd, data, (size_t)n, MSG_NOSIGNAL) == n)
		return;
	(void)loop_remove(s);
	(void)close(fd);
}

static void on_listener(struct loop_source *s, uint32_t events, void *user_data)
{
	int fd = accept4((int)(intptr_t)user_data, NULL, NULL, SOCK_CLOEXEC), on = 1;
	struct loop_source *added;

	if (fd < 0)
		return;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (loop_add_fd(loop, fd, EPOLLIN, on_connection, (void *)(intptr_t)fd, &added) < 0)
		(void)close(fd);
}

static void on_input(struct loop_source *s, uint32_t events, void *user_data)
{
	loop_quit(loop, 0);
}

int main(int argc, char **argv)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct loop_source *listener, *input;
	uint64_t port;

	if (argc != 3 || inet_pton(AF_INET, argv[1], &in.sin_addr) != 1 ||
	    parse_u64(argv[2], &port) < 0 || port > UINT16_MAX)
		errx(2, "usage: bench-echo ADDRESS PORT");
	in.sin_port = htons((uint16_t)port);
	if (fd < 0 || bind(fd, (struct sockaddr *)&in, sizeof(in)) < 0 || listen(fd, 1024) < 0)
		err(1, "%s port %s", argv[1], argv[2]);
	if (loop_new(&loop) < 0 ||
	    loop_add_fd(loop, fd, EPOLLIN, on_listener, (void *)(intptr_t)fd, &listener) < 0 ||
	    loop_add_fd(loop, 0, EPOLLIN, on_input, NULL, &input) < 0)
		errx(1, "no loop");
	if (io_write_full(1, "ready\n", 6) < 0)
		return 1;
	(void)loop_run(loop);
	(void)loop_free(loop);
	return 0;
}
