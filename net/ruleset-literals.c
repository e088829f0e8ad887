/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The literal addresses of the rules, cut into pieces that do not overlap; and a subnet beside
 * them. */
/*
 * The kernel's interval sets refuse elements that overlap, and rules may well do (a prefix within
 * a prefix, two ports and a range of ports). The ends of all prefixes cut the addresses into
 * stretches; within one stretch each rule holds wholly or not at all, and its ports are the union
 * of those rules' ports. Key of an element: address (4 or 16 bytes) . protocol (1, padded to 4) .
 * port (2, padded to 4), in network order, from and to.
 */
#include <arpa/inet.h>
#include <errno.h>

#include "ruleset.h"

#define ELEMS_MAX 32768

/* An address of either family as a number. */
__extension__ typedef unsigned __int128 wide;

/* A growing array of elements. */
struct elems {
	bool v6;
	struct nft_elem *e;
	size_t n, size;
};

static size_t addr_len(bool v6)
{
	return v6 ? 16 : 4;
}

static wide last_of(bool v6)
{
	return v6 ? ~(wide)0 : UINT32_MAX;
}

static void put_wide(uint8_t *out, bool v6, wide v)
{
	for (size_t i = addr_len(v6); i-- > 0; v >>= 8)
		out[i] = (uint8_t)v;
}

static wide get_wide(const void *bytes, bool v6)
{
	const uint8_t *p = bytes;
	wide v = 0;

	for (size_t i = 0; i < addr_len(v6); i++)
		v = v << 8 | p[i];
	return v;
}

static bool is_literal(const struct net_rule *r, bool v6)
{
	return r->kind == (v6 ? NET_HOST_IP6 : NET_HOST_IP4);
}

static int elems_add(struct elems *v, wide first, wide last, uint8_t proto,
		     struct net_port_range ports)
{
	uint16_t p = htons(ports.first), q = htons(ports.last);
	size_t len = addr_len(v->v6);
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
	put_wide(el->key, v->v6, first);
	put_wide(el->end, v->v6, last);
	el->key[len] = el->end[len] = proto;
	memcpy(el->key + len + 4, &p, 2);
	memcpy(el->end + len + 4, &q, 2);
	return 0;
}

static void span(const struct net_rule *r, bool v6, wide *first, wide *last)
{
	/* a shift by all bits is undefined */
	wide host = r->prefix_len >= 8 * addr_len(v6) ? 0 : last_of(v6) >> r->prefix_len;

	*first = get_wide(&r->addr, v6) & ~host;
	*last = *first | host;
}

static int by_number(const void *a, const void *b)
{
	wide x = *(const wide *)a, y = *(const wide *)b;

	return (x > y) - (x < y);
}

static int by_port(const void *a, const void *b)
{
	const struct net_port_range *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

/* The elements of one stretch and protocol. `ports` has room for all ports of all rules. */
static int add_stretch(struct elems *v, const struct net_rule *rules, size_t n, wide first,
		       wide last, uint8_t proto, struct net_port_range *ports)
{
	size_t count = 0, i;

	for (i = 0; i < n; i++) {
		wide from, to;

		if (!is_literal(&rules[i], v->v6) ||
		    !(proto == IPPROTO_TCP ? rules[i].tcp : rules[i].udp))
			continue;
		span(&rules[i], v->v6, &from, &to);
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

/* The first addresses of all stretches, sorted: their count. `cuts` has room for 2n+1. */
static size_t cut(const struct net_rule *rules, size_t n, bool v6, wide *cuts)
{
	size_t count = 0, kept = 1;

	cuts[count++] = 0;
	for (size_t i = 0; i < n; i++) {
		wide first, last;

		if (!is_literal(&rules[i], v6))
			continue;
		span(&rules[i], v6, &first, &last);
		cuts[count++] = first;
		if (last < last_of(v6))
			cuts[count++] = last + 1;
	}
	qsort(cuts, count, sizeof(*cuts), by_number);
	for (size_t i = 1; i < count; i++) {
		if (cuts[i] != cuts[kept - 1])
			cuts[kept++] = cuts[i];
	}
	return kept;
}

int ruleset_literals(const struct net_rule *rules, size_t n, bool v6, struct nft_elem **ret,
		     size_t *ret_n)
{
	_cleanup_free_ wide *cuts = NULL;
	_cleanup_free_ struct net_port_range *ports = NULL;
	struct elems v = {.v6 = v6};
	size_t n_cuts;
	int r = 0;

	if (n > NET_RULES_MAX)
		return -E2BIG;
	cuts = calloc(2 * n + 1, sizeof(*cuts));
	ports = calloc(n * NET_RULE_PORTS_MAX + 1, sizeof(*ports));
	if (!cuts || !ports)
		return -ENOMEM;
	n_cuts = cut(rules, n, v6, cuts);
	for (size_t i = 0; i < n_cuts && r == 0; i++) {
		wide first = cuts[i], last = i + 1 < n_cuts ? cuts[i + 1] - 1 : last_of(v6);

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

static bool overlaps(const struct net_rule *rules, size_t n, bool v6, wide net, wide size)
{
	for (size_t i = 0; i < n; i++) {
		wide first, last;

		if (!is_literal(&rules[i], v6))
			continue;
		span(&rules[i], v6, &first, &last);
		if (first <= net + (size - 1) && last >= net)
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

		if (!overlaps(rules, n, false, candidate, 256)) {
			net = candidate;
			break;
		}
	}
	ret_host->s_addr = htonl(net | 1);
	ret_worker->s_addr = htonl(net | 2);
}

bool ruleset_pick_subnet6(const struct net_rule *rules, size_t n, struct in6_addr *ret_host,
			  struct in6_addr *ret_worker)
{
	static const uint8_t base[16] = {0xfd, 'c', 'o', 'n', 't', 'r'};
	wide net = get_wide(base, true);
	bool any = false;

	*ret_host = *ret_worker = (struct in6_addr){0};
	for (size_t i = 0; i < n; i++)
		any = any || is_literal(&rules[i], true);
	if (!any)
		return false;
	for (unsigned i = 0; i < 256; i++) {
		wide candidate = net | (wide)i << 64;

		if (!overlaps(rules, n, true, candidate, (wide)1 << 64)) {
			net = candidate;
			break;
		}
	}
	put_wide(ret_host->s6_addr, true, net | 1);
	put_wide(ret_worker->s6_addr, true, net | 2);
	return true;
}
