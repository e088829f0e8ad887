/* SPDX-License-Identifier: GPL-3.0-or-later */
/* net: the relay behind nft's tproxy: worker, manager and dialer in network namespaces of their
 * own, joined by a veth pair; nothing leaves them.
 */
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>

#include "base/child.h"
#include "base/io.h"
#include "fake/net.h"
#include "net/dns-server.h"
#include "net/listen.h"

static const struct net_rule rules[] = {
	{.kind = NET_HOST_SUFFIX,
	 .name = "local.test",
	 .tcp = true,
	 .udp = true,
	 .ports = {{1024, 65535}},
	 .n_ports = 1,
	 .phases = NET_PHASE_BUILD,
	 .private_ok = true},
	{.kind = NET_HOST_IP4,
	 .addr.s6_addr = {127, 0, 0, 1},
	 .prefix_len = 32,
	 .tcp = true,
	 .ports = {{1024, 65535}},
	 .n_ports = 1,
	 .phases = NET_PHASE_BUILD,
	 .private_ok = true},
};

#define BRIDGE	 0x0a050001 /* 10.5.0.1, the manager's end */
#define TCP_PORT 7001
#define UDP_PORT 7002

static const char ruleset[] =
	"table ip t {\n"
	" chain pre { type filter hook prerouting priority mangle; policy accept;\n"
	"  iifname v0 ip daddr 198.18.0.0/15 meta l4proto tcp tproxy to 127.0.0.1:7001 accept\n"
	"  iifname v0 ip daddr 198.18.0.0/15 meta l4proto udp tproxy to 127.0.0.1:7002 accept\n"
	" }\n"
	"}\n";

static void command(const char *line)
{
	/* ip and nft are not in an ordinary user's PATH on Debian */
	const char *const argv[] = {"sh", "-ec", "PATH=$PATH:/usr/sbin:/sbin; eval \"$0\"", line,
				    NULL};
	struct err e = ERR_INIT;

	if (child_run(argv, NULL, 0, 60, &e) < 0)
		fake_die("%s: %s", line, e.text);
}

static void put_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || io_write_full(fd, text, strlen(text)) < 0)
		fake_die("%s", path);
	close(fd);
}

/* A network namespace of one's own, and the rights over it, for root and for anybody. */
static void enter(void)
{
	uid_t uid = getuid();
	gid_t gid = getgid();
	char map[64];

	ck_assert_int_eq(unshare(CLONE_NEWUSER | CLONE_NEWNET), 0);
	put_file("/proc/self/setgroups", "deny");
	(void)snprintf(map, sizeof(map), "0 %u 1", uid);
	put_file("/proc/self/uid_map", map);
	(void)snprintf(map, sizeof(map), "0 %u 1", gid);
	put_file("/proc/self/gid_map", map);
}

/* What the worker is to reach; shared with the test. */
struct plan {
	uint16_t tcp, udp;
	bool ready; /* the net is up on the manager's side */
};

static void wait_ready(const struct plan *p)
{
	for (int i = 0; i < 1000 && !*(const volatile bool *)&p->ready; i++)
		(void)poll(NULL, 0, 10);
}

static struct sockaddr_in address(uint32_t host, uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_port = htons(port),
				    .sin_addr.s_addr = htonl(host)};
}

/* Asks the manager's DNS server by UDP; the address, 0 for none. */
static uint32_t lookup(const char *name)
{
	uint8_t m[512] = {0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
	struct sockaddr_in to = address(BRIDGE, 53);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	size_t len = 12;
	uint32_t be = 0;
	ssize_t n;

	while (*name) {
		size_t l = strcspn(name, ".");

		m[len++] = (uint8_t)l;
		memcpy(m + len, name, l);
		len += l;
		name += l + (name[l] == '.');
	}
	memcpy(m + len, "\0\0\1\0\1", 5);
	len += 5;
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 || send(fd, m, len, 0) < 0)
		fake_die("DNS");
	n = recv(fd, m, sizeof(m), 0);
	close(fd);
	if (n == (ssize_t)len + 16)
		memcpy(&be, m + len + 12, 4);
	return ntohl(be);
}

static void ask_udp(uint32_t host, uint16_t port)
{
	struct sockaddr_in to = address(host, port);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char answer[16];

	/* connected: only what comes from the very address and port is received */
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		fake_die("connect");
	for (int i = 0; i < 20; i++) {
		if (send(fd, "ping", 4, 0) != 4 || recv(fd, answer, sizeof(answer), 0) != 4)
			fake_die("UDP, datagram %d", i);
	}
	close(fd);
}

