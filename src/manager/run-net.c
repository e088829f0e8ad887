/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Putting the worker's network together: link, nf_tables, what is served, and the log. */
#include "run-net.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/netfilter.h>
#include <sys/socket.h>

#include "base/text.h"
#include "net/dhcp-server.h"
#include "net/dial-client.h"
#include "net/dns-server.h"
#include "net/link.h"
#include "net/listen.h"
#include "net/nflog.h"
#include "net/nft-apply.h"
#include "net/relay.h"
#include "net/ruleset.h"

#define TAP_NAME    "worker"
#define BRIDGE_NAME "inside"
#define DNS_PORT    53
#define RELAY_TCP   1025
#define RELAY_UDP   1026
#define LOG_GROUP   1
#define LEASE_S	    86400
#define POLL_MS	    250

static const uint8_t host_mac[6] = {0x52, 0x54, 0x00, 0x68, 0x6f, 0x73};
static const uint8_t worker_mac[6] = {0x52, 0x54, 0x00, 0x63, 0x74, 0x72};

struct run_net {
	const struct order_network *order;
	struct run_net_callbacks cb;
	enum net_phase phase;
	struct in_addr host, worker;
	bool six; /* the worker has IPv6: a rule has an address of it */
	struct in6_addr host6, worker6;
	struct link link;
	struct nft_conn *nft;
	struct nflog *log;
	struct loop_source *poll; /* of the kernel's quota */
	struct net_synth *synth;
	struct dial_client *dialer;
	struct dns_server *dns;
	struct dhcp_server *dhcp;
	struct relay *relay;
	int dns_udp, dns_tcp, dhcp_fd, relay_tcp, relay_udp, relay_tcp6, relay_udp6;
	struct denials denials;
	char last_name[256]; /* the name refused last: what a bare packet after it may have meant */
};

static void tell(struct run_net *n, const struct denial *a)
{
	int i = denials_add(&n->denials, a);

	if (i >= 0)
		n->cb.denied((size_t)i, n->cb.user_data);
}

static void put(char *out, size_t size, const char *text)
{
	(void)text_escape_line(text, strlen(text), out, size);
}

static void on_dns(const struct dns_event *ev, void *user_data)
{
	struct run_net *n = user_data;
	struct net_query q = {.phase = n->phase, .name = ev->name, .any_service = true};
	struct denial a = {.protocol = "dns", .phase = n->phase};
	char text[NET_TEXT_MAX];

	if (ev->noise || (ev->decision.reason == NET_ALLOWED && !ev->full))
		return;
	put(a.host, sizeof(a.host), ev->name);
	put(n->last_name, sizeof(n->last_name), ev->name);
	(void)snprintf(a.reason, sizeof(a.reason), "the name %s: %s", a.host,
		       ev->full ? "too many names below its suffix"
				: net_decision_text(&ev->decision, n->order->rules, &q, text));
	/* the question does not say what for: the commonest */
	q.proto = NET_PROTO_TCP;
	q.port = 443;
	(void)net_decision_remedy(&ev->decision, &q, a.remedy);
	tell(n, &a);
}

static void on_relay(const struct relay_event *ev, void *user_data)
{
	struct run_net *n = user_data;
	struct net_query q;
	struct denial a = {.phase = ev->phase};
	char text[NET_TEXT_MAX], addr[NET_ADDR_TEXT_MAX] = "";
	uint64_t up, down;

	switch (ev->type) {
	case RELAY_OPENED:
	case RELAY_FAILED:
	case RELAY_GONE: /* on_dialer_gone hears of it first */
		return;
	case RELAY_OVER:
		run_net_bytes(n, &up, &down);
		n->cb.over(n->order->total, up + down, n->cb.user_data);
		return;
	case RELAY_DENIED:
	case RELAY_ENDED:
		break;
	case _RELAY_EVENT_TYPE_MAX:
		return;
	}
	q = relay_event_query(ev);
	(void)snprintf(a.protocol, sizeof(a.protocol), "%s", net_proto_text(ev->proto));
	if (ev->name)
		put(a.host, sizeof(a.host), ev->name);
	if (ev->has_addr)
		(void)snprintf(a.address, sizeof(a.address), "%s",
			       net_addr_format(&ev->addr, addr));
	a.port = ev->port;
	(void)snprintf(a.reason, sizeof(a.reason), "%s to %s port %u: %s", a.protocol,
		       ev->name ? a.host : addr, ev->port,
		       ev->type == RELAY_ENDED
			       ? "the connection was still open when its phase ended"
			       : net_decision_text(&ev->decision, n->order->rules, &q, text));
	(void)net_decision_remedy(&ev->decision, &q, a.remedy);
	tell(n, &a);
}

