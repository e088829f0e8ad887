/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The decoder of nf_tables messages: tables of attribute names and one walk over them. */
#include "nft-decode.h"

#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include "base/text.h"
#include "nl-read.h"

#define DEPTH_MAX 12 /* a set element's concatenation is at 5 */

enum kind {
	KIND_NUMBER, /* big endian, 1 to 8 bytes */
	KIND_SIGNED, /* 32 bits */
	KIND_STRING,
	KIND_BYTES,
	KIND_NEST,
	KIND_LIST,  /* of NFTA_LIST_ELEM, each like the nest, on one line */
	KIND_LINES, /* the same, each on its own line */
	KIND_EXPR,  /* one expression: the nest depends on its name */
};

struct attr {
	uint16_t type;
	enum kind kind;
	const char *name;
	const struct attr *nest;
};

#define END                               \
	{                                 \
		0, KIND_BYTES, NULL, NULL \
	}
#define NUMBER(type, name)                    \
	{                                     \
		type, KIND_NUMBER, name, NULL \
	}
#define STRING(type, name)                    \
	{                                     \
		type, KIND_STRING, name, NULL \
	}

/* clang-format off */
static const struct attr verdict[] = {
	{NFTA_VERDICT_CODE, KIND_SIGNED, "code", NULL}, STRING(NFTA_VERDICT_CHAIN, "chain"), END};
static const struct attr data[] = {
	{NFTA_DATA_VALUE, KIND_BYTES, "value", NULL}, {NFTA_DATA_VERDICT, KIND_NEST, "verdict", verdict},
	END};

static const struct attr x_immediate[] = {
	NUMBER(NFTA_IMMEDIATE_DREG, "dreg"), {NFTA_IMMEDIATE_DATA, KIND_NEST, "data", data}, END};
static const struct attr x_payload[] = {
	NUMBER(NFTA_PAYLOAD_DREG, "dreg"), NUMBER(NFTA_PAYLOAD_BASE, "base"),
	NUMBER(NFTA_PAYLOAD_OFFSET, "offset"), NUMBER(NFTA_PAYLOAD_LEN, "len"), END};
static const struct attr x_meta[] = {
	NUMBER(NFTA_META_DREG, "dreg"), NUMBER(NFTA_META_KEY, "key"), NUMBER(NFTA_META_SREG, "sreg"),
	END};
static const struct attr x_cmp[] = {
	NUMBER(NFTA_CMP_SREG, "sreg"), NUMBER(NFTA_CMP_OP, "op"),
	{NFTA_CMP_DATA, KIND_NEST, "data", data}, END};
static const struct attr x_bitwise[] = {
	NUMBER(NFTA_BITWISE_SREG, "sreg"), NUMBER(NFTA_BITWISE_DREG, "dreg"),
	NUMBER(NFTA_BITWISE_LEN, "len"), {NFTA_BITWISE_MASK, KIND_NEST, "mask", data},
	{NFTA_BITWISE_XOR, KIND_NEST, "xor", data}, END};
static const struct attr x_range[] = {
	NUMBER(NFTA_RANGE_SREG, "sreg"), NUMBER(NFTA_RANGE_OP, "op"),
	{NFTA_RANGE_FROM_DATA, KIND_NEST, "from", data}, {NFTA_RANGE_TO_DATA, KIND_NEST, "to", data},
	END};
static const struct attr x_lookup[] = {
	STRING(NFTA_LOOKUP_SET, "set"), NUMBER(NFTA_LOOKUP_SREG, "sreg"),
	NUMBER(NFTA_LOOKUP_DREG, "dreg"), NUMBER(NFTA_LOOKUP_FLAGS, "flags"), END};
static const struct attr x_ct[] = {
	NUMBER(NFTA_CT_DREG, "dreg"), NUMBER(NFTA_CT_KEY, "key"), NUMBER(NFTA_CT_DIRECTION, "dir"),
	END};
static const struct attr x_connlimit[] = {
	NUMBER(NFTA_CONNLIMIT_COUNT, "count"), NUMBER(NFTA_CONNLIMIT_FLAGS, "flags"), END};
