/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Encoders of nf_tables expressions. */
/*
 * A rule carries a list of
 *   NFTA_LIST_ELEM { NFTA_EXPR_NAME "cmp", NFTA_EXPR_DATA { attributes of that expression } }
 * Attributes are big endian; data (NFTA_DATA_VALUE) is bytes as the packet, or the kernel's own
 * memory, has them. Numbers: linux/netfilter/nf_tables.h.
 */
#include <netinet/in.h> /* linux/netfilter.h clashes with it when it comes first */

#include <endian.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <netlink/attr.h>

#include "nft-private.h"

int nft_put_be32(struct nl_msg *m, int attr, uint32_t v)
{
	return nla_put_u32(m, attr, htobe32(v)) < 0 ? -ENOMEM : 0;
}

int nft_put_be64(struct nl_msg *m, int attr, uint64_t v)
{
	return nla_put_u64(m, attr, htobe64(v)) < 0 ? -ENOMEM : 0;
}

int nft_put_value(struct nl_msg *m, int attr, const void *data, size_t len)
{
	struct nlattr *nest = nla_nest_start(m, attr);

	if (!nest || nla_put(m, NFTA_DATA_VALUE, (int)len, data) < 0)
		return -ENOMEM;
	nla_nest_end(m, nest);
	return 0;
}

static int put_meta(struct nl_msg *m, const struct nft_expr *x)
{
	int reg = x->type == NFT_X_META ? NFTA_META_DREG : NFTA_META_SREG;

	if (nft_put_be32(m, NFTA_META_KEY, x->key) < 0)
		return -ENOMEM;
	return nft_put_be32(m, reg, x->reg);
}

static int put_payload(struct nl_msg *m, const struct nft_expr *x)
{
	if (nft_put_be32(m, NFTA_PAYLOAD_DREG, x->reg) < 0 ||
	    nft_put_be32(m, NFTA_PAYLOAD_BASE, x->key) < 0 ||
	    nft_put_be32(m, NFTA_PAYLOAD_OFFSET, x->offset) < 0)
		return -ENOMEM;
	return nft_put_be32(m, NFTA_PAYLOAD_LEN, x->len);
}

static int put_cmp(struct nl_msg *m, const struct nft_expr *x)
{
	if (nft_put_be32(m, NFTA_CMP_SREG, x->reg) < 0 || nft_put_be32(m, NFTA_CMP_OP, x->key) < 0)
		return -ENOMEM;
	return nft_put_value(m, NFTA_CMP_DATA, x->data, x->data_len);
}

static int put_bitwise(struct nl_msg *m, const struct nft_expr *x)
{
	static const uint8_t zero[NFT_DATA_MAX];

	if (nft_put_be32(m, NFTA_BITWISE_SREG, x->reg) < 0 ||
	    nft_put_be32(m, NFTA_BITWISE_DREG, x->reg) < 0 ||
	    nft_put_be32(m, NFTA_BITWISE_LEN, x->len) < 0 ||
	    nft_put_value(m, NFTA_BITWISE_MASK, x->data, x->len) < 0)
		return -ENOMEM;
	return nft_put_value(m, NFTA_BITWISE_XOR, zero, x->len);
}

static int put_range(struct nl_msg *m, const struct nft_expr *x)
{
	if (nft_put_be32(m, NFTA_RANGE_SREG, x->reg) < 0 ||
	    nft_put_be32(m, NFTA_RANGE_OP, NFT_RANGE_EQ) < 0 ||
	    nft_put_value(m, NFTA_RANGE_FROM_DATA, x->data, x->data_len) < 0)
		return -ENOMEM;
	return nft_put_value(m, NFTA_RANGE_TO_DATA, x->data2, x->data_len);
}

static int put_lookup(struct nl_msg *m, const struct nft_expr *x)
{
	if (nla_put_string(m, NFTA_LOOKUP_SET, x->name) < 0)
		return -ENOMEM;
	return nft_put_be32(m, NFTA_LOOKUP_SREG, x->reg);
}

static int put_ct(struct nl_msg *m, const struct nft_expr *x)
{
	if (nft_put_be32(m, NFTA_CT_KEY, x->key) < 0)
		return -ENOMEM;
	return nft_put_be32(m, NFTA_CT_DREG, x->reg);
}

static int put_connlimit(struct nl_msg *m, const struct nft_expr *x)
{
	if (nft_put_be32(m, NFTA_CONNLIMIT_COUNT, x->count) < 0)
		return -ENOMEM;
	return nft_put_be32(m, NFTA_CONNLIMIT_FLAGS, x->over ? NFT_CONNLIMIT_F_INV : 0);
}

