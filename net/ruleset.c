/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The rules that every packet of a worker meets. */
/*
 * The worker's interface is in a net namespace without a way out. Nothing is routed or translated:
 * what is allowed ends in a socket of the manager, all else ends here. Every base chain drops by
 * policy.
 *
 *   pre      before routing: the one place that decides. Packets that pass are marked.
 *     worker    source MAC, DHCP, noise, source address, DNS, relay, refusal. IPv6 passes only
 *               where a rule has an IPv6 address: to those, and the question for the host's MAC
 *     relay     caps and walls, then tproxy to the relay's sockets on 127.0.0.1 and ::1
 *     refuse    counted, logged, answered (RST, or unreachable)
 *     spoofed   counted; no answer
 *   input    to the manager's sockets: marked packets only
 *   forward  nothing
 *   output   answers to what the worker began, and DHCP
 *   arp-in   (family arp) the worker's question for the host's address. The worker's own address
 *            is a permanent neighbour, so nothing it says by ARP is ever learnt: the kernel's
 *            table of neighbours is shared by all net namespaces of the machine.
 *
 * Each rule has a name, and tests/net takes them out one by one and wants a test to fail.
 */
#include "ruleset.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter_arp.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>

#define MARK 1
/* After conntrack (-200): `ct state` and connlimit need it. */
#define PRIORITY_PRE -150

/* Flows of the resolver, each of which conntrack keeps for 30 s. */
#define DNS_CONNECTIONS 4096
/* Packets logged a second and at once; the counters have them all. */
#define LOG_RATE    100
#define LOG_BURST   200
#define LOG_SNAPLEN 128

#define RATE_BURST  65536
#define TOTAL_SLACK (64 * KIB)

#define CT_NEW	       NF_CT_STATE_BIT(IP_CT_NEW)
#define CT_ESTABLISHED NF_CT_STATE_BIT(IP_CT_ESTABLISHED)
#define CT_RELATED     NF_CT_STATE_BIT(IP_CT_RELATED)

static uint64_t with_quarter(uint64_t v, uint64_t slack)
{
	uint64_t more = v / 4 + slack;

	return v > UINT64_MAX - more ? UINT64_MAX : v + more;
}

uint64_t ruleset_rate_wall(uint64_t rate)
{
	return rate ? with_quarter(rate, 1) : 0;
}

uint64_t ruleset_total_wall(uint64_t total)
{
	return total ? with_quarter(total, TOTAL_SLACK) : 0;
}

/* The worker has IPv6 if a rule has an IPv6 address. */
static bool has_six(const struct ruleset_config *c)
{
	return !IN6_IS_ADDR_UNSPECIFIED(&c->host6);
}

static void match_icmp6(struct nft_rule *r, uint8_t type)
{
	nft_m_nfproto(r, NFPROTO_IPV6);
	nft_m_l4proto(r, IPPROTO_ICMPV6);
	nft_x_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1, NFT_R1);
	nft_x_cmp(r, NFT_CMP_EQ, &type, 1);
}

static void accept_marked(struct nft_rule *r)
{
	nft_x_meta_set(r, NFT_META_MARK, MARK);
	nft_x_verdict(r, NF_ACCEPT, NULL);
}

static void count(struct nft_rule *r, const char *counter)
{
	nft_x_object(r, NFT_OBJECT_COUNTER, counter);
}

static void match_ip4(struct nft_rule *r, bool source, uint32_t op, struct in_addr a,
		      unsigned prefix)
{
	nft_m_nfproto(r, NFPROTO_IPV4);
	nft_m_addr4(r, source, op, a.s_addr, prefix);
}

static void log_packet(struct nft_list *l, const struct ruleset_config *c, const char *chain,
		       const char *name, const char *prefix)
{
	struct nft_rule *r = nft_add_rule(l, chain, name);

	/* the limit first: it decides whether there is a message at all */
	nft_x_limit(r, LOG_RATE, LOG_BURST);
	nft_x_log(r, c->log_group, prefix, LOG_SNAPLEN);
}

