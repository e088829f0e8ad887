/* SPDX-License-Identifier: GPL-3.0-or-later */
/* DNS messages as values: one question in, one short answer out. Pure; no memory is allocated. */
#ifndef CONTRACTOR_NET_DNS_H
#define CONTRACTOR_NET_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DNS_WIRE_NAME_MAX  255
#define DNS_TEXT_NAME_MAX  (4 * DNS_WIRE_NAME_MAX) /* every byte as \ddd, and the NUL */
#define DNS_ADDITIONAL_MAX 4	/* records after the question that we are ready to skip */
#define DNS_QUERY_MAX	   4096 /* longer messages are refused unread */
#define DNS_ANSWER_MAX	   320	/* header, question, one A record, OPT: at most 298 */

enum dns_rcode {
	DNS_NOERROR = 0,
	DNS_FORMERR = 1,
	DNS_SERVFAIL = 2,
	DNS_NXDOMAIN = 3,
	DNS_NOTIMP = 4,
	DNS_REFUSED = 5,
	DNS_BADVERS = 16, /* of EDNS */
	_DNS_RCODE_MAX,
};

enum dns_type {
	DNS_TYPE_A = 1,
	DNS_TYPE_SOA = 6,
	DNS_TYPE_PTR = 12,
	DNS_TYPE_MX = 15,
	DNS_TYPE_TXT = 16,
	DNS_TYPE_AAAA = 28,
	DNS_TYPE_SRV = 33,
	DNS_TYPE_OPT = 41,
	DNS_TYPE_HTTPS = 65,
	DNS_TYPE_IXFR = 251,
	DNS_TYPE_AXFR = 252,
	DNS_TYPE_ANY = 255,
};

#define DNS_CLASS_IN 1

/* A query as it was understood. When `rcode` is set, that is the whole answer it deserves. */
struct dns_query {
	uint16_t id;
	uint16_t flags; /* as received */
	enum dns_rcode rcode;
	bool has_question; /* wire, name, type and class are valid */
	uint8_t wire[DNS_WIRE_NAME_MAX];
	size_t wire_len;
	char name[DNS_TEXT_NAME_MAX]; /* printable; odd bytes as \ddd; "." is the root */
	uint16_t type, class;
	bool edns;
};

/* What is answered: the code, and with DNS_NOERROR perhaps one address. */
struct dns_answer {
	enum dns_rcode rcode;
	bool has_address;
	uint8_t address[4];
	uint32_t ttl;
};

/*
 * Reads a message from the guest. 0 with *ret filled (see rcode), or -EBADMSG: not a query at all
 * (too short for a header, or a response), to be dropped without a word.
 */
int dns_decode(const uint8_t *msg, size_t len, struct dns_query *ret);

/*
 * Writes the answer, the question's own case kept; the rcode of the query goes before that of the
 * answer. Its length, at most the question's plus 16 and DNS_ANSWER_MAX; 0 if size is too small.
 */
size_t dns_encode(const struct dns_query *q, const struct dns_answer *a, uint8_t *out, size_t size);

/* "A", "AAAA", "TYPE64"; returns out. */
char *dns_type_text(uint16_t type, char out[16]);

#endif
