/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Encoders of nf_tables messages, collected in the one buffer that the kernel takes as a batch. */
/*
 *  BEGIN       NLMSG type NFNL_MSG_BATCH_BEGIN, nfgenmsg{AF_UNSPEC, 0, res_id = htons(10)}
 *  message...  NLMSG type 10 << 8 | NFT_MSG_*, nfgenmsg{family, 0, 0}, attributes
 *  END         NLMSG type NFNL_MSG_BATCH_END, as BEGIN
 * Sequence numbers are 1, 2, ...: an answer names its message by them. Sources: nf_tables.h,
 * nfnetlink.h, and nfnetlink_rcv_batch() in the kernel, which takes all or nothing.
 */
#include "nft-encode.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdarg.h>

#include "nft-private.h"

#define MESSAGE_ROOM 4096
/* Elements of one message: their nest must stay below 64 KiB, and each takes at most 68 bytes. */
#define ELEMS_AT_ONCE 512
#define ELEMS_ROOM    (MESSAGE_ROOM + ELEMS_AT_ONCE * 80)
#define BATCH_MAX     (8 * MIB)

static void msg_free(struct nl_msg **m)
{
	nlmsg_free(*m);
}
#define _cleanup_msg_ _cleanup_(msg_free)

void nft_batch_done(struct nft_batch *b)
{
	buf_done(&b->bytes);
	free(b->labels);
	*b = (struct nft_batch){0};
}

static int label_add(struct nft_batch *b, bool acked, const char *fmt, ...) _printf_(3, 4);

static int label_add(struct nft_batch *b, bool acked, const char *fmt, ...)
{
	struct nft_label *l;
	va_list ap;

	if (b->n == b->size) {
		size_t size = b->size ? 2 * b->size : 128;

		l = realloc(b->labels, size * sizeof(*l));
		if (!l)
			return -ENOMEM;
		b->labels = l;
		b->size = size;
	}
	l = &b->labels[b->n++];
	l->acked = acked;
	va_start(ap, fmt);
	(void)vsnprintf(l->what, sizeof(l->what), fmt, ap);
	va_end(ap);
	return 0;
}

/* Appends the finished message to the batch; its number is the next one. */
static int append(struct nft_batch *b, struct nl_msg *m)
{
	struct nlmsghdr *h = nlmsg_hdr(m);

	h->nlmsg_seq = (uint32_t)b->n;
	return buf_put(&b->bytes, h, NLMSG_ALIGN(h->nlmsg_len));
}

static struct nl_msg *start(int type, uint8_t family, uint16_t res_id, int flags, size_t room)
{
	struct nfgenmsg g = {family, NFNETLINK_V0, htons(res_id)};
	struct nl_msg *m = nlmsg_alloc_size(room);

	if (m && nlmsg_put(m, NL_AUTO_PORT, 0, type, 0, NLM_F_REQUEST | flags) &&
	    nlmsg_append(m, &g, sizeof(g), NLMSG_ALIGNTO) == 0)
		return m;
	nlmsg_free(m);
	return NULL;
}

static struct nl_msg *start_op(const struct nft_op *op, int msg, int flags, size_t room)
{
	return start(NFNL_SUBSYS_NFTABLES << 8 | msg, op->family, 0,
		     NLM_F_ACK | NLM_F_CREATE | flags, room);
}

static int put_frame(struct nft_batch *b, int type, const char *what)
{
	_cleanup_msg_ struct nl_msg *m =
		start(type, AF_UNSPEC, NFNL_SUBSYS_NFTABLES, 0, MESSAGE_ROOM);

	if (!m || label_add(b, false, "%s", what) < 0)
		return -ENOMEM;
	return append(b, m);
}

static int put_table(struct nft_batch *b, const struct nft_op *op)
{
	_cleanup_msg_ struct nl_msg *m = start_op(op, NFT_MSG_NEWTABLE, NLM_F_EXCL, MESSAGE_ROOM);

	if (!m || nla_put_string(m, NFTA_TABLE_NAME, op->table) < 0 ||
	    nft_put_be32(m, NFTA_TABLE_FLAGS, NFT_TABLE_F_OWNER) < 0 ||
	    label_add(b, true, "table %s", op->table) < 0)
		return -ENOMEM;
	return append(b, m);
}

static int put_hook(struct nl_msg *m, const struct nft_chain *c)
{
	struct nlattr *hook = nla_nest_start(m, NFTA_CHAIN_HOOK);

	if (!hook || nft_put_be32(m, NFTA_HOOK_HOOKNUM, c->hook) < 0 ||
	    nft_put_be32(m, NFTA_HOOK_PRIORITY, (uint32_t)c->priority) < 0)
		return -ENOMEM;
	nla_nest_end(m, hook);
	if (nft_put_be32(m, NFTA_CHAIN_POLICY, c->policy) < 0)
		return -ENOMEM;
	return nla_put_string(m, NFTA_CHAIN_TYPE, "filter") < 0 ? -ENOMEM : 0;
}