/*
 * What every system sends by itself, dropped without being an attempt: multicast (IGMP, mDNS,
 * LLMNR, SSDP), broadcast (NetBIOS, DHCP that is not answered), and all of IPv6 multicast
 * (neighbour and router discovery, MLD). This table is in the manual.
 */
static void add_noise(struct nft_list *l, const struct ruleset_config *c)
{
	const struct {
		const char *name;
		struct in_addr addr;
		unsigned prefix;
	} noise[] = {
		/* IGMP, mDNS, LLMNR, SSDP, PTP */
		{"noise-multicast", {htonl(0xe0000000)}, 4},
		/* whatever looks for a server without an address of its own */
		{"noise-broadcast", {htonl(0xffffffff)}, 32},
		/* NetBIOS, CUPS, Dropbox and their like */
		{"noise-subnet-broadcast", {c->host.s_addr | htonl(0xff)}, 32},
	};
	static const uint8_t multicast6 = 0xff;
	struct nft_rule *r;

	for (size_t i = 0; i < ARRAY_SIZE(noise); i++) {
		r = nft_add_rule(l, "worker", noise[i].name);
		match_ip4(r, false, NFT_CMP_EQ, noise[i].addr, noise[i].prefix);
		count(r, RULESET_NOISE);
		nft_x_verdict(r, NF_DROP, NULL);
	}
	/* router and neighbour solicitations, duplicate address detection, MLD, mDNS */
	r = nft_add_rule(l, "worker", "noise-multicast6");
	nft_m_nfproto(r, NFPROTO_IPV6);
	nft_x_payload(r, NFT_PAYLOAD_NETWORK_HEADER, 24, 1, NFT_R1);
	nft_x_cmp(r, NFT_CMP_EQ, &multicast6, 1);
	count(r, RULESET_NOISE);
	nft_x_verdict(r, NF_DROP, NULL);
}

static void add_sources(struct nft_list *l, const struct ruleset_config *c)
{
	static const uint16_t ether = ARPHRD_ETHER;
	struct nft_rule *r = nft_add_rule(l, "worker", "count-in");

	count(r, RULESET_IN);
	r = nft_add_rule(l, "worker", "own-mac");
	nft_x_meta(r, NFT_META_IIFTYPE, NFT_R1);
	nft_x_cmp(r, NFT_CMP_EQ, &ether, sizeof(ether));
	nft_x_payload(r, NFT_PAYLOAD_LL_HEADER, 6, 6, NFT_R1);
	nft_x_cmp(r, NFT_CMP_NEQ, c->worker_mac, 6);
	nft_x_verdict(r, NFT_GOTO, "spoofed-mac");
}

/* A request is a broadcast from 0.0.0.0; a renewal goes from address to address. */
static void add_dhcp(struct nft_list *l)
{
	struct nft_rule *r = nft_add_rule(l, "worker", "dhcp");

	nft_m_nfproto(r, NFPROTO_IPV4);
	nft_m_l4proto(r, IPPROTO_UDP);
	nft_m_port(r, true, 68);
	nft_m_port(r, false, 67);
	accept_marked(r);
}

static void add_dns(struct nft_list *l, const struct ruleset_config *c)
{
	static const struct {
		const char *cap, *pass;
		uint8_t proto;
	} dns[] = {{"dns-udp-cap", "dns-udp", IPPROTO_UDP},
		   {"dns-tcp-cap", "dns-tcp", IPPROTO_TCP}};
	struct nft_rule *r;

	for (size_t i = 0; i < ARRAY_SIZE(dns); i++) {
		r = nft_add_rule(l, "worker", dns[i].cap);
		match_ip4(r, false, NFT_CMP_EQ, c->host, 32);
		nft_m_l4proto(r, dns[i].proto);
		nft_m_port(r, false, 53);
		nft_x_ct_state(r, CT_NEW);
		nft_x_connlimit_over(r, DNS_CONNECTIONS);
		count(r, RULESET_CAPPED);
		nft_x_verdict(r, NF_DROP, NULL);
		r = nft_add_rule(l, "worker", dns[i].pass);
		match_ip4(r, false, NFT_CMP_EQ, c->host, 32);
		nft_m_l4proto(r, dns[i].proto);
		nft_m_port(r, false, 53);
		accept_marked(r);
	}
}

