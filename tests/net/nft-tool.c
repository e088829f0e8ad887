/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The worker's network for tests: prints the rule set, or brings it up and says what it refuses. */
/*
 * nft-tool [OPTION]... names|text|hex|run
 *   names  the rules' names      text, hex  the batch, decoded or as it is
 *   run    in the present net namespace: tap and bridge (or --ifname), table, NFLOG. The tap goes
 *          to the socket --socket N. Prints "ready IFNAME" and a line for each logged packet;
 *          answers "read" on stdin with a line of each object; ends at the end of stdin.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <sys/socket.h>

#include "base/fds.h"
#include "base/num.h"
#include "net/link.h"
#include "net/nflog.h"
#include "net/nft-apply.h"
#include "net/nft-decode.h"
#include "net/ruleset.h"

struct tool {
	struct ruleset_config c;
	char ifname[IFNAMSIZ]; /* what c.ifname points to */
	struct net_rule rules[NET_RULES_MAX];
	const char *without, *open_policy;
	int socket;
	struct loop *loop;
	struct nft_conn *conn;
};

static const uint8_t worker_mac[6] = {0x52, 0x54, 0, 0x12, 0x34, 2};
static const uint8_t host_mac[6] = {0x52, 0x54, 0, 0x12, 0x34, 1};

static uint64_t number(const char *text)
{
	uint64_t v;

	if (parse_u64(text, &v) < 0) {
		fprintf(stderr, "nft-tool: %s: not a number\n", text);
		exit(2);
	}
	return v;
}

/* HOST,PORTS,PROTOCOL */
static void allow(struct tool *t, char *text)
{
	struct net_rule *r = &t->rules[t->c.n_rules];
	char *port = strchr(text, ','), *proto = port ? strchr(port + 1, ',') : NULL;
	struct err e = ERR_INIT;

	if (!proto || t->c.n_rules == NET_RULES_MAX) {
		fprintf(stderr, "nft-tool: %s: HOST,PORTS,PROTOCOL is wanted\n", text);
		exit(2);
	}
	*port++ = *proto++ = 0;
	*r = (struct net_rule){.phases = NET_PHASE_BUILD};
	if (net_rule_set_host(r, text, &e) < 0 || net_rule_add_ports(r, port, &e) < 0 ||
	    net_rule_set_protocol(r, proto, &e) < 0) {
		fprintf(stderr, "nft-tool: %s\n", e.text);
		exit(2);
	}
	t->c.n_rules++;
}

static void parse(struct tool *t, int argc, char **argv)
{
	static const struct option options[] = {
		{"rate", required_argument, NULL, 'r'},
		{"total", required_argument, NULL, 't'},
		{"connections", required_argument, NULL, 'c'},
		{"allow", required_argument, NULL, 'a'},
		{"without", required_argument, NULL, 'w'},
		{"open-policy", required_argument, NULL, 'o'},
		{"ifname", required_argument, NULL, 'i'},
		{"socket", required_argument, NULL, 's'},
		{NULL, 0, NULL, 0},
	};
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 'r':
			t->c.rate = number(optarg);
			break;
		case 't':
			t->c.total = number(optarg);
			break;
		case 'c':
			t->c.connections = (uint32_t)number(optarg);
			break;
		case 'a':
			allow(t, optarg);
			break;
		case 'w':
			t->without = optarg;
			break;
		case 'o':
			t->open_policy = optarg;
			break;
		case 'i':
			t->c.ifname = optarg;
			break;
		case 's':
			t->socket = (int)number(optarg);
			break;
		default:
			exit(2);
		}
	}
}

/* Takes the named rule out, or opens the named chain's policy; false if there is none such. */
static bool mutate(struct nft_list *l, const struct tool *t)
{
	bool found = !t->without && !t->open_policy;

	for (size_t i = 0; i < l->n; i++) {
		struct nft_op *op = &l->ops[i];

		if (t->open_policy && op->type == NFT_OP_CHAIN && op->u.chain.base &&
		    strcmp(op->u.chain.name, t->open_policy) == 0) {
			op->u.chain.policy = NF_ACCEPT;
			found = true;
		}
		if (t->without && op->type == NFT_OP_RULE &&
		    strcmp(op->u.rule.name, t->without) == 0) {
			memmove(op, op + 1, (l->n - i - 1) * sizeof(*op));
			l->n--;
			i--;
			found = true;
		}
	}
	return found;
}

static int encode(const struct tool *t, struct nft_batch *b, bool names, struct err *e)
{
	_cleanup_(nft_list_done) struct nft_list l = {0};
	int r = ruleset_build(&t->c, &l, e);

	if (r < 0)
		return r;
	if (!mutate(&l, t))
		return err_set(e, -ENOENT, "there is no rule or chain of that name");
	for (size_t i = 0; names && i < l.n; i++) {
		if (l.ops[i].type == NFT_OP_RULE)
			printf("%s\n", l.ops[i].u.rule.name);
	}
	return names ? 0 : nft_encode(&l, b, e);
}

static int print_batch(const struct nft_batch *b, bool text, struct err *e)
{
	_cleanup_buf_ struct buf out = {0};
	int r;

	if (!text) {
		for (size_t i = 0; i < b->bytes.len; i++)
			printf("%02x%s", (uint8_t)b->bytes.data[i], i % 16 == 15 ? "\n" : "");
		return 0;
	}
	r = nft_decode(b->bytes.data, b->bytes.len, &out);
	if (r < 0)
		return err_errno(e, r, "our own batch does not decode");
	(void)fputs(buf_str(&out), stdout);
	return 0;
}