static void on_dialer_gone(void *user_data)
{
	struct run_net *n = user_data;

	n->cb.broken("the dialer has ended", n->cb.user_data);
}

/* Why no packet like this passes, and the rule that would let it; "" where the text says all. */
static const char *packet_reason(const struct run_net *n, const struct attempt *what,
				 struct denial *a, char text[NET_TEXT_MAX])
{
	struct net_query q = {.phase = n->phase,
			      .addr = &what->dst,
			      .port = what->port,
			      .proto = (enum net_proto)what->proto};
	struct net_decision d;

	if (what->kind != ATTEMPT_DENIED || !what->has_dst)
		return "";
	if (what->dst.v6 && !n->six)
		return "the worker has no IPv6; a host that has nothing else is reached by a rule "
		       "for its name";
	if (what->proto != IPPROTO_TCP && what->proto != IPPROTO_UDP)
		return "nothing but TCP and UDP can be allowed";
	d = net_decide(n->order->rules, n->order->n_rules, &q);
	if (d.reason == NET_ALLOWED)
		return "a fragment, or otherwise not what a connection looks like";
	(void)net_decision_remedy(&d, &q, a->remedy);
	return net_decision_text(&d, n->order->rules, &q, text);
}

/* What the kernel refused: nothing there goes by a name, but a name may have been asked for before.
 */
static void on_packet(const struct attempt *what, void *user_data)
{
	struct run_net *n = user_data;
	struct denial a = {.phase = n->phase, .port = what->port};
	char packet[ATTEMPT_TEXT_MAX], text[NET_TEXT_MAX], addr[NET_ADDR_TEXT_MAX];
	const char *why;

	switch (what->proto) {
	case IPPROTO_TCP:
		put(a.protocol, sizeof(a.protocol), "tcp");
		break;
	case IPPROTO_UDP:
		put(a.protocol, sizeof(a.protocol), "udp");
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		put(a.protocol, sizeof(a.protocol), "icmp");
		break;
	case 0:
		put(a.protocol, sizeof(a.protocol),
		    what->kind == ATTEMPT_SPOOF_ARP ? "arp" : "ip-0");
		break;
	default:
		(void)snprintf(a.protocol, sizeof(a.protocol), "ip-%u", what->proto);
		break;
	}
	if (what->has_dst)
		put(a.address, sizeof(a.address), net_addr_format(&what->dst, addr));
	why = packet_reason(n, what, &a, text);
	(void)snprintf(a.reason, sizeof(a.reason), "%s%s%s%s%s%s", attempt_text(what, packet),
		       why[0] ? ": " : "", why,
		       n->last_name[0] ? " (the last name refused was " : "", n->last_name,
		       n->last_name[0] ? ")" : "");
	tell(n, &a);
}

/* What the kernel counts by itself; zero where it cannot be read. */
struct kernel_counts {
	uint64_t refused;     /* packets */
	uint64_t used, limit; /* of the quota, bytes with headers */
};

static struct kernel_counts read_kernel(struct run_net *n)
{
	static const uint8_t families[] = {NFPROTO_INET, NFPROTO_ARP};
	struct nft_reading readings[16];
	struct kernel_counts k = {0};

	for (size_t f = 0; f < ARRAY_SIZE(families); f++) {
		int count = nft_read_objects(n->nft, families[f], RULESET_TABLE, readings,
					     ARRAY_SIZE(readings), NULL);

		for (int i = 0; i < count; i++) {
			const struct nft_reading *r = &readings[i];

			if (strcmp(r->name, RULESET_DENIED) == 0 ||
			    strcmp(r->name, RULESET_SPOOF) == 0)
				k.refused += r->packets;
			if (strcmp(r->name, RULESET_TOTAL) == 0) {
				k.used = r->bytes;
				k.limit = r->limit;
			}
		}
	}
	return k;
}

/* The wall counts headers too: packets without payload reach it before the relay's own count. */
static void on_poll(struct loop_source *s, void *user_data)
{
	struct run_net *n = user_data;
	struct kernel_counts k = read_kernel(n);

	if (!k.limit || k.used < k.limit)
		return;
	n->poll = loop_remove(n->poll);
	n->cb.over(n->order->total, k.used, n->cb.user_data);
}

static int poll_quota(struct loop *l, struct run_net *n)
{
	int r = n->order->total ? loop_add_timer(l, on_poll, n, &n->poll) : 0;

	return r < 0 || !n->poll ? r : loop_timer_set(n->poll, POLL_MS, POLL_MS);
}