/*
 * The worker's question for the host's MAC address, by multicast or as a probe; from its own
 * address, which is a permanent neighbour, so that nothing is learnt from it.
 */
static void add_neighbour6(struct nft_list *l, const struct ruleset_config *c)
{
	struct nft_rule *r = nft_add_rule(l, "worker", "neighbour6");

	nft_m_nfproto(r, NFPROTO_IPV6);
	nft_m_addr6(r, true, NFT_CMP_EQ, &c->worker6);
	nft_m_l4proto(r, IPPROTO_ICMPV6);
	nft_x_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1, NFT_R1);
	nft_x_cmp(r, NFT_CMP_EQ, &(uint8_t){ND_NEIGHBOR_SOLICIT}, 1);
	nft_x_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, 8, 16, NFT_R1);
	nft_x_cmp(r, NFT_CMP_EQ, &c->host6, 16);
	accept_marked(r);
}

/* The guest's word that a port of its own is closed belongs to a flow of the relay's. */
static void add_unreachable(struct nft_list *l, const struct ruleset_config *c)
{
	struct nft_rule *r = nft_add_rule(l, "worker", "unreachable");
	static const uint8_t type = 3;

	nft_m_nfproto(r, NFPROTO_IPV4);
	nft_m_l4proto(r, IPPROTO_ICMP);
	nft_x_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1, NFT_R1);
	nft_x_cmp(r, NFT_CMP_EQ, &type, 1);
	nft_x_ct_state(r, CT_RELATED);
	accept_marked(r);
	if (!has_six(c))
		return;
	r = nft_add_rule(l, "worker", "unreachable6");
	match_icmp6(r, ICMP6_DST_UNREACH);
	nft_x_ct_state(r, CT_RELATED);
	accept_marked(r);
}

static void add_destinations(struct nft_list *l, const struct ruleset_config *c)
{
	struct in_addr synth = {htonl(RULESET_SYNTH_NET)};
	struct nft_rule *r = nft_add_rule(l, "worker", "synthetic");

	match_ip4(r, false, NFT_CMP_EQ, synth, RULESET_SYNTH_PREFIX);
	nft_x_verdict(r, NFT_JUMP, "relay");
	/* address, protocol, port into three words side by side, as the set's key has them */
	r = nft_add_rule(l, "worker", "literals");
	nft_m_nfproto(r, NFPROTO_IPV4);
	nft_x_payload(r, NFT_PAYLOAD_NETWORK_HEADER, 16, 4, NFT_R1);
	nft_x_meta(r, NFT_META_L4PROTO, NFT_WORD(1));
	nft_x_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, NFT_WORD(2));
	nft_x_lookup(r, "literals");
	nft_x_verdict(r, NFT_JUMP, "relay");
	if (!has_six(c))
		return;
	r = nft_add_rule(l, "worker", "literals6");
	nft_m_nfproto(r, NFPROTO_IPV6);
	nft_x_payload(r, NFT_PAYLOAD_NETWORK_HEADER, 24, 16, NFT_R1);
	nft_x_meta(r, NFT_META_L4PROTO, NFT_WORD(4));
	nft_x_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, NFT_WORD(5));
	nft_x_lookup(r, "literals6");
	nft_x_verdict(r, NFT_JUMP, "relay");
}

static void add_worker(struct nft_list *l, const struct ruleset_config *c)
{
	struct nft_rule *r = nft_add_rule(l, "pre", "from-worker");

	nft_m_iface(r, NFT_META_IIFNAME, NFT_CMP_EQ, c->ifname);
	nft_x_verdict(r, NFT_JUMP, "worker");

	add_sources(l, c);
	add_dhcp(l);
	if (has_six(c))
		add_neighbour6(l, c); /* before the noise, most of it being multicast */
	add_noise(l, c);	      /* before the source address: much comes from 0.0.0.0 */
	r = nft_add_rule(l, "worker", "own-address");
	match_ip4(r, true, NFT_CMP_NEQ, c->worker, 32);
	nft_x_verdict(r, NFT_GOTO, "spoofed-ip");
	if (has_six(c)) {
		r = nft_add_rule(l, "worker", "own-address6");
		nft_m_nfproto(r, NFPROTO_IPV6);
		nft_m_addr6(r, true, NFT_CMP_NEQ, &c->worker6);
		nft_x_verdict(r, NFT_GOTO, "spoofed-ip");
	}
	add_dns(l, c);
	add_unreachable(l, c);
	add_destinations(l, c);
	r = nft_add_rule(l, "worker", "deny");
	nft_x_verdict(r, NFT_GOTO, "refuse");
}