static const struct attr x_limit[] = {
	NUMBER(NFTA_LIMIT_RATE, "rate"), NUMBER(NFTA_LIMIT_UNIT, "unit"),
	NUMBER(NFTA_LIMIT_BURST, "burst"), NUMBER(NFTA_LIMIT_TYPE, "type"),
	NUMBER(NFTA_LIMIT_FLAGS, "flags"), END};
static const struct attr x_objref[] = {
	NUMBER(NFTA_OBJREF_IMM_TYPE, "type"), STRING(NFTA_OBJREF_IMM_NAME, "name"), END};
static const struct attr x_log[] = {
	NUMBER(NFTA_LOG_GROUP, "group"), STRING(NFTA_LOG_PREFIX, "prefix"),
	NUMBER(NFTA_LOG_SNAPLEN, "snaplen"), END};
static const struct attr x_tproxy[] = {
	NUMBER(NFTA_TPROXY_FAMILY, "family"), NUMBER(NFTA_TPROXY_REG_ADDR, "reg-addr"),
	NUMBER(NFTA_TPROXY_REG_PORT, "reg-port"), END};
static const struct attr x_reject[] = {
	NUMBER(NFTA_REJECT_TYPE, "type"), NUMBER(NFTA_REJECT_ICMP_CODE, "code"), END};
static const struct attr x_counter[] = {
	NUMBER(NFTA_COUNTER_BYTES, "bytes"), NUMBER(NFTA_COUNTER_PACKETS, "packets"), END};
static const struct attr x_quota[] = {
	NUMBER(NFTA_QUOTA_BYTES, "bytes"), NUMBER(NFTA_QUOTA_FLAGS, "flags"),
	NUMBER(NFTA_QUOTA_CONSUMED, "consumed"), END};

static const struct {
	const char *name;
	const struct attr *attrs;
} exprs[] = {
	{"immediate", x_immediate}, {"payload", x_payload}, {"meta", x_meta}, {"cmp", x_cmp},
	{"bitwise", x_bitwise}, {"range", x_range}, {"lookup", x_lookup}, {"ct", x_ct},
	{"connlimit", x_connlimit}, {"limit", x_limit}, {"objref", x_objref}, {"log", x_log},
	{"tproxy", x_tproxy}, {"reject", x_reject}, {"counter", x_counter}, {"quota", x_quota},
};

static const struct attr table[] = {
	STRING(NFTA_TABLE_NAME, "name"), NUMBER(NFTA_TABLE_FLAGS, "flags"),
	NUMBER(NFTA_TABLE_USE, "use"), NUMBER(NFTA_TABLE_HANDLE, "handle"), END};
static const struct attr hook[] = {
	NUMBER(NFTA_HOOK_HOOKNUM, "num"), {NFTA_HOOK_PRIORITY, KIND_SIGNED, "priority", NULL}, END};
static const struct attr chain[] = {
	STRING(NFTA_CHAIN_TABLE, "table"), STRING(NFTA_CHAIN_NAME, "name"),
	NUMBER(NFTA_CHAIN_HANDLE, "handle"), {NFTA_CHAIN_HOOK, KIND_NEST, "hook", hook},
	NUMBER(NFTA_CHAIN_POLICY, "policy"), STRING(NFTA_CHAIN_TYPE, "type"), END};
static const struct attr field[] = {NUMBER(NFTA_SET_FIELD_LEN, "len"), END};
static const struct attr desc[] = {
	NUMBER(NFTA_SET_DESC_SIZE, "size"), {NFTA_SET_DESC_CONCAT, KIND_LIST, "concat", field}, END};
static const struct attr set[] = {
	STRING(NFTA_SET_TABLE, "table"), STRING(NFTA_SET_NAME, "name"), NUMBER(NFTA_SET_FLAGS, "flags"),
	NUMBER(NFTA_SET_KEY_TYPE, "key-type"), NUMBER(NFTA_SET_KEY_LEN, "key-len"),
	NUMBER(NFTA_SET_ID, "id"), {NFTA_SET_DESC, KIND_NEST, "desc", desc}, END};
static const struct attr elem[] = {
	{NFTA_SET_ELEM_KEY, KIND_NEST, "key", data}, {NFTA_SET_ELEM_KEY_END, KIND_NEST, "end", data},
	NUMBER(NFTA_SET_ELEM_FLAGS, "flags"), END};
