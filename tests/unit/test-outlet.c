/* SPDX-License-Identifier: GPL-3.0-or-later */
/* net: what the dialer hands over, and the way from there through a pair of the relay's. */
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/io.h"
#include "net/outlet.h"
#include "net/pair.h"

/* worker -- [pair -- stand-in] -- [outlet -- socket] -- host; brackets are relay and dialer */
struct chain {
	struct loop *loop;
	struct outlets *outlets;
	struct copier *copier;
	struct pair pair;
	int code; /* the pair's end; 1: there was none */
	int worker, host;
};

static void on_end(struct pair *p, int code, void *user_data)
{
	struct chain *c = user_data;

	if (code == -EAGAIN)
		return;
	c->code = code;
	pair_done(p, code < 0);
}

/* Two ends of a TCP connection. */
static void connect_tcp(int *ret_a, int *ret_b)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(in);

	ck_assert_int_eq(bind(l, (struct sockaddr *)&in, len), 0);
	ck_assert_int_eq(listen(l, 1), 0);
	ck_assert_int_eq(getsockname(l, (struct sockaddr *)&in, &len), 0);
	*ret_a = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(*ret_a, (struct sockaddr *)&in, len), 0);
	*ret_b = accept4(l, NULL, NULL, SOCK_CLOEXEC);
	ck_assert_int_ge(*ret_b, 0);
	ck_assert_int_eq(io_set_nonblock(*ret_a, 1), 0);
	ck_assert_int_eq(io_set_nonblock(*ret_b, 1), 0);
	close(l);
}

static void connect_udp(int *ret_a, int *ret_b)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in b = a;
	socklen_t len = sizeof(a);

	*ret_a = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	*ret_b = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ck_assert_int_eq(bind(*ret_a, (struct sockaddr *)&a, len), 0);
	ck_assert_int_eq(bind(*ret_b, (struct sockaddr *)&b, len), 0);
	ck_assert_int_eq(getsockname(*ret_a, (struct sockaddr *)&a, &len), 0);
	ck_assert_int_eq(getsockname(*ret_b, (struct sockaddr *)&b, &len), 0);
	ck_assert_int_eq(connect(*ret_a, (struct sockaddr *)&b, len), 0);
	ck_assert_int_eq(connect(*ret_b, (struct sockaddr *)&a, len), 0);
}

static void outlets_setup(struct chain *c)
{
	*c = (struct chain){.code = 1, .worker = -1, .host = -1};
	ck_assert_int_eq(loop_new(&c->loop), 0);
	c->outlets = calloc(1, sizeof(*c->outlets));
	c->copier = calloc(1, sizeof(*c->copier));
	c->outlets->loop = c->loop;
}

static void setup(struct chain *c)
{
	int relay, dialer, stand_in;

	outlets_setup(c);
	connect_tcp(&c->worker, &relay);
	connect_tcp(&c->host, &dialer);
	ck_assert_int_eq(outlet_add(c->outlets, false, dialer, &stand_in), 0);
	ck_assert_int_eq(pair_init(&c->pair, c->loop, c->copier, relay, on_end, c), 0);
	pair_open(&c->pair, stand_in);
}

static void teardown(struct chain *c)
{
	if (c->code == 1 && c->pair.loop)
		pair_done(&c->pair, true);
	outlets_done(c->outlets);
	ck_assert_uint_eq(c->outlets->n, 0);
	loop_free(c->loop);
	free(c->outlets);
	free(c->copier);
	fd_close(&c->worker);
	fd_close(&c->host);
}

/* Runs until the descriptor has something to say. */
static void step_for(struct chain *c, int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint64_t end = io_now_ms() + 5000;

	while (poll(&p, 1, 0) == 0 && io_now_ms() < end)
		ck_assert_int_eq(loop_step(c->loop, 10), 0);
}

/* What a read gives: its length, 0 at the end, or a negative errno. */
static ssize_t get(struct chain *c, int fd, char *out, size_t size)
{
	ssize_t n;

	step_for(c, fd);
	n = recv(fd, out, size, MSG_DONTWAIT);
	return n < 0 ? -errno : n;
}

static void step_to_end(struct chain *c)
{
	uint64_t end = io_now_ms() + 5000;

	while ((c->code == 1 || c->outlets->n > 0) && io_now_ms() < end)
		ck_assert_int_eq(loop_step(c->loop, 10), 0);
	ck_assert_int_le(c->code, 0);
	ck_assert_uint_eq(c->outlets->n, 0);
}