static void add_relay(struct nft_list *l, const struct ruleset_config *c)
{
	static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP};
	struct nft_rule *r = nft_add_rule(l, "relay", "cap-connections");

	nft_x_ct_state(r, CT_NEW);
	nft_x_connlimit_over(r, c->connections);
	count(r, RULESET_CAPPED);
	nft_x_verdict(r, NF_DROP, NULL);
	if (c->rate) {
		r = nft_add_rule(l, "relay", "rate-wall");
		nft_x_limit_bytes_over(r, ruleset_rate_wall(c->rate), RATE_BURST);
		nft_x_verdict(r, NF_DROP, NULL);
	}
	if (c->total) {
		r = nft_add_rule(l, "relay", "total-wall-in");
		nft_x_object(r, NFT_OBJECT_QUOTA, RULESET_TOTAL);
		nft_x_verdict(r, NF_DROP, NULL);
	}
	for (size_t i = 0; i < ARRAY_SIZE(protos); i++) {
		bool tcp = protos[i] == IPPROTO_TCP;

		r = nft_add_rule(l, "relay", tcp ? "relay-tcp" : "relay-udp");
		nft_m_nfproto(r, NFPROTO_IPV4);
		nft_m_l4proto(r, protos[i]);
		nft_x_tproxy4(r, htonl(INADDR_LOOPBACK), tcp ? c->relay_tcp : c->relay_udp);
		accept_marked(r);
	}
	for (size_t i = 0; has_six(c) && i < ARRAY_SIZE(protos); i++) {
		bool tcp = protos[i] == IPPROTO_TCP;

		r = nft_add_rule(l, "relay", tcp ? "relay-tcp6" : "relay-udp6");
		nft_m_nfproto(r, NFPROTO_IPV6);
		nft_m_l4proto(r, protos[i]);
		nft_x_tproxy6(r, &in6addr_loopback, tcp ? c->relay_tcp : c->relay_udp);
		accept_marked(r);
	}
}

static void add_refusals(struct nft_list *l, const struct ruleset_config *c)
{
	struct nft_rule *r = nft_add_rule(l, "refuse", "count-denied");

	count(r, RULESET_DENIED);
	log_packet(l, c, "refuse", "log-denied", RULESET_LOG_DENIED);
	r = nft_add_rule(l, "refuse", "reset-tcp");
	nft_m_l4proto(r, IPPROTO_TCP);
	nft_x_reject(r, NFT_REJECT_TCP_RST, 0);
	r = nft_add_rule(l, "refuse", "unreachable-rest");
	nft_x_reject(r, NFT_REJECT_ICMPX_UNREACH, NFT_REJECT_ICMPX_ADMIN_PROHIBITED);

	r = nft_add_rule(l, "spoofed-mac", "count-spoofed-mac");
	count(r, RULESET_SPOOF);
	log_packet(l, c, "spoofed-mac", "log-spoofed-mac", RULESET_LOG_SPOOF_MAC);
	r = nft_add_rule(l, "spoofed-ip", "count-spoofed-ip");
	count(r, RULESET_SPOOF);
	log_packet(l, c, "spoofed-ip", "log-spoofed-ip", RULESET_LOG_SPOOF_IP);
}