static void worker(int none, void *arg)
{
	const struct plan *p = arg;
	struct sockaddr_in to;
	uint32_t host;
	int fd;

	wait_ready(p);
	command("ip address add 10.5.0.2/24 dev v1; ip link set v1 up; "
		"ip route add default via 10.5.0.1");
	host = lookup("a.local.test");
	if (host >> 17 != 0xc612U >> 1)
		fake_die("a.local.test is %08x", host);
	if (lookup("a.other.test") != 0)
		fake_die("a.other.test has an address");
	to = address(host, p->tcp);
	fd = fake_connect(&to);
	fake_send(fd, 0, 100000);
	fake_receive(fd, 0, 100000);
	fake_expect_end(fd);
	ask_udp(host, p->udp);
	ask_udp(host, p->udp);
	to = address(host, 80);
	fake_expect_reset(fake_connect(&to));
	to = address(0xc613fff0, p->tcp); /* nobody's address */
	fake_expect_reset(fake_connect(&to));
}

static void echo_tcp(int listen_fd, void *arg)
{
	int fd = fake_accept(listen_fd);

	fake_receive(fd, 0, 100000);
	fake_send(fd, 0, 100000);
}

static void echo_udp(int fd, void *arg)
{
	char data[16];

	for (int i = 0; i < 40; i++) {
		struct sockaddr_in from;
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(fd, data, sizeof(data), 0, (struct sockaddr *)&from, &len);

		if (n < 0 || sendto(fd, data, (size_t)n, 0, (struct sockaddr *)&from, len) != n)
			fake_die("echo");
	}
}

static void worker_in_namespace(int none, void *arg)
{
	if (unshare(CLONE_NEWNET) < 0)
		fake_die("unshare");
	worker(none, arg);
}

/* The manager's end of the veth pair, the rules, and the listeners. */
static void set_up(struct fake_net *f, struct dns_server_config *dns, pid_t worker_pid)
{
	struct net_addr lo = net_addr_ip4(INADDR_LOOPBACK), bridge = net_addr_ip4(BRIDGE);
	struct err e = ERR_INIT;
	char line[1024];

	(void)snprintf(line, sizeof(line),
		       "ip link set lo up; for i in 1 2 3 4 5 6 7 8 9; do "
		       "ip link add v0 type veth peer name v1 netns %d 2>/dev/null && break; "
		       "sleep 0.1; done; ip address add 10.5.0.1/24 dev v0; ip link set v0 up; "
		       "ip route add local 198.18.0.0/15 dev lo; nft -f - <<'END'\n%s\nEND\n",
		       worker_pid, ruleset);
	command(line);
	fd_close(&f->config.tcp_fd);
	fd_close(&f->config.udp_fd);
	f->config.tcp_fd = net_listen(SOCK_STREAM, NET_LISTEN_TPROXY, &lo, TCP_PORT, NULL, &e);
	ck_assert_msg(f->config.tcp_fd >= 0, "%s", e.text);
	f->config.udp_fd = net_listen(SOCK_DGRAM, NET_LISTEN_TPROXY, &lo, UDP_PORT, NULL, &e);
	ck_assert_msg(f->config.udp_fd >= 0, "%s", e.text);
	dns->udp_fd = net_listen(SOCK_DGRAM, NET_LISTEN_PLAIN, &bridge, 53, NULL, &e);
	ck_assert_msg(dns->udp_fd >= 0, "%s", e.text);
	f->config.ops = NULL;
}

START_TEST(tproxy)
{
	struct plan *p = fake_shared(sizeof(*p));
	struct dns_server_config dns = {.rules = rules,
					.n_rules = ARRAY_SIZE(rules),
					.phase = NET_PHASE_BUILD,
					.tcp_fd = -1};
	struct dns_server *server = NULL;
	struct relay_stats stats;
	struct fake_net f;
	pid_t t, u, w;
	int tcp = fake_listen(SOCK_STREAM, &p->tcp), udp = fake_listen(SOCK_DGRAM, &p->udp);

	/* servers and dialer stay outside */
	t = fake_peer(echo_tcp, tcp, NULL);
	u = fake_peer(echo_udp, udp, NULL);
	close(tcp);
	close(udp);
	fake_net_init(&f, rules, ARRAY_SIZE(rules));
	fake_net_start_dialer(&f);
	enter();
	w = fake_peer(worker_in_namespace, -1, p);
	set_up(&f, &dns, w);
	fake_net_start_relay(&f);
	dns.synth = f.synth;
	ck_assert_int_eq(dns_server_new(f.loop, &dns, &server, NULL), 0);
	p->ready = true;
	fake_net_wait(&f, w);
	fake_net_wait(&f, t);
	fake_net_wait(&f, u);
	relay_get_stats(f.relay, &stats);
	ck_assert_uint_eq(stats.opened, 3);
	ck_assert_uint_eq(stats.denied, 2);
	ck_assert_uint_eq(stats.flows, 2);
	ck_assert_uint_eq(stats.bytes[METER_UP], 100000 + 160);
	ck_assert_uint_eq(stats.bytes[METER_DOWN], 100000 + 160);
	dns_server_free(server);
	close(dns.udp_fd);
	fake_net_done(&f);
	fake_unshare(p, sizeof(*p));
}
END_TEST

Suite *unit_suite(void)
{
	Suite *s = suite_create("tproxy");
	TCase *tc = unit_case(s, "tproxy");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, tproxy);
	return s;
}