static void on_attempt(const struct attempt *a, void *user_data)
{
	char text[ATTEMPT_TEXT_MAX];

	printf("log %d %s\n", a->kind, attempt_text(a, text));
	(void)fflush(stdout);
}

static void read_objects(struct tool *t)
{
	static const uint8_t families[] = {NFPROTO_INET, NFPROTO_ARP};
	struct nft_reading readings[16];

	for (size_t f = 0; f < ARRAY_SIZE(families); f++) {
		struct err e = ERR_INIT;
		int n = nft_read_objects(t->conn, families[f], RULESET_TABLE, readings,
					 ARRAY_SIZE(readings), &e);

		if (n < 0)
			printf("error %s\n", e.text);
		for (int i = 0; i < n; i++)
			printf("object %u %s %llu %llu %llu\n", families[f], readings[i].name,
			       (unsigned long long)readings[i].bytes,
			       (unsigned long long)readings[i].packets,
			       (unsigned long long)readings[i].limit);
	}
	printf("read\n");
	(void)fflush(stdout);
}

static void on_stdin(struct loop_source *s, uint32_t events, void *user_data)
{
	struct tool *t = user_data;
	char line[64];
	ssize_t n = read(STDIN_FILENO, line, sizeof(line));

	if (n <= 0)
		loop_quit(t->loop, 0);
	else
		read_objects(t);
}

static int send_fd(int sock, int fd)
{
	char byte = 0;
	ssize_t r = fds_send(sock, &(struct iovec){&byte, 1}, 1, &fd, 1, 0);

	return r < 0 ? (int)r : 0;
}

static int bring_up(struct tool *t, int *ret_tap, struct err *e)
{
	struct link_config lc = {.tap = "tap0",
				 .bridge = "br0",
				 .host = t->c.host,
				 .worker = t->c.worker,
				 .host6 = t->c.host6,
				 .worker6 = t->c.worker6,
				 .rules = t->rules,
				 .n_rules = t->c.n_rules,
				 .rate = t->c.rate};
	struct link link;
	int r;

	if (t->socket < 0)
		return 0;
	memcpy(lc.host_mac, host_mac, 6);
	memcpy(lc.worker_mac, worker_mac, 6);
	r = link_up(&lc, &link, e);
	if (r < 0)
		return r;
	*ret_tap = link.tap_fd;
	memcpy(t->ifname, link.ifname, IFNAMSIZ);
	t->c.ifname = t->ifname;
	return send_fd(t->socket, link.tap_fd);
}

static int run(struct tool *t, struct err *e)
{
	_cleanup_(nft_batch_done) struct nft_batch b = {0};
	_cleanup_(loop_free_p) struct loop *l = NULL;
	_cleanup_(nflog_free_p) struct nflog *log = NULL;
	_cleanup_(nft_close_p) struct nft_conn *conn = NULL;
	_cleanup_close_ int tap = -1;
	struct loop_source *in;
	int r = bring_up(t, &tap, e);

	if (r < 0 || (r = loop_new(&l)) < 0 || (r = encode(t, &b, false, e)) < 0)
		return r;
	r = nflog_new(l, t->c.log_group, on_attempt, NULL, &log, e);
	if (r < 0 || (r = nft_open(&conn, e)) < 0 || (r = nft_apply(conn, &b, e)) < 0)
		return r;
	t->loop = l;
	t->conn = conn;
	r = loop_add_fd(l, STDIN_FILENO, EPOLLIN, on_stdin, t, &in);
	if (r < 0)
		return r;
	printf("ready %s\n", t->c.ifname);
	(void)fflush(stdout);
	return loop_run(l);
}

int main(int argc, char **argv)
{
	static struct tool t = {.socket = -1};
	_cleanup_(nft_batch_done) struct nft_batch b = {0};
	struct err e = ERR_INIT;
	const char *mode;
	int r = -EINVAL;

	t.c = (struct ruleset_config){.ifname = "br0",
				      .relay_tcp = 9001,
				      .relay_udp = 9002,
				      .rules = t.rules,
				      .connections = 64,
				      .log_group = 1};
	memcpy(t.c.worker_mac, worker_mac, 6);
	parse(&t, argc, argv);
	ruleset_pick_subnet(t.rules, t.c.n_rules, &t.c.host, &t.c.worker);
	(void)ruleset_pick_subnet6(t.rules, t.c.n_rules, &t.c.host6, &t.c.worker6);
	mode = optind + 1 == argc ? argv[optind] : "";
	if (strcmp(mode, "run") == 0)
		r = run(&t, &e);
	else if (strcmp(mode, "names") == 0)
		r = encode(&t, &b, true, &e);
	else if (strcmp(mode, "text") == 0 || strcmp(mode, "hex") == 0)
		r = encode(&t, &b, false, &e) < 0 ? e.code : print_batch(&b, mode[0] == 't', &e);
	if (r < 0)
		fprintf(stderr, "nft-tool: %s\n", e.text[0] ? e.text : strerror(-r));
	return r < 0;
}
