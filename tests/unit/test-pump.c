/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The manager VM's pump between two socket pairs: order, back-pressure, and the two ways to end. */
#include "unit.h"

#include <signal.h>
#include <sys/socket.h>

#include "base/io.h"
#include "firmware/manager/pump.h"

struct ends {
	struct pump p;
	int host, manager; /* the far ends */
};

static struct ends *setup(void)
{
	struct ends *t = calloc(1, sizeof(*t));
	int a[2], b[2];

	ck_assert_ptr_nonnull(t);
	(void)signal(SIGPIPE, SIG_IGN); /* as init does */
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, a), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, b), 0);
	t->p.port = a[0];
	t->host = a[1];
	t->p.sock = b[0];
	t->manager = b[1];
	return t;
}

static void teardown(struct ends *t)
{
	fd_close(&t->p.port);
	fd_close(&t->p.sock);
	fd_close(&t->host);
	fd_close(&t->manager);
	free(t);
}

/* One turn of the loop; false when there was nothing to do. */
static bool turn(struct ends *t)
{
	struct pollfd fds[2];

	pump_prepare(&t->p, fds);
	if (poll(fds, 2, 0) <= 0)
		return false;
	pump_step(&t->p, fds);
	return true;
}

static void expect(int fd, const char *text)
{
	char got[64] = "";

	ck_assert_int_eq(read(fd, got, sizeof(got) - 1), (int)strlen(text));
	ck_assert_str_eq(got, text);
}

START_TEST(both_ways)
{
	struct ends *t = setup();

	ck_assert(!turn(t));
	ck_assert_int_eq(io_write_full(t->host, "build", 5), 0);
	ck_assert_int_eq(io_write_full(t->manager, "hello", 5), 0);
	while (turn(t))
		;
	expect(t->manager, "build");
	expect(t->host, "hello");
	ck_assert(!t->p.hung_up);
	teardown(t);
}
END_TEST

/* A reader that stands still holds up its own direction alone, and no byte is lost. */
START_TEST(back_pressure)
{
	struct ends *t = setup();
	size_t sent = 0, got = 0;
	char chunk[4096];
	ssize_t n;

	for (bool moved = true; moved;) {
		memset(chunk, (int)(sent / sizeof(chunk) % 251), sizeof(chunk));
		n = write(t->manager, chunk, sizeof(chunk));
		moved = n > 0;
		sent += moved ? (size_t)n : 0;
		for (int i = 0; i < 8 && turn(t); i++)
			;
	}
	ck_assert_uint_gt(sent, 2 * PUMP_SIZE);
	ck_assert_int_eq(io_write_full(t->host, "cancel", 6), 0);
	for (int i = 0; i < 8; i++)
		(void)turn(t);
	expect(t->manager, "cancel");
	(void)shutdown(t->manager, SHUT_WR);
	while (got < sent) {
		while (turn(t))
			;
		n = read(t->host, chunk, sizeof(chunk));
		ck_assert_int_gt(n, 0);
		for (ssize_t i = 0; i < n; i++)
			ck_assert_int_eq((unsigned char)chunk[i],
					 (int)((got + (size_t)i) / sizeof(chunk) % 251));
		got += (size_t)n;
	}
	ck_assert(pump_drained(&t->p));
	teardown(t);
}
END_TEST

START_TEST(manager_ends)
{
	struct ends *t = setup();

	ck_assert_int_eq(io_write_full(t->manager, "end", 3), 0);
	fd_close(&t->manager);
	for (int i = 0; i < 100 && turn(t); i++)
		;
	ck_assert(pump_drained(&t->p));
	ck_assert(!t->p.hung_up);
	expect(t->host, "end");
	/* an ended manager does not keep the loop spinning */
	ck_assert(!turn(t));
	/* what still comes for it is dropped */
	ck_assert_int_eq(io_write_full(t->host, "cancel", 6), 0);
	for (int i = 0; i < 100 && turn(t); i++)
		;
	ck_assert(!turn(t));
	teardown(t);
}
END_TEST

START_TEST(host_ends)
{
	struct ends *t = setup();

	fd_close(&t->host);
	for (int i = 0; i < 100 && turn(t); i++)
		;
	ck_assert(t->p.hung_up);
	teardown(t);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("pump");
	TCase *c = unit_case(s, "pump");

	tcase_add_test(c, both_ways);
	tcase_add_test(c, back_pressure);
	tcase_add_test(c, manager_ends);
	tcase_add_test(c, host_ends);
	return s;
}