static void add_output(struct nft_list *l, const struct ruleset_config *c)
{
	static const uint32_t mark = MARK;
	struct nft_rule *r = nft_add_rule(l, "input", "input-decided");

	nft_x_meta(r, NFT_META_MARK, NFT_R1);
	nft_x_cmp(r, NFT_CMP_EQ, &mark, sizeof(mark));
	nft_x_verdict(r, NF_ACCEPT, NULL);

	r = nft_add_rule(l, "output", "to-worker");
	nft_m_iface(r, NFT_META_OIFNAME, NFT_CMP_EQ, c->ifname);
	nft_x_verdict(r, NFT_JUMP, "answers");
	r = nft_add_rule(l, "answers", "count-out");
	count(r, RULESET_OUT);
	r = nft_add_rule(l, "answers", "answer-refusal");
	nft_x_ct_state(r, CT_RELATED);
	nft_x_verdict(r, NF_ACCEPT, NULL);
	r = nft_add_rule(l, "answers", "answer-dhcp");
	nft_m_nfproto(r, NFPROTO_IPV4);
	nft_m_l4proto(r, IPPROTO_UDP);
	nft_m_port(r, true, 67);
	nft_m_port(r, false, 68);
	nft_x_verdict(r, NF_ACCEPT, NULL);
	if (has_six(c)) {
		r = nft_add_rule(l, "answers", "answer-neighbour6");
		match_icmp6(r, ND_NEIGHBOR_ADVERT);
		nft_x_verdict(r, NF_ACCEPT, NULL);
	}
	if (c->total) {
		r = nft_add_rule(l, "answers", "total-wall-out");
		nft_x_object(r, NFT_OBJECT_QUOTA, RULESET_TOTAL);
		nft_x_verdict(r, NF_DROP, NULL);
	}
	r = nft_add_rule(l, "answers", "answer-established");
	nft_x_ct_state(r, CT_ESTABLISHED);
	nft_x_verdict(r, NF_ACCEPT, NULL);
}

/*
 * ARP over Ethernet for IPv4, from the network header on:
 *   0 hardware 2 protocol 4 lengths 6 operation 8 sender MAC 14 sender IP 18 target MAC 24 target
 * IP
 */
static void match_arp(struct nft_rule *r, const struct ruleset_config *c, bool requests_only,
		      struct in_addr sender, struct in_addr target)
{
	static const uint8_t ethernet_ipv4[] = {0, 1, 8, 0, 6, 4}, request[] = {0, 1};

	nft_m_iface(r, NFT_META_IIFNAME, NFT_CMP_EQ, c->ifname);
	nft_x_payload(r, NFT_PAYLOAD_NETWORK_HEADER, 0, 6, NFT_R1);
	nft_x_cmp(r, NFT_CMP_EQ, ethernet_ipv4, sizeof(ethernet_ipv4));
	if (requests_only) {
		nft_x_payload(r, NFT_PAYLOAD_NETWORK_HEADER, 6, 2, NFT_R1);
		nft_x_cmp(r, NFT_CMP_EQ, request, sizeof(request));
	}
	nft_x_payload(r, NFT_PAYLOAD_NETWORK_HEADER, 8, 6, NFT_R1);
	nft_x_cmp(r, NFT_CMP_EQ, c->worker_mac, 6);
	nft_x_payload(r, NFT_PAYLOAD_NETWORK_HEADER, 14, 4, NFT_R1);
	nft_x_cmp(r, NFT_CMP_EQ, &sender, 4);
	nft_x_payload(r, NFT_PAYLOAD_NETWORK_HEADER, 24, 4, NFT_R1);
	nft_x_cmp(r, NFT_CMP_EQ, &target, 4);
}

static void add_arp(struct nft_list *l, const struct ruleset_config *c)
{
	struct in_addr none = {INADDR_ANY};
	struct nft_rule *r;

	nft_add_table(l, NFPROTO_ARP, RULESET_TABLE);
	nft_add_counter(l, RULESET_SPOOF);
	nft_add_counter(l, RULESET_NOISE);
	nft_add_base_chain(l, "arp-in", NF_ARP_IN, 0, NF_DROP);
	r = nft_add_rule(l, "arp-in", "arp-for-host");
	match_arp(r, c, true, c->worker, c->host);
	nft_x_verdict(r, NF_ACCEPT, NULL);
	/* a new address is asked for, then announced */
	r = nft_add_rule(l, "arp-in", "noise-arp-probe");
	match_arp(r, c, false, none, c->worker);
	count(r, RULESET_NOISE);
	nft_x_verdict(r, NF_DROP, NULL);
	r = nft_add_rule(l, "arp-in", "noise-arp-announce");
	match_arp(r, c, false, c->worker, c->worker);
	count(r, RULESET_NOISE);
	nft_x_verdict(r, NF_DROP, NULL);
	r = nft_add_rule(l, "arp-in", "count-arp");
	count(r, RULESET_SPOOF);
	log_packet(l, c, "arp-in", "log-arp", RULESET_LOG_ARP);
}