START_TEST(an_end_is_an_end)
{
	struct chain c;
	char b[16];

	for (int host_first = 0; host_first < 2; host_first++) {
		int *a, *z;

		setup(&c);
		a = host_first ? &c.host : &c.worker;
		z = host_first ? &c.worker : &c.host;
		ck_assert_int_eq(send(*a, "question", 8, 0), 8);
		ck_assert_int_eq(shutdown(*a, SHUT_WR), 0);
		ck_assert_int_eq(get(&c, *z, b, sizeof(b)), 8);
		ck_assert_int_eq(get(&c, *z, b, sizeof(b)), 0);
		ck_assert_int_eq(send(*z, "answer", 6, 0), 6);
		ck_assert_int_eq(get(&c, *a, b, sizeof(b)), 6);
		ck_assert_int_eq(c.code, 1);
		fd_close(z);
		ck_assert_int_eq(get(&c, *a, b, sizeof(b)), 0);
		step_to_end(&c);
		ck_assert_int_eq(c.code, 0);
		teardown(&c);
	}
}
END_TEST

START_TEST(a_reset_is_a_reset)
{
	struct chain c;
	char b[16];

	for (int i = 0; i < 4; i++) {
		bool host_first = i & 1, data = i & 2;
		int *a, *z;

		setup(&c);
		a = host_first ? &c.host : &c.worker;
		z = host_first ? &c.worker : &c.host;
		if (data) {
			ck_assert_int_eq(send(*a, "half of it", 10, 0), 10);
			ck_assert_int_eq(get(&c, *z, b, sizeof(b)), 10);
		}
		pair_reset_fd(a);
		ck_assert_int_eq(get(&c, *z, b, sizeof(b)), -ECONNRESET);
		step_to_end(&c);
		ck_assert_int_lt(c.code, 0);
		teardown(&c);
	}
}
END_TEST

/* Byte i of a stream. */
static uint8_t byte_at(size_t i)
{
	return (uint8_t)(i * 7 + i / 251);
}

