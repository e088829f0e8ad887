/* SPDX-License-Identifier: GPL-3.0-or-later */
/* nf_tables objects as plain values: a list of them is what the encoder turns into one batch. */
#ifndef CONTRACTOR_NET_NFT_H
#define CONTRACTOR_NET_NFT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define NFT_NAME_MAX   32 /* with its NUL; the kernel would take 256 */
#define NFT_EXPRS_MAX  20
#define NFT_DATA_MAX   16
#define NFT_FIELDS_MAX 4
#define NFT_KEY_MAX    24

/* Registers: REG1 is 16 bytes wide, WORD(0) to WORD(3) are its four words, the next are REG2's. */
#define NFT_R1	    1
#define NFT_WORD(i) (8 + (i))

enum nft_expr_type {
	NFT_X_META,	 /* meta key -> register */
	NFT_X_META_SET,	 /* register -> meta key */
	NFT_X_PAYLOAD,	 /* bytes of the packet -> register */
	NFT_X_CMP,	 /* goes on if register OP data */
	NFT_X_BITWISE,	 /* register = register & data ^ 0 */
	NFT_X_RANGE,	 /* goes on if data <= register <= data2 */
	NFT_X_LOOKUP,	 /* goes on if the register is in the set */
	NFT_X_CT,	 /* conntrack key -> register */
	NFT_X_CONNLIMIT, /* goes on if this rule has seen more than `count` living connections */
	NFT_X_LIMIT,	 /* goes on while below (or with `over` while above) the rate */
	NFT_X_OBJREF,	 /* counts on a named object; goes on if it is a counter, or a used-up quota
			  */
	NFT_X_LOG,	 /* to an NFLOG group */
	NFT_X_DATA,	 /* data -> register */
	NFT_X_TPROXY,	 /* to a local socket: address and port in registers; goes on if there is */
	NFT_X_REJECT,
	NFT_X_VERDICT,
	_NFT_X_MAX,
};

/* Numbers are those of linux/netfilter/nf_tables.h; data is as it stands in the packet. */
struct nft_expr {
	enum nft_expr_type type;
	uint32_t reg;  /* the register written or read */
	uint32_t reg2; /* TPROXY: of the port */
	uint32_t key;  /* META, CT: key; PAYLOAD: base; CMP: operator; REJECT: type; VERDICT: code;
			* OBJREF: object type; TPROXY: family */
	uint32_t offset, len; /* PAYLOAD; len too of BITWISE */
	uint8_t data[NFT_DATA_MAX], data2[NFT_DATA_MAX];
	uint8_t data_len;
	char name[NFT_NAME_MAX]; /* LOOKUP: set; OBJREF: object; LOG: prefix; VERDICT: chain */
	uint64_t rate;		 /* LIMIT: packets or bytes a second */
	uint32_t burst, count;	 /* LIMIT; CONNLIMIT */
	bool over, bytes;	 /* LIMIT and CONNLIMIT; LIMIT counts bytes */
	uint16_t group;		 /* LOG */
	uint32_t snaplen;	 /* LOG */
	uint8_t icmp_code;	 /* REJECT */
};

struct nft_rule {
	char chain[NFT_NAME_MAX];
	char name[NFT_NAME_MAX]; /* the comment that `nft list` shows */
	uint8_t n;
	struct nft_expr x[NFT_EXPRS_MAX];
};

struct nft_chain {
	char name[NFT_NAME_MAX];
	bool base; /* hangs on a hook; the rest is for base chains */
	uint32_t hook;
	int32_t priority;
	uint32_t policy; /* NF_DROP, NF_ACCEPT */
};

/* An interval set, concatenated when there is more than one field. */
struct nft_set {
	char name[NFT_NAME_MAX];
	uint32_t key_type; /* nft's own number of the type, for `nft list` */
	uint8_t n_fields;
	uint8_t field_len[NFT_FIELDS_MAX]; /* bytes; each takes a multiple of 4 in the key */
};

/* From key to end, both included. */
struct nft_elem {
	uint8_t key[NFT_KEY_MAX], end[NFT_KEY_MAX];
};

struct nft_elems {
	char set[NFT_NAME_MAX];
	uint8_t key_len;
	struct nft_elem *elems; /* owned by the list */
	size_t n;
};

struct nft_object {
	char name[NFT_NAME_MAX];
	uint32_t type;	/* NFT_OBJECT_COUNTER, NFT_OBJECT_QUOTA */
	uint64_t bytes; /* of a quota: matches once more than these have passed */
};