static const struct attr elems[] = {
	STRING(NFTA_SET_ELEM_LIST_TABLE, "table"), STRING(NFTA_SET_ELEM_LIST_SET, "set"),
	{NFTA_SET_ELEM_LIST_ELEMENTS, KIND_LINES, "elements", elem}, END};
static const struct attr expr_list[] = {{NFTA_LIST_ELEM, KIND_EXPR, "expr", NULL}, END};
static const struct attr rule[] = {
	STRING(NFTA_RULE_TABLE, "table"), STRING(NFTA_RULE_CHAIN, "chain"),
	NUMBER(NFTA_RULE_HANDLE, "handle"), {NFTA_RULE_EXPRESSIONS, KIND_LINES, "expressions", expr_list},
	{NFTA_RULE_USERDATA, KIND_BYTES, "userdata", NULL}, END};
static const struct attr object_data[] = {
	/* a counter's and a quota's numbers are the same but for 2, which is told by its length */
	NUMBER(NFTA_COUNTER_BYTES, "bytes"), NUMBER(NFTA_COUNTER_PACKETS, "packets-or-flags"),
	NUMBER(NFTA_QUOTA_CONSUMED, "consumed"), END};
static const struct attr object[] = {
	STRING(NFTA_OBJ_TABLE, "table"), STRING(NFTA_OBJ_NAME, "name"), NUMBER(NFTA_OBJ_TYPE, "type"),
	{NFTA_OBJ_DATA, KIND_NEST, "data", object_data}, NUMBER(NFTA_OBJ_USE, "use"), END};

static const struct {
	uint16_t type;
	const char *name;
	const struct attr *attrs;
} messages[] = {
	{NFT_MSG_NEWTABLE, "table", table}, {NFT_MSG_NEWCHAIN, "chain", chain},
	{NFT_MSG_NEWRULE, "rule", rule}, {NFT_MSG_NEWSET, "set", set},
	{NFT_MSG_NEWSETELEM, "elements", elems}, {NFT_MSG_NEWOBJ, "object", object},
};
/* clang-format on */

static int put_hex(struct buf *out, struct nl_bytes b)
{
	int r = buf_puts(out, "0x");

	for (size_t i = 0; i < b.len && r == 0; i++)
		r = buf_printf(out, "%02x", b.p[i]);
	return r;
}

static int put_number(struct buf *out, struct nl_bytes b, bool is_signed)
{
	uint64_t v = 0;

	if (b.len == 0 || b.len > 8)
		return put_hex(out, b);
	for (size_t i = 0; i < b.len; i++)
		v = v << 8 | b.p[i];
	if (is_signed && b.len == 4)
		return buf_printf(out, "%d", (int)(int32_t)(uint32_t)v);
	return buf_printf(out, "%llu", (unsigned long long)v);
}

static int put_string(struct buf *out, struct nl_bytes b)
{
	char text[512];

	if (b.len && b.p[b.len - 1] == 0)
		b.len--;
	(void)text_escape_line((const char *)b.p, b.len, text, sizeof(text));
	return buf_printf(out, "\"%s\"", text);
}

static int put_attrs(struct buf *out, const struct attr *known, struct nl_bytes rest, int depth);

static int put_expr(struct buf *out, struct nl_bytes b, int depth)
{
	const struct attr *known = NULL;
	struct nl_bytes name, body;
	int r;

	if (!nl_find_attr(b, NFTA_EXPR_NAME, &name))
		return -EBADMSG;
	r = put_string(out, name);
	for (size_t i = 0; i < ARRAY_SIZE(exprs); i++) {
		if (nl_is_string(name, exprs[i].name))
			known = exprs[i].attrs;
	}
	if (r < 0 || !nl_find_attr(b, NFTA_EXPR_DATA, &body))
		return r;
	return put_attrs(out, known, body, depth + 1);
}

/* The elements of a list; `lines`: each on its own. */
static int put_list(struct buf *out, const struct attr *nest, struct nl_bytes b, bool lines,
		    int depth)
{
	bool expr = nest && nest->kind == KIND_EXPR;
	struct nl_attr_view a;
	int r;

	while ((r = nl_next_attr(&b, &a)) > 0) {
		r = buf_puts(out, lines ? "\n\t" : " {");
		if (r == 0 && a.type != NFTA_LIST_ELEM)
			r = buf_printf(out, "type %u ", a.type);
		if (r == 0)
			r = expr ? put_expr(out, a.data, depth)
				 : put_attrs(out, nest, a.data, depth);
		if (r == 0 && !lines)
			r = buf_puts(out, "}");
		if (r < 0)
			return r;
	}
	return r;
}

