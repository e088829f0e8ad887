/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Building lists of nf_tables objects. */
#include "nft.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <net/if.h>

#define NFT_OPS_MAX 4096

void nft_list_done(struct nft_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		if (l->ops[i].type == NFT_OP_ELEMS)
			free(l->ops[i].u.elems.elems);
	}
	free(l->ops);
	*l = (struct nft_list){0};
}

static void set_name(char dst[NFT_NAME_MAX], const char *src)
{
	assert(strlen(src) < NFT_NAME_MAX);
	memcpy(dst, src, strlen(src) + 1);
}

static struct nft_op *add(struct nft_list *l, enum nft_op_type type)
{
	struct nft_op *op;

	if (l->error)
		return NULL;
	if (l->n == l->size) {
		size_t size = l->size ? 2 * l->size : 64;
		struct nft_op *ops =
			size > NFT_OPS_MAX ? NULL : realloc(l->ops, size * sizeof(*ops));

		if (!ops) {
			l->error = size > NFT_OPS_MAX ? -E2BIG : -ENOMEM;
			return NULL;
		}
		l->ops = ops;
		l->size = size;
	}
	op = &l->ops[l->n++];
	*op = (struct nft_op){.type = type, .family = l->family};
	set_name(op->table, l->table);
	return op;
}

void nft_add_table(struct nft_list *l, uint8_t family, const char *table)
{
	l->family = family;
	l->table = table;
	(void)add(l, NFT_OP_TABLE);
}

void nft_add_base_chain(struct nft_list *l, const char *name, uint32_t hook, int32_t priority,
			uint32_t policy)
{
	struct nft_op *op = add(l, NFT_OP_CHAIN);

	if (!op)
		return;
	op->u.chain = (struct nft_chain){.base = true,
					 .hook = hook,
					 .priority = priority,
					 .policy = policy};
	set_name(op->u.chain.name, name);
}

void nft_add_chain(struct nft_list *l, const char *name)
{
	struct nft_op *op = add(l, NFT_OP_CHAIN);

	if (op)
		set_name(op->u.chain.name, name);
}

void nft_add_set(struct nft_list *l, const struct nft_set *s)
{
	struct nft_op *op = add(l, NFT_OP_SET);

	if (op)
		op->u.set = *s;
}

static void add_object(struct nft_list *l, const char *name, uint32_t type, uint64_t bytes)
{
	struct nft_op *op = add(l, NFT_OP_OBJECT);

	if (!op)
		return;
	op->u.object = (struct nft_object){.type = type, .bytes = bytes};
	set_name(op->u.object.name, name);
}

void nft_add_counter(struct nft_list *l, const char *name)
{
	add_object(l, name, NFT_OBJECT_COUNTER, 0);
}

void nft_add_quota(struct nft_list *l, const char *name, uint64_t bytes)
{
	add_object(l, name, NFT_OBJECT_QUOTA, bytes);
}

void nft_add_elems(struct nft_list *l, const char *set, uint8_t key_len,
		   struct nft_elem *consume_elems, size_t n)
{
	struct nft_op *op = add(l, NFT_OP_ELEMS);

	if (!op) {
		free(consume_elems);
		return;
	}
	op->u.elems = (struct nft_elems){.key_len = key_len, .elems = consume_elems, .n = n};
	set_name(op->u.elems.set, set);
}

struct nft_rule *nft_add_rule(struct nft_list *l, const char *chain, const char *name)
{
	struct nft_op *op = add(l, NFT_OP_RULE);

	if (!op)
		return NULL;
	set_name(op->u.rule.chain, chain);
	set_name(op->u.rule.name, name);
	return &op->u.rule;
}

/* Never NULL: a rule that could not be made swallows its expressions. */
static struct nft_expr *expr(struct nft_rule *r, enum nft_expr_type type, struct nft_expr *spare)
{
	struct nft_expr *x = spare;