static int put_chain(struct nft_batch *b, const struct nft_op *op)
{
	const struct nft_chain *c = &op->u.chain;
	_cleanup_msg_ struct nl_msg *m = start_op(op, NFT_MSG_NEWCHAIN, NLM_F_EXCL, MESSAGE_ROOM);

	if (!m || nla_put_string(m, NFTA_CHAIN_TABLE, op->table) < 0 ||
	    nla_put_string(m, NFTA_CHAIN_NAME, c->name) < 0 || (c->base && put_hook(m, c) < 0) ||
	    label_add(b, true, "chain %s", c->name) < 0)
		return -ENOMEM;
	return append(b, m);
}

static unsigned key_len(const struct nft_set *s)
{
	unsigned len = 0;

	for (unsigned i = 0; i < s->n_fields; i++)
		len += NLA_ALIGN(s->field_len[i]);
	return len;
}

static int put_concat(struct nl_msg *m, const struct nft_set *s)
{
	struct nlattr *desc = nla_nest_start(m, NFTA_SET_DESC), *concat, *field;

	concat = desc ? nla_nest_start(m, NFTA_SET_DESC_CONCAT) : NULL;
	if (!concat)
		return -ENOMEM;
	for (unsigned i = 0; i < s->n_fields; i++) {
		field = nla_nest_start(m, NFTA_LIST_ELEM);
		/* bytes, whatever the comment in nf_tables.h says */
		if (!field || nft_put_be32(m, NFTA_SET_FIELD_LEN, s->field_len[i]) < 0)
			return -ENOMEM;
		nla_nest_end(m, field);
	}
	nla_nest_end(m, concat);
	nla_nest_end(m, desc);
	return 0;
}

static int put_set(struct nft_batch *b, const struct nft_op *op)
{
	const struct nft_set *s = &op->u.set;
	_cleanup_msg_ struct nl_msg *m = start_op(op, NFT_MSG_NEWSET, NLM_F_EXCL, MESSAGE_ROOM);
	bool concat = s->n_fields > 1;

	if (!m || nla_put_string(m, NFTA_SET_TABLE, op->table) < 0 ||
	    nla_put_string(m, NFTA_SET_NAME, s->name) < 0 ||
	    nft_put_be32(m, NFTA_SET_FLAGS, NFT_SET_INTERVAL | (concat ? NFT_SET_CONCAT : 0)) < 0 ||
	    nft_put_be32(m, NFTA_SET_KEY_TYPE, s->key_type) < 0 ||
	    nft_put_be32(m, NFTA_SET_KEY_LEN, key_len(s)) < 0 ||
	    nft_put_be32(m, NFTA_SET_ID, (uint32_t)b->n + 1) < 0 ||
	    (concat && put_concat(m, s) < 0) || label_add(b, true, "set %s", s->name) < 0)
		return -ENOMEM;
	return append(b, m);
}

static int put_elem(struct nl_msg *m, const struct nft_elem *el, unsigned len)
{
	struct nlattr *elem = nla_nest_start(m, NFTA_LIST_ELEM);

	if (!elem || nft_put_value(m, NFTA_SET_ELEM_KEY, el->key, len) < 0 ||
	    nft_put_value(m, NFTA_SET_ELEM_KEY_END, el->end, len) < 0)
		return -ENOMEM;
	nla_nest_end(m, elem);
	return 0;
}

static int put_elems(struct nft_batch *b, const struct nft_op *op)
{
	const struct nft_elems *s = &op->u.elems;

	for (size_t done = 0; done < s->n; done += ELEMS_AT_ONCE) {
		size_t n = MIN(s->n - done, (size_t)ELEMS_AT_ONCE);
		_cleanup_msg_ struct nl_msg *m = start_op(op, NFT_MSG_NEWSETELEM, 0, ELEMS_ROOM);
		struct nlattr *list;
		int r;

		if (!m || nla_put_string(m, NFTA_SET_ELEM_LIST_TABLE, op->table) < 0 ||
		    nla_put_string(m, NFTA_SET_ELEM_LIST_SET, s->set) < 0)
			return -ENOMEM;
		list = nla_nest_start(m, NFTA_SET_ELEM_LIST_ELEMENTS);
		if (!list)
			return -ENOMEM;
		for (size_t i = 0; i < n; i++) {
			if (put_elem(m, &s->elems[done + i], s->key_len) < 0)
				return -ENOMEM;
		}
		nla_nest_end(m, list);
		if (label_add(b, true, "elements %zu to %zu of set %s", done, done + n - 1,
			      s->set) < 0)
			return -ENOMEM;
		r = append(b, m);
		if (r < 0)
			return r;
	}
	return 0;
}

