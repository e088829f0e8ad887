/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The literal addresses of the rules, cut into pieces that do not overlap. */
/*
 * The kernel's interval sets refuse elements that overlap, and rules may well do (a prefix within
 * a prefix, two ports and a range of ports). The ends of all prefixes cut the addresses into
 * stretches; within one stretch each rule holds wholly or not at all, and its ports are the union
 * of those rules' ports. Key of an element: address (4 bytes) . protocol (1, padded to 4) . port
 * (2, padded to 4), in network order, from and to.
 */
#include <arpa/inet.h>
#include <errno.h>

#include "ruleset.h"

#define ELEMS_MAX 32768

/* A growing array of elements. */
struct elems {
	struct nft_elem *e;
	size_t n, size;
};

static int elems_add(struct elems *v, uint32_t first, uint32_t last, uint8_t proto,
		     struct net_port_range ports)
{
	uint32_t a = htonl(first), b = htonl(last);
	uint16_t p = htons(ports.first), q = htons(ports.last);
	struct nft_elem *el;

	if (v->n == v->size) {
		size_t size = v->size ? 2 * v->size : 16;

		if (size > ELEMS_MAX)
			return -E2BIG;
		el = realloc(v->e, size * sizeof(*el));
		if (!el)
			return -ENOMEM;
		v->e = el;
		v->size = size;
	}
	el = &v->e[v->n++];
	*el = (struct nft_elem){0};
	memcpy(el->key, &a, 4);
	memcpy(el->end, &b, 4);
	el->key[4] = el->end[4] = proto;
	memcpy(el->key + 8, &p, 2);
	memcpy(el->end + 8, &q, 2);
	return 0;
}

static void span(const struct net_rule *r, uint32_t *first, uint32_t *last)
{
	uint32_t host =
		r->prefix_len ? (uint32_t)(UINT64_C(0xffffffff) >> r->prefix_len) : UINT32_MAX;
	uint32_t addr;

	memcpy(&addr, &r->addr, 4);
	*first = ntohl(addr) & ~host;
	*last = *first | host;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int by_port(const void *a, const void *b)
{
	const struct net_port_range *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

/* The elements of one stretch and protocol. `ports` has room for all ports of all rules. */
static int add_stretch(struct elems *v, const struct net_rule *rules, size_t n, uint32_t first,
		       uint32_t last, uint8_t proto, struct net_port_range *ports)
{
	size_t count = 0, i;

	for (i = 0; i < n; i++) {
		uint32_t from, to;

		if (rules[i].kind != NET_HOST_IP4 ||
		    !(proto == IPPROTO_TCP ? rules[i].tcp : rules[i].udp))
			continue;
		span(&rules[i], &from, &to);
		if (first < from || last > to)
			continue;
		memcpy(ports + count, rules[i].ports, rules[i].n_ports * sizeof(*ports));
		count += rules[i].n_ports;
	}
	qsort(ports, count, sizeof(*ports), by_port);
	for (i = 0; i < count;) {
		struct net_port_range p = ports[i++];
		int r;

		while (i < count && ports[i].first <= (uint32_t)p.last + 1) {
			p.last = MAX(p.last, ports[i].last);
			i++;
		}
		r = elems_add(v, first, last, proto, p);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The first addresses of all stretches, sorted, and 2^32: their count. `cuts` has room for 2n+2. */
static size_t cut(const struct net_rule *rules, size_t n, uint64_t *cuts)
{
	size_t count = 0, kept = 1;

	cuts[count++] = 0;
	cuts[count++] = UINT64_C(1) << 32;
	for (size_t i = 0; i < n; i++) {
		uint32_t first, last;

		if (rules[i].kind != NET_HOST_IP4)
			continue;
		span(&rules[i], &first, &last);
		cuts[count++] = first;
		cuts[count++] = (uint64_t)last + 1;
	}
	qsort(cuts, count, sizeof(*cuts), by_number);
	for (size_t i = 1; i < count; i++) {
		if (cuts[i] != cuts[kept - 1])
			cuts[kept++] = cuts[i];
	}
	return kept;
}

int ruleset_literals(const struct net_rule *rules, size_t n, struct nft_elem **ret, size_t *ret_n)
{
	_cleanup_free_ uint64_t *cuts = NULL;
	_cleanup_free_ struct net_port_range *ports = NULL;
	struct elems v = {0};
	size_t n_cuts;
	int r = 0;

	if (n > NET_RULES_MAX)
		return -E2BIG;
	cuts = calloc(2 * n + 2, sizeof(*cuts));
	ports = calloc(n * NET_RULE_PORTS_MAX + 1, sizeof(*ports));
	if (!cuts || !ports)
		return -ENOMEM;
	n_cuts = cut(rules, n, cuts);
	for (size_t i = 0; i + 1 < n_cuts && r == 0; i++) {
		uint32_t first = (uint32_t)cuts[i], last = (uint32_t)(cuts[i + 1] - 1);

		r = add_stretch(&v, rules, n, first, last, IPPROTO_TCP, ports);
		if (r == 0)
			r = add_stretch(&v, rules, n, first, last, IPPROTO_UDP, ports);
	}
	if (r < 0) {
		free(v.e);
		return r;
	}
	*ret = v.e;
	*ret_n = v.n;
	return 0;
}

static bool overlaps(const struct net_rule *rules, size_t n, uint32_t net)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t first, last;

		if (rules[i].kind != NET_HOST_IP4)
			continue;
		span(&rules[i], &first, &last);
		if (first <= net + 255 && last >= net)
			return true;
	}
	return false;
}

void ruleset_pick_subnet(const struct net_rule *rules, size_t n, struct in_addr *ret_host,
			 struct in_addr *ret_worker)
{
	static const uint32_t bases[] = {0x0a620000, 0xac1f0000, 0xc0a80000};
	uint32_t net = bases[0];

	for (size_t i = 0; i < ARRAY_SIZE(bases) * 256; i++) {
		uint32_t candidate = bases[i / 256] | (uint32_t)(i % 256) << 8;

		if (!overlaps(rules, n, candidate)) {
			net = candidate;
			break;
		}
	}
	ret_host->s_addr = htonl(net | 1);
	ret_worker->s_addr = htonl(net | 2);
}