	if (r) {
		assert(r->n < NFT_EXPRS_MAX);
		x = &r->x[r->n++];
	}
	*x = (struct nft_expr){.type = type, .reg = NFT_R1};
	return x;
}

static void set_data(struct nft_expr *x, const void *data, size_t len)
{
	assert(len <= NFT_DATA_MAX);
	memcpy(x->data, data, len);
	x->data_len = (uint8_t)len;
}

void nft_x_meta(struct nft_rule *r, uint32_t key, uint32_t reg)
{
	struct nft_expr spare, *x = expr(r, NFT_X_META, &spare);

	x->key = key;
	x->reg = reg;
}

void nft_x_meta_set(struct nft_rule *r, uint32_t key, uint32_t value)
{
	struct nft_expr spare, *x = expr(r, NFT_X_DATA, &spare);

	set_data(x, &value, sizeof(value));
	x = expr(r, NFT_X_META_SET, &spare);
	x->key = key;
}

void nft_x_payload(struct nft_rule *r, uint32_t base, uint32_t offset, uint32_t len, uint32_t reg)
{
	struct nft_expr spare, *x = expr(r, NFT_X_PAYLOAD, &spare);

	x->key = base;
	x->offset = offset;
	x->len = len;
	x->reg = reg;
}

void nft_x_cmp(struct nft_rule *r, uint32_t op, const void *data, size_t len)
{
	struct nft_expr spare, *x = expr(r, NFT_X_CMP, &spare);

	x->key = op;
	set_data(x, data, len);
}

void nft_x_mask(struct nft_rule *r, const void *mask, size_t len)
{
	struct nft_expr spare, *x = expr(r, NFT_X_BITWISE, &spare);

	x->len = (uint32_t)len;
	set_data(x, mask, len);
}

void nft_x_range(struct nft_rule *r, const void *from, const void *to, size_t len)
{
	struct nft_expr spare, *x = expr(r, NFT_X_RANGE, &spare);

	set_data(x, from, len);
	memcpy(x->data2, to, len);
}

void nft_x_lookup(struct nft_rule *r, const char *set)
{
	struct nft_expr spare, *x = expr(r, NFT_X_LOOKUP, &spare);

	set_name(x->name, set);
}

void nft_x_ct_state(struct nft_rule *r, uint32_t state_bits)
{
	struct nft_expr spare, *x = expr(r, NFT_X_CT, &spare);
	static const uint32_t zero = 0;

	x->key = NFT_CT_STATE;
	nft_x_mask(r, &state_bits, sizeof(state_bits)); /* host order, as the kernel loads it */
	nft_x_cmp(r, NFT_CMP_NEQ, &zero, sizeof(zero));
}

void nft_x_connlimit_over(struct nft_rule *r, uint32_t count)
{
	struct nft_expr spare, *x = expr(r, NFT_X_CONNLIMIT, &spare);

	x->count = count;
	x->over = true;
}

void nft_x_limit(struct nft_rule *r, uint64_t packets_per_second, uint32_t burst)
{
	struct nft_expr spare, *x = expr(r, NFT_X_LIMIT, &spare);

	x->rate = packets_per_second;
	x->burst = burst;
}

void nft_x_limit_bytes_over(struct nft_rule *r, uint64_t bytes_per_second, uint32_t burst)
{
	struct nft_expr spare, *x = expr(r, NFT_X_LIMIT, &spare);

	x->rate = bytes_per_second;
	x->burst = burst;
	x->bytes = x->over = true;
}

void nft_x_object(struct nft_rule *r, uint32_t type, const char *name)
{
	struct nft_expr spare, *x = expr(r, NFT_X_OBJREF, &spare);

	x->key = type;
	set_name(x->name, name);
}

void nft_x_log(struct nft_rule *r, uint16_t group, const char *prefix, uint32_t snaplen)
{
	struct nft_expr spare, *x = expr(r, NFT_X_LOG, &spare);

	x->group = group;
	x->snaplen = snaplen;
	set_name(x->name, prefix);
}