static void add_skeleton(struct nft_list *l, const struct ruleset_config *c)
{
	static const char *const counters[] = {RULESET_IN,    RULESET_OUT,   RULESET_DENIED,
					       RULESET_SPOOF, RULESET_NOISE, RULESET_CAPPED};
	static const char *const chains[] = {"worker",	    "relay",	  "refuse",
					     "spoofed-mac", "spoofed-ip", "answers"};
	static const struct nft_set literals = {
		.name = "literals",
		/* nft's numbers of ipv4_addr, inet_proto, inet_service, six bits each */
		.key_type = 7 << 12 | 12 << 6 | 13,
		.n_fields = 3,
		.field_len = {4, 1, 2},
	};
	static const struct nft_set literals6 = {
		.name = "literals6",
		.key_type = 8 << 12 | 12 << 6 | 13,
		.n_fields = 3,
		.field_len = {16, 1, 2},
	};

	nft_add_table(l, NFPROTO_INET, RULESET_TABLE);
	for (size_t i = 0; i < ARRAY_SIZE(counters); i++)
		nft_add_counter(l, counters[i]);
	if (c->total)
		nft_add_quota(l, RULESET_TOTAL, ruleset_total_wall(c->total));
	nft_add_set(l, &literals);
	if (has_six(c))
		nft_add_set(l, &literals6);
	nft_add_base_chain(l, "pre", NF_INET_PRE_ROUTING, PRIORITY_PRE, NF_DROP);
	nft_add_base_chain(l, "input", NF_INET_LOCAL_IN, 0, NF_DROP);
	nft_add_base_chain(l, "forward", NF_INET_FORWARD, 0, NF_DROP);
	nft_add_base_chain(l, "output", NF_INET_LOCAL_OUT, 0, NF_DROP);
	for (size_t i = 0; i < ARRAY_SIZE(chains); i++)
		nft_add_chain(l, chains[i]);
}

static int add_literals(struct nft_list *l, const struct ruleset_config *c, bool v6)
{
	struct nft_elem *elems = NULL;
	size_t n = 0;
	int r = ruleset_literals(c->rules, c->n_rules, v6, &elems, &n);

	if (r == 0 && n)
		nft_add_elems(l, v6 ? "literals6" : "literals", v6 ? 24 : 12, elems, n);
	else
		free(elems);
	return r;
}

int ruleset_build(const struct ruleset_config *c, struct nft_list *ret, struct err *e)
{
	_cleanup_(nft_list_done) struct nft_list l = {0};
	int r;

	if (c->connections == 0 || c->relay_tcp == 0 || c->relay_udp == 0 ||
	    (c->host.s_addr ^ c->worker.s_addr) & htonl(0xffffff00) ||
	    has_six(c) == IN6_IS_ADDR_UNSPECIFIED(&c->worker6))
		return err_set(e, -EINVAL, "the worker's network is not described in full");
	add_skeleton(&l, c);
	r = add_literals(&l, c, false);
	if (r == 0 && has_six(c))
		r = add_literals(&l, c, true);
	if (r < 0)
		return err_errno(e, r, "network.allow: the addresses and ports are too many");
	add_worker(&l, c);
	add_relay(&l, c);
	add_refusals(&l, c);
	add_output(&l, c);
	add_arp(&l, c);
	if (l.error)
		return err_errno(e, l.error, "nf_tables: the rule set cannot be built");
	*ret = l;
	l = (struct nft_list){0};
	return 0;
}