/* Interfaces, addresses, and the kernel's rules, before anything is served. */
static int make_link(struct run_net *n, struct err *e)
{
	_cleanup_(nft_batch_done) struct nft_batch batch = {0};
	struct link_config link = {.tap = TAP_NAME,
				   .bridge = BRIDGE_NAME,
				   .rules = n->order->rules,
				   .n_rules = n->order->n_rules,
				   .rate = ruleset_rate_wall(n->order->rate)};
	struct ruleset_config rules = {.relay_tcp = RELAY_TCP,
				       .relay_udp = RELAY_UDP,
				       .rules = n->order->rules,
				       .n_rules = n->order->n_rules,
				       .rate = n->order->rate,
				       .total = n->order->total,
				       .connections = RELAY_CONNECTIONS_MAX,
				       .log_group = LOG_GROUP};
	struct nft_list list = {0};
	int r;

	ruleset_pick_subnet(n->order->rules, n->order->n_rules, &n->host, &n->worker);
	n->six = ruleset_pick_subnet6(n->order->rules, n->order->n_rules, &n->host6, &n->worker6);
	link.host6 = rules.host6 = n->host6;
	link.worker6 = rules.worker6 = n->worker6;
	link.host = rules.host = n->host;
	link.worker = rules.worker = n->worker;
	memcpy(link.host_mac, host_mac, sizeof(host_mac));
	memcpy(link.worker_mac, worker_mac, sizeof(worker_mac));
	memcpy(rules.worker_mac, worker_mac, sizeof(worker_mac));
	r = link_up(&link, &n->link, e);
	if (r < 0)
		return r;
	rules.ifname = n->link.ifname;
	r = nft_open(&n->nft, e);
	if (r == 0)
		r = ruleset_build(&rules, &list, e);
	if (r == 0)
		r = nft_encode(&list, &batch, e);
	nft_list_done(&list);
	return r < 0 ? r : nft_apply(n->nft, &batch, e);
}