static void tproxy(struct nft_rule *r, uint32_t family, const void *addr, size_t len, uint16_t port)
{
	struct nft_expr spare, *x = expr(r, NFT_X_DATA, &spare);
	uint16_t port_net = htons(port);

	set_data(x, addr, len);
	x = expr(r, NFT_X_DATA, &spare);
	x->reg = NFT_R1 + 1;
	set_data(x, &port_net, sizeof(port_net));
	x = expr(r, NFT_X_TPROXY, &spare);
	x->key = family;
	x->reg2 = NFT_R1 + 1;
}

void nft_x_tproxy4(struct nft_rule *r, uint32_t addr_net, uint16_t port)
{
	tproxy(r, NFPROTO_IPV4, &addr_net, sizeof(addr_net), port);
}

void nft_x_tproxy6(struct nft_rule *r, const struct in6_addr *addr, uint16_t port)
{
	tproxy(r, NFPROTO_IPV6, addr, sizeof(*addr), port);
}

void nft_x_reject(struct nft_rule *r, uint32_t type, uint8_t code)
{
	struct nft_expr spare, *x = expr(r, NFT_X_REJECT, &spare);

	x->key = type;
	x->icmp_code = code;
}

void nft_x_verdict(struct nft_rule *r, int32_t code, const char *chain)
{
	struct nft_expr spare, *x = expr(r, NFT_X_VERDICT, &spare);

	x->reg = NFT_REG_VERDICT;
	x->key = (uint32_t)code;
	if (chain)
		set_name(x->name, chain);
}

void nft_m_iface(struct nft_rule *r, uint32_t key, uint32_t op, const char *ifname)
{
	char name[IFNAMSIZ] = "";

	assert(strlen(ifname) < sizeof(name));
	memcpy(name, ifname, strlen(ifname));
	nft_x_meta(r, key, NFT_R1);
	nft_x_cmp(r, op, name, sizeof(name));
}

void nft_m_nfproto(struct nft_rule *r, uint8_t proto)
{
	nft_x_meta(r, NFT_META_NFPROTO, NFT_R1);
	nft_x_cmp(r, NFT_CMP_EQ, &proto, 1);
}

void nft_m_l4proto(struct nft_rule *r, uint8_t proto)
{
	nft_x_meta(r, NFT_META_L4PROTO, NFT_R1);
	nft_x_cmp(r, NFT_CMP_EQ, &proto, 1);
}

void nft_m_port(struct nft_rule *r, bool source, uint16_t port)
{
	uint16_t port_net = htons(port);

	nft_x_payload(r, NFT_PAYLOAD_TRANSPORT_HEADER, source ? 0 : 2, 2, NFT_R1);
	nft_x_cmp(r, NFT_CMP_EQ, &port_net, 2);
}

void nft_m_addr4(struct nft_rule *r, bool source, uint32_t op, uint32_t addr_net, unsigned prefix)
{
	uint32_t mask = htonl((uint32_t)(UINT64_C(0xffffffff) << (32 - prefix)));
	unsigned len = prefix % 8 ? 4 : prefix / 8;

	assert(prefix >= 1 && prefix <= 32);
	addr_net &= mask;
	nft_x_payload(r, NFT_PAYLOAD_NETWORK_HEADER, source ? 12 : 16, len, NFT_R1);
	if (prefix % 8) /* a prefix of whole bytes is compared as it is */
		nft_x_mask(r, &mask, 4);
	nft_x_cmp(r, op, &addr_net, len);
}

void nft_m_addr6(struct nft_rule *r, bool source, uint32_t op, const struct in6_addr *addr)
{
	nft_x_payload(r, NFT_PAYLOAD_NETWORK_HEADER, source ? 8 : 24, sizeof(*addr), NFT_R1);
	nft_x_cmp(r, op, addr, sizeof(*addr));
}