enum nft_op_type {
	NFT_OP_TABLE, /* an owner table: it goes with the socket that made it */
	NFT_OP_CHAIN,
	NFT_OP_SET,
	NFT_OP_ELEMS,
	NFT_OP_OBJECT,
	NFT_OP_RULE, /* appended to its chain */
	_NFT_OP_MAX,
};

struct nft_op {
	enum nft_op_type type;
	uint8_t family; /* NFPROTO_INET, NFPROTO_ARP */
	char table[NFT_NAME_MAX];
	union {
		struct nft_chain chain;
		struct nft_set set;
		struct nft_elems elems;
		struct nft_object object;
		struct nft_rule rule;
	} u;
};

/* A zeroed struct is an empty list. The first failure is kept in `error`, and adding stops. */
struct nft_list {
	struct nft_op *ops;
	size_t n, size;
	int error; /* 0, -ENOMEM, -E2BIG, -EINVAL */
	/* what new objects get */
	uint8_t family;
	const char *table;
};

void nft_list_done(struct nft_list *l);

/* Sets family and table for what follows (the name is borrowed) and adds the table itself. */
void nft_add_table(struct nft_list *l, uint8_t family, const char *table);

void nft_add_base_chain(struct nft_list *l, const char *name, uint32_t hook, int32_t priority,
			uint32_t policy);
void nft_add_chain(struct nft_list *l, const char *name);
void nft_add_set(struct nft_list *l, const struct nft_set *s);
void nft_add_counter(struct nft_list *l, const char *name);
void nft_add_quota(struct nft_list *l, const char *name, uint64_t bytes);

/* Takes the malloc'ed elements over, on failure too. */
void nft_add_elems(struct nft_list *l, const char *set, uint8_t key_len,
		   struct nft_elem *consume_elems, size_t n);

/* A rule without expressions; NULL on failure, which every nft_x_* function takes in its stride. */
struct nft_rule *nft_add_rule(struct nft_list *l, const char *chain, const char *name);

/*
 * The expressions, appended to a rule. Fixed values: mistakes in them are programming errors.
 * "load" is reg 1 throughout, as `nft` does it.
 */
void nft_x_meta(struct nft_rule *r, uint32_t key, uint32_t reg);
void nft_x_meta_set(struct nft_rule *r, uint32_t key, uint32_t value);
void nft_x_payload(struct nft_rule *r, uint32_t base, uint32_t offset, uint32_t len, uint32_t reg);
void nft_x_cmp(struct nft_rule *r, uint32_t op, const void *data, size_t len);
void nft_x_mask(struct nft_rule *r, const void *mask, size_t len);
void nft_x_range(struct nft_rule *r, const void *from, const void *to, size_t len);
void nft_x_lookup(struct nft_rule *r, const char *set);
void nft_x_ct_state(struct nft_rule *r, uint32_t state_bits);
void nft_x_connlimit_over(struct nft_rule *r, uint32_t count);
void nft_x_limit(struct nft_rule *r, uint64_t packets_per_second, uint32_t burst);
void nft_x_limit_bytes_over(struct nft_rule *r, uint64_t bytes_per_second, uint32_t burst);
void nft_x_object(struct nft_rule *r, uint32_t type, const char *name);
void nft_x_log(struct nft_rule *r, uint16_t group, const char *prefix, uint32_t snaplen);
void nft_x_tproxy4(struct nft_rule *r, uint32_t addr_net, uint16_t port);
void nft_x_tproxy6(struct nft_rule *r, const struct in6_addr *addr, uint16_t port);
void nft_x_reject(struct nft_rule *r, uint32_t type, uint8_t code);
void nft_x_verdict(struct nft_rule *r, int32_t code, const char *chain);

/* Comparisons that come up everywhere, as `nft` composes them. */
void nft_m_iface(struct nft_rule *r, uint32_t key, uint32_t op, const char *ifname);
void nft_m_nfproto(struct nft_rule *r, uint8_t proto);
void nft_m_l4proto(struct nft_rule *r, uint8_t proto);
void nft_m_port(struct nft_rule *r, bool source, uint16_t port);
void nft_m_addr4(struct nft_rule *r, bool source, uint32_t op, uint32_t addr_net, unsigned prefix);
void nft_m_addr6(struct nft_rule *r, bool source, uint32_t op, const struct in6_addr *addr);

#endif