/* Sends all that the socket takes now, and takes and compares what is there. */
static void move(int from, int to, size_t size, size_t *sent, size_t *got)
{
	static uint8_t block[200000];
	bool same = true;
	ssize_t n;

	do {
		for (size_t i = 0; i < sizeof(block); i++)
			block[i] = byte_at(*sent + i);
		n = *sent == size
			    ? 0
			    : send(from, block, MIN(sizeof(block), size - *sent), MSG_DONTWAIT);
		*sent += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	while ((n = recv(to, block, sizeof(block), MSG_DONTWAIT)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			same = same && block[i] == byte_at(*got + (size_t)i);
		*got += (size_t)n;
	}
	ck_assert(same);
}

START_TEST(much_passes_both_ways)
{
	const size_t size = 20 * MIB;
	size_t up_sent = 0, up = 0, down_sent = 0, down = 0;
	uint64_t end = io_now_ms() + 60000;
	struct chain c;

	setup(&c);
	while ((up < size || down < size) && io_now_ms() < end) {
		move(c.worker, c.host, size, &up_sent, &up);
		move(c.host, c.worker, size, &down_sent, &down);
		ck_assert_int_eq(loop_step(c.loop, 0), 0);
	}
	ck_assert_uint_eq(up, size);
	ck_assert_uint_eq(down, size);
	ck_assert_uint_eq(c.pair.count[METER_UP], size);
	ck_assert_uint_eq(c.pair.count[METER_DOWN], size);
	ck_assert_uint_gt(c.outlets->copier.pipes, 0);
	teardown(&c);
}
END_TEST

START_TEST(datagrams_keep_their_bounds)
{
	static char big[65507];
	struct chain c;
	char b[16];
	int fd, dialer;

	outlets_setup(&c);
	connect_udp(&c.host, &dialer);
	ck_assert_int_eq(outlet_add(c.outlets, true, dialer, &fd), 0);
	ck_assert_int_eq(send(fd, "one", 3, 0), 3);
	ck_assert_int_eq(send(fd, "", 0, 0), 0);
	ck_assert_int_eq(send(fd, "three", 5, 0), 5);
	ck_assert_int_eq(get(&c, c.host, b, sizeof(b)), 3);
	ck_assert_int_eq(get(&c, c.host, b, sizeof(b)), 0);
	ck_assert_int_eq(get(&c, c.host, b, sizeof(b)), 5);
	ck_assert_int_eq(send(c.host, "", 0, 0), 0);
	ck_assert_int_eq(send(c.host, "two", 3, 0), 3);
	ck_assert_int_eq(send(c.host, big, sizeof(big), 0), sizeof(big));
	ck_assert_int_eq(get(&c, fd, b, sizeof(b)), 0);
	ck_assert(!copy_hung_up(fd));
	ck_assert_int_eq(get(&c, fd, b, sizeof(b)), 3);
	ck_assert_int_eq(get(&c, fd, big, sizeof(big)), sizeof(big));
	/* nobody is there any more: an ICMP error, and the stand-in ends */
	fd_close(&c.host);
	ck_assert_int_eq(send(fd, "late", 4, 0), 4);
	ck_assert_int_eq(get(&c, fd, b, sizeof(b)), 0);
	ck_assert(copy_hung_up(fd));
	ck_assert_uint_eq(c.outlets->n, 0);
	close(fd);
	/* and the other way round */
	connect_udp(&c.host, &dialer);
	ck_assert_int_eq(outlet_add(c.outlets, true, dialer, &fd), 0);
	close(fd);
	c.code = 0;
	step_to_end(&c);
	teardown(&c);
}
END_TEST

/* All that the holder of a connected socket may try to speak to somebody else by it. */
static void lead_astray(int fd, const struct sockaddr *to, socklen_t len)
{
	const struct sockaddr none = {.sa_family = AF_UNSPEC};
	char text[] = "stolen";
	struct iovec iov = {text, 6};
	struct msghdr mh = {.msg_name = (void *)(uintptr_t)to,
			    .msg_namelen = len,
			    .msg_iov = &iov,
			    .msg_iovlen = 1};

	(void)sendto(fd, "stolen", 6, MSG_DONTWAIT | MSG_NOSIGNAL, to, len);
	(void)sendmsg(fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)sendmsg(fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL | MSG_FASTOPEN);
	ck_assert_int_lt(connect(fd, &none, sizeof(none)), 0);
	ck_assert_int_lt(connect(fd, to, len), 0);
	ck_assert_int_lt(listen(fd, 1), 0);
	ck_assert_int_lt(bind(fd, to, len), 0);
	(void)send(fd, "stolen", 6, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* The one that is handed over speaks to the host that was allowed, whatever is tried. */
START_TEST(it_cannot_be_led_elsewhere)
{
	for (int udp = 0; udp < 2; udp++) {
		struct sockaddr_in in = {.sin_family = AF_INET,
					 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "\0contractor-test"};
		int type = udp ? SOCK_DGRAM : SOCK_STREAM;
		int other = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		int local = socket(AF_UNIX, (udp ? SOCK_SEQPACKET : type) | SOCK_CLOEXEC, 0);
		struct pollfd p[] = {{.fd = other, .events = POLLIN},
				     {.fd = local, .events = POLLIN}};
		socklen_t len = sizeof(in);
		struct chain c;
		int fd, dialer, domain;
		char b[64];

		ck_assert_int_eq(bind(other, (struct sockaddr *)&in, len), 0);
		ck_assert_int_eq(getsockname(other, (struct sockaddr *)&in, &len), 0);
		ck_assert_int_eq(udp ? 0 : listen(other, 5), 0);
		ck_assert_int_eq(bind(local, (struct sockaddr *)&un, sizeof(un)), 0);
		ck_assert_int_eq(listen(local, 5), 0);
		outlets_setup(&c);
		if (udp)
			connect_udp(&c.host, &dialer);
		else
			connect_tcp(&c.host, &dialer);
		ck_assert_int_eq(outlet_add(c.outlets, udp, dialer, &fd), 0);
		len = sizeof(domain);
		ck_assert_int_eq(getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len), 0);
		ck_assert_int_eq(domain, AF_UNIX);
		lead_astray(fd, (struct sockaddr *)&in, sizeof(in));
		lead_astray(fd, (struct sockaddr *)&un, sizeof(un));
		ck_assert_int_gt(get(&c, c.host, b, sizeof(b)), 0);
		ck_assert_int_eq(memcmp(b, "stolen", 6), 0);
		ck_assert_int_eq(poll(p, 2, 50), 0);
		close(fd);
		close(other);
		close(local);
		teardown(&c);
	}
}
END_TEST

START_TEST(there_is_a_bound)
{
	struct chain c;
	int dialer, fd = -1;

	outlets_setup(&c);
	connect_tcp(&c.host, &dialer);
	c.outlets->n = OUTLETS_MAX;
	ck_assert_int_eq(outlet_add(c.outlets, false, dialer, &fd), -EBUSY);
	ck_assert_int_eq(fd, -1);
	c.outlets->n = 0;
	teardown(&c);
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("outlet");
	TCase *tc = unit_case(s, "outlet");

	tcase_set_timeout(tc, 90);
	tcase_add_test(tc, an_end_is_an_end);
	tcase_add_test(tc, a_reset_is_a_reset);
	tcase_add_test(tc, much_passes_both_ways);
	tcase_add_test(tc, datagrams_keep_their_bounds);
	tcase_add_test(tc, it_cannot_be_led_elsewhere);
	tcase_add_test(tc, there_is_a_bound);
	return s;
}