static int put_object(struct nft_batch *b, const struct nft_op *op)
{
	const struct nft_object *o = &op->u.object;
	_cleanup_msg_ struct nl_msg *m = start_op(op, NFT_MSG_NEWOBJ, NLM_F_EXCL, MESSAGE_ROOM);
	bool quota = o->type == NFT_OBJECT_QUOTA;
	struct nlattr *data;

	if (!m || nla_put_string(m, NFTA_OBJ_TABLE, op->table) < 0 ||
	    nla_put_string(m, NFTA_OBJ_NAME, o->name) < 0 ||
	    nft_put_be32(m, NFTA_OBJ_TYPE, o->type) < 0)
		return -ENOMEM;
	data = nla_nest_start(m, NFTA_OBJ_DATA);
	if (!data || nft_put_be64(m, quota ? NFTA_QUOTA_BYTES : NFTA_COUNTER_BYTES, o->bytes) < 0)
		return -ENOMEM;
	if (quota ? nft_put_be32(m, NFTA_QUOTA_FLAGS, NFT_QUOTA_F_INV) < 0
		  : nft_put_be64(m, NFTA_COUNTER_PACKETS, 0) < 0)
		return -ENOMEM;
	nla_nest_end(m, data);
	if (label_add(b, true, "%s %s", quota ? "quota" : "counter", o->name) < 0)
		return -ENOMEM;
	return append(b, m);
}

/* nft's own form of a comment in user data: type 0, length, text with its NUL. */
static int put_comment(struct nl_msg *m, const char *text)
{
	uint8_t tlv[2 + NFT_NAME_MAX] = {0};
	size_t len = strlen(text) + 1;

	tlv[1] = (uint8_t)len;
	memcpy(tlv + 2, text, len);
	return nla_put(m, NFTA_RULE_USERDATA, (int)len + 2, tlv) < 0 ? -ENOMEM : 0;
}

static int put_rule(struct nft_batch *b, const struct nft_op *op)
{
	const struct nft_rule *r = &op->u.rule;
	/* without APPEND the kernel inserts at the head, and the order would be reversed */
	_cleanup_msg_ struct nl_msg *m = start_op(op, NFT_MSG_NEWRULE, NLM_F_APPEND, MESSAGE_ROOM);
	struct nlattr *list;

	if (!m || nla_put_string(m, NFTA_RULE_TABLE, op->table) < 0 ||
	    nla_put_string(m, NFTA_RULE_CHAIN, r->chain) < 0)
		return -ENOMEM;
	list = nla_nest_start(m, NFTA_RULE_EXPRESSIONS);
	if (!list)
		return -ENOMEM;
	for (unsigned i = 0; i < r->n; i++) {
		if (nft_put_expr(m, &r->x[i]) < 0)
			return -ENOMEM;
	}
	nla_nest_end(m, list);
	if (put_comment(m, r->name) < 0 ||
	    label_add(b, true, "rule %s in chain %s", r->name, r->chain) < 0)
		return -ENOMEM;
	return append(b, m);
}

static int (*const encoders[_NFT_OP_MAX])(struct nft_batch *b, const struct nft_op *op) = {
	[NFT_OP_TABLE] = put_table, [NFT_OP_CHAIN] = put_chain,	  [NFT_OP_SET] = put_set,
	[NFT_OP_ELEMS] = put_elems, [NFT_OP_OBJECT] = put_object, [NFT_OP_RULE] = put_rule,
};

int nft_encode(const struct nft_list *l, struct nft_batch *ret, struct err *e)
{
	_cleanup_(nft_batch_done) struct nft_batch b = {.bytes.cap = BATCH_MAX};
	int r = l->error;

	if (r < 0)
		return err_errno(e, r, "nf_tables: the rule set cannot be built");
	r = put_frame(&b, NFNL_MSG_BATCH_BEGIN, "the batch's begin");
	for (size_t i = 0; i < l->n && r == 0; i++)
		r = encoders[l->ops[i].type](&b, &l->ops[i]);
	if (r == 0)
		r = put_frame(&b, NFNL_MSG_BATCH_END, "the batch's end");
	if (r < 0)
		return err_errno(e, r, "nf_tables: message %zu of the rule set does not fit", b.n);
	*ret = b;
	b = (struct nft_batch){0};
	return 0;
}