static int put_limit(struct nl_msg *m, const struct nft_expr *x)
{
	if (nft_put_be64(m, NFTA_LIMIT_RATE, x->rate) < 0 ||
	    nft_put_be64(m, NFTA_LIMIT_UNIT, 1) < 0 ||
	    nft_put_be32(m, NFTA_LIMIT_BURST, x->burst) < 0 ||
	    nft_put_be32(m, NFTA_LIMIT_TYPE, x->bytes ? NFT_LIMIT_PKT_BYTES : NFT_LIMIT_PKTS) < 0)
		return -ENOMEM;
	return nft_put_be32(m, NFTA_LIMIT_FLAGS, x->over ? NFT_LIMIT_F_INV : 0);
}

static int put_objref(struct nl_msg *m, const struct nft_expr *x)
{
	if (nft_put_be32(m, NFTA_OBJREF_IMM_TYPE, x->key) < 0)
		return -ENOMEM;
	return nla_put_string(m, NFTA_OBJREF_IMM_NAME, x->name) < 0 ? -ENOMEM : 0;
}

static int put_log(struct nl_msg *m, const struct nft_expr *x)
{
	if (nla_put_string(m, NFTA_LOG_PREFIX, x->name) < 0 ||
	    nla_put_u16(m, NFTA_LOG_GROUP, htobe16(x->group)) < 0)
		return -ENOMEM;
	return nft_put_be32(m, NFTA_LOG_SNAPLEN, x->snaplen);
}

static int put_data(struct nl_msg *m, const struct nft_expr *x)
{
	if (nft_put_be32(m, NFTA_IMMEDIATE_DREG, x->reg) < 0)
		return -ENOMEM;
	return nft_put_value(m, NFTA_IMMEDIATE_DATA, x->data, x->data_len);
}

static int put_tproxy(struct nl_msg *m, const struct nft_expr *x)
{
	if (nft_put_be32(m, NFTA_TPROXY_FAMILY, x->key) < 0 ||
	    nft_put_be32(m, NFTA_TPROXY_REG_ADDR, x->reg) < 0)
		return -ENOMEM;
	return nft_put_be32(m, NFTA_TPROXY_REG_PORT, x->reg2);
}

static int put_reject(struct nl_msg *m, const struct nft_expr *x)
{
	if (nft_put_be32(m, NFTA_REJECT_TYPE, x->key) < 0)
		return -ENOMEM;
	return nla_put_u8(m, NFTA_REJECT_ICMP_CODE, x->icmp_code) < 0 ? -ENOMEM : 0;
}

static int put_verdict(struct nl_msg *m, const struct nft_expr *x)
{
	struct nlattr *data, *verdict;

	if (nft_put_be32(m, NFTA_IMMEDIATE_DREG, x->reg) < 0)
		return -ENOMEM;
	data = nla_nest_start(m, NFTA_IMMEDIATE_DATA);
	verdict = data ? nla_nest_start(m, NFTA_DATA_VERDICT) : NULL;
	if (!verdict || nft_put_be32(m, NFTA_VERDICT_CODE, x->key) < 0)
		return -ENOMEM;
	if (x->name[0] && nla_put_string(m, NFTA_VERDICT_CHAIN, x->name) < 0)
		return -ENOMEM;
	nla_nest_end(m, verdict);
	nla_nest_end(m, data);
	return 0;
}

static const struct {
	const char *name;
	int (*put)(struct nl_msg *m, const struct nft_expr *x);
} kinds[_NFT_X_MAX] = {
	[NFT_X_META] = {"meta", put_meta},
	[NFT_X_META_SET] = {"meta", put_meta},
	[NFT_X_PAYLOAD] = {"payload", put_payload},
	[NFT_X_CMP] = {"cmp", put_cmp},
	[NFT_X_BITWISE] = {"bitwise", put_bitwise},
	[NFT_X_RANGE] = {"range", put_range},
	[NFT_X_LOOKUP] = {"lookup", put_lookup},
	[NFT_X_CT] = {"ct", put_ct},
	[NFT_X_CONNLIMIT] = {"connlimit", put_connlimit},
	[NFT_X_LIMIT] = {"limit", put_limit},
	[NFT_X_OBJREF] = {"objref", put_objref},
	[NFT_X_LOG] = {"log", put_log},
	[NFT_X_DATA] = {"immediate", put_data},
	[NFT_X_TPROXY] = {"tproxy", put_tproxy},
	[NFT_X_REJECT] = {"reject", put_reject},
	[NFT_X_VERDICT] = {"immediate", put_verdict},
};

int nft_put_expr(struct nl_msg *m, const struct nft_expr *x)
{
	struct nlattr *elem = nla_nest_start(m, NFTA_LIST_ELEM), *data;

	if (!elem || nla_put_string(m, NFTA_EXPR_NAME, kinds[x->type].name) < 0)
		return -ENOMEM;
	data = nla_nest_start(m, NFTA_EXPR_DATA);
	if (!data || kinds[x->type].put(m, x) < 0)
		return -ENOMEM;
	nla_nest_end(m, data);
	nla_nest_end(m, elem);
	return 0;
}