static int put_attr(struct buf *out, const struct attr *known, struct nl_bytes b, int depth)
{
	int r;

	switch (known->kind) {
	case KIND_NUMBER:
	case KIND_SIGNED:
		return put_number(out, b, known->kind == KIND_SIGNED);
	case KIND_STRING:
		return put_string(out, b);
	case KIND_BYTES:
		return put_hex(out, b);
	case KIND_EXPR:
		return put_expr(out, b, depth);
	case KIND_LIST:
	case KIND_LINES:
		return put_list(out, known->nest, b, known->kind == KIND_LINES, depth + 1);
	case KIND_NEST:
		break;
	}
	r = buf_puts(out, "{");
	if (r == 0)
		r = put_attrs(out, known->nest, b, depth + 1);
	return r < 0 ? r : buf_puts(out, "}");
}

/* known NULL: an expression or message without a table of its own. */
static int put_attrs(struct buf *out, const struct attr *known, struct nl_bytes rest, int depth)
{
	static const struct attr unknown[] = {END};
	struct nl_attr_view a;
	int r;

	if (depth > DEPTH_MAX)
		return -EBADMSG;
	while ((r = nl_next_attr(&rest, &a)) > 0) {
		const struct attr *k = known ? known : unknown;

		while (k->name && k->type != a.type)
			k++;
		r = k->name ? buf_printf(out, " %s=", k->name)
			    : buf_printf(out, " attr%u=", a.type);
		if (r == 0)
			r = put_attr(out, k, a.data, depth);
		if (r < 0)
			return r;
	}
	return r;
}

static int put_flags(struct buf *out, uint16_t flags)
{
	static const struct {
		uint16_t bit;
		const char *name;
	} names[] = {{NLM_F_ACK, "ack"},
		     {NLM_F_CREATE, "create"},
		     {NLM_F_EXCL, "excl"},
		     {NLM_F_APPEND, "append"}};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(names) && r == 0; i++) {
		if (flags & names[i].bit)
			r = buf_printf(out, " %s", names[i].name);
	}
	return r;
}

static int put_message(struct buf *out, const struct nl_message *m)
{
	const struct attr *known = NULL;
	struct nl_bytes rest = m->payload;
	const char *name = NULL;
	uint8_t family;
	int r;

	if (rest.len < sizeof(struct nfgenmsg))
		return -EBADMSG;
	family = rest.p[0];
	rest.p += sizeof(struct nfgenmsg);
	rest.len -= sizeof(struct nfgenmsg);
	if (m->type == NFNL_MSG_BATCH_BEGIN || m->type == NFNL_MSG_BATCH_END) {
		name = m->type == NFNL_MSG_BATCH_BEGIN ? "begin" : "end";
		return buf_printf(out, "%u %s subsystem %u", m->seq, name,
				  (unsigned)(m->payload.p[2] << 8 | m->payload.p[3]));
	}
	for (size_t i = 0; i < ARRAY_SIZE(messages); i++) {
		if (m->type == (NFNL_SUBSYS_NFTABLES << 8 | messages[i].type)) {
			name = messages[i].name;
			known = messages[i].attrs;
		}
	}
	r = name ? buf_printf(out, "%u %s family %u", m->seq, name, family)
		 : buf_printf(out, "%u type 0x%x family %u", m->seq, m->type, family);
	if (r == 0)
		r = put_flags(out, m->flags);
	return r < 0 ? r : put_attrs(out, known, rest, 0);
}

int nft_decode(const void *bytes, size_t len, struct buf *out)
{
	struct nl_bytes rest = {bytes, len};
	struct nl_message m;
	int r;

	while ((r = nl_next_message(&rest, &m)) > 0) {
		r = put_message(out, &m);
		if (r == 0)
			r = buf_putc(out, '\n');
		if (r < 0)
			return r;
	}
	return r;
}
