/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A fake QMP server on a socketpair, driven step by step by the test. */
#include "qmp.h"

#include <check.h>
#include <errno.h>
#include <sys/socket.h>

#include "base/fds.h"

void fake_qmp_init(struct fake_qmp *f, int *ret_client)
{
	int sv[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	*f = (struct fake_qmp){.fd = sv[0], .got_fd = -1};
	*ret_client = sv[1];
}

void fake_qmp_done(struct fake_qmp *f)
{
	fd_close(&f->fd);
	fd_close(&f->got_fd);
	buf_done(&f->in);
}

void fake_qmp_say_n(struct fake_qmp *f, struct loop *l, const char *data, size_t n)
{
	while (n > 0) {
		ssize_t w = send(f->fd, data, n, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (w < 0 && errno == EPIPE)
			return; /* the client has hung up, as a test may want */
		if (w > 0) {
			data += w;
			n -= (size_t)w;
		}
		ck_assert_int_eq(loop_step(l, 0), 0);
	}
	ck_assert_int_eq(loop_step(l, 0), 0);
}

void fake_qmp_say(struct fake_qmp *f, struct loop *l, const char *text)
{
	fake_qmp_say_n(f, l, text, strlen(text));
}

void fake_qmp_hear(struct fake_qmp *f, struct loop *l, char *out, size_t size)
{
	const char *nl;

	while (!(nl = f->in.data ? memchr(f->in.data, '\n', f->in.len) : NULL)) {
		char chunk[4096];
		struct iovec iov = {chunk, sizeof(chunk)};
		ssize_t n;
		int fd;

		ck_assert_int_eq(loop_step(l, 1), 0);
		n = fds_receive(f->fd, &iov, 1, &fd, 1, MSG_DONTWAIT);
		if (n < 0) {
			ck_assert_int_eq(n, -EAGAIN);
			continue;
		}
		ck_assert_int_gt(n, 0);
		if (fd >= 0) {
			fd_close(&f->got_fd);
			f->got_fd = fd;
		}
		ck_assert_int_eq(buf_put(&f->in, chunk, (size_t)n), 0);
	}
	(void)snprintf(out, size, "%.*s", (int)(nl - f->in.data), f->in.data);
	buf_drop(&f->in, (size_t)(nl - f->in.data) + 1);
}

bool fake_qmp_quiet(const struct fake_qmp *f)
{
	char c;

	return f->in.len == 0 && recv(f->fd, &c, 1, MSG_DONTWAIT | MSG_PEEK) < 0;
}

void fake_qmp_shake(struct fake_qmp *f, struct loop *l)
{
	char line[256];

	fake_qmp_say(f, l, FAKE_QMP_GREETING);
	fake_qmp_hear(f, l, line, sizeof(line));
	ck_assert_ptr_nonnull(strstr(line, "\"qmp_capabilities\""));
	fake_qmp_say(f, l, "{\"return\": {}, \"id\": 1}\r\n");
}