static int listen_all(struct run_net *n, struct err *e)
{
	const struct net_addr host = net_addr_ip4(ntohl(n->host.s_addr));
	const struct net_addr loopback = net_addr_ip4(0x7f000001), any = net_addr_ip4(0);
	const struct net_addr loopback6 = {.v6 = true, .b = {[15] = 1}};
	const struct {
		int *fd;
		int type;
		enum net_listen_kind kind;
		const struct net_addr *addr;
		uint16_t port;
		const char *interface;
	} all[] = {
		{&n->dns_udp, SOCK_DGRAM, NET_LISTEN_PLAIN, &host, DNS_PORT, NULL},
		{&n->dns_tcp, SOCK_STREAM, NET_LISTEN_PLAIN, &host, DNS_PORT, NULL},
		{&n->dhcp_fd, SOCK_DGRAM, NET_LISTEN_BROADCAST, &any, DHCP_SERVER_PORT,
		 n->link.ifname},
		{&n->relay_tcp, SOCK_STREAM, NET_LISTEN_TPROXY, &loopback, RELAY_TCP, NULL},
		{&n->relay_udp, SOCK_DGRAM, NET_LISTEN_TPROXY, &loopback, RELAY_UDP, NULL},
		{&n->relay_tcp6, SOCK_STREAM, NET_LISTEN_TPROXY, &loopback6, RELAY_TCP, NULL},
		{&n->relay_udp6, SOCK_DGRAM, NET_LISTEN_TPROXY, &loopback6, RELAY_UDP, NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		int fd;

		if (all[i].addr->v6 && !n->six)
			continue;
		fd = net_listen(all[i].type, all[i].kind, all[i].addr, all[i].port,
				all[i].interface, e);

		if (fd < 0)
			return fd;
		*all[i].fd = fd;
	}
	return 0;
}

static int serve(struct loop *l, struct run_net *n, int dialer_fd, struct err *e)
{
	const struct dns_server_config dns = {
		.rules = n->order->rules,
		.n_rules = n->order->n_rules,
		.phase = n->phase,
		.synth = n->synth,
		.udp_fd = n->dns_udp,
		.tcp_fd = n->dns_tcp,
		.event = on_dns,
		.user_data = n,
	};
	struct relay_config relay = {
		.rules = n->order->rules,
		.n_rules = n->order->n_rules,
		.phase = n->phase,
		.synth = n->synth,
		.tcp_fd = n->relay_tcp,
		.udp_fd = n->relay_udp,
		.tcp6_fd = n->relay_tcp6,
		.udp6_fd = n->relay_udp6,
		.rate = n->order->rate,
		.total = n->order->total,
		.event = on_relay,
		.user_data = n,
	};
	struct dhcp_lease lease = {
		.address = ntohl(n->worker.s_addr),
		.prefix_len = 24,
		.server = ntohl(n->host.s_addr),
		.router = ntohl(n->host.s_addr),
		.dns = ntohl(n->host.s_addr),
		.lease_s = LEASE_S,
	};
	int r;

	memcpy(lease.mac, worker_mac, sizeof(worker_mac));
	r = nflog_new(l, LOG_GROUP, on_packet, n, &n->log, e);
	if (r == 0)
		r = dial_client_new(l, dialer_fd, on_dialer_gone, n, &n->dialer, e);
	if (r == 0)
		r = dns_server_new(l, &dns, &n->dns, e);
	if (r == 0)
		r = dhcp_server_new(l, n->dhcp_fd, &lease, &n->dhcp, e);
	relay.dialer = n->dialer;
	if (r == 0)
		r = relay_new(l, &relay, &n->relay, e);
	if (r == 0)
		r = poll_quota(l, n);
	return r;
}

int run_net_new(struct loop *l, const struct order_network *order, int dialer_fd,
		const struct run_net_callbacks *cb, struct run_net **ret, struct err *e)
{
	const uint32_t first = RULESET_SYNTH_NET + 1;
	const uint32_t last = RULESET_SYNTH_NET | ((1U << (32 - RULESET_SYNTH_PREFIX)) - 2);
	struct run_net *n = calloc(1, sizeof(*n));
	int r;

	if (!n)
		return err_oom(e);
	n->order = order;
	n->cb = *cb;
	n->phase = NET_PHASE_PREPARE;
	n->link.tap_fd = n->dns_udp = n->dns_tcp = n->dhcp_fd = n->relay_tcp = n->relay_udp = -1;
	n->relay_tcp6 = n->relay_udp6 = -1;
	r = net_synth_new(first, last, &n->synth);
	if (r < 0)
		err_errno(e, r, "synthetic addresses");
	if (r == 0)
		r = make_link(n, e);
	if (r == 0)
		r = listen_all(n, e);
	if (r == 0)
		r = serve(l, n, dialer_fd, e);
	if (r < 0) {
		(void)run_net_free(n);
		return r;
	}
	*ret = n;
	return 0;
}

int run_net_tap(const struct run_net *n)
{
	return n->link.tap_fd;
}

void run_net_set_phase(struct run_net *n, enum net_phase phase)
{
	n->phase = phase;
	dns_server_set_phase(n->dns, phase);
	relay_set_phase(n->relay, phase);
}

struct denials *run_net_denials(struct run_net *n)
{
	return &n->denials;
}

void run_net_drain(struct run_net *n)
{
	struct denial a = {.protocol = "packets", .phase = n->phase};
	uint64_t refused;

	nflog_drain(n->log);
	if (n->denials.n)
		return;
	/* the counters know of what the log had to drop */
	refused = read_kernel(n).refused;
	if (!refused)
		return;
	(void)snprintf(a.reason, sizeof(a.reason), "%" PRIu64 " packets that are not listed",
		       refused);
	tell(n, &a);
}

void run_net_bytes(const struct run_net *n, uint64_t *ret_up, uint64_t *ret_down)
{
	struct relay_stats s;

	relay_get_stats(n->relay, &s);
	*ret_up = s.bytes[METER_UP];
	*ret_down = s.bytes[METER_DOWN];
}

void run_net_poll(struct run_net *n)
{
	struct nft_reading objects[8];
	struct err e = ERR_INIT;
	int found;

	if (!n->order->total)
		return;
	found = nft_read_objects(n->nft, NFPROTO_INET, RULESET_TABLE, objects, ARRAY_SIZE(objects),
				 &e);
	if (found < 0) {
		n->cb.broken(e.text, n->cb.user_data);
		return;
	}
	for (int i = 0; i < found; i++) {
		if (strcmp(objects[i].name, RULESET_TOTAL) == 0 &&
		    objects[i].bytes >= objects[i].limit)
			n->cb.over(n->order->total, objects[i].bytes, n->cb.user_data);
	}
}

struct run_net *run_net_free(struct run_net *n)
{
	if (!n)
		return NULL;
	n->poll = loop_remove(n->poll);
	n->relay = relay_free(n->relay);
	n->dhcp = dhcp_server_free(n->dhcp);
	n->dns = dns_server_free(n->dns);
	n->dialer = dial_client_free(n->dialer);
	n->log = nflog_free(n->log);
	n->nft = nft_close(n->nft);
	n->synth = net_synth_free(n->synth);
	fd_close(&n->dns_udp);
	fd_close(&n->dns_tcp);
	fd_close(&n->dhcp_fd);
	fd_close(&n->relay_tcp);
	fd_close(&n->relay_udp);
	fd_close(&n->relay_tcp6);
	fd_close(&n->relay_udp6);
	fd_close(&n->link.tap_fd);
	denials_done(&n->denials);
	free(n);
	return NULL;
}
