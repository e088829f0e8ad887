/* SPDX-License-Identifier: GPL-3.0-or-later */
/* DNS messages: reads one question, writes one short answer. */
/*
 * RFC 1035 section 4, and RFC 6891 for EDNS:
 *
 *   header    id:16 | QR:1 opcode:4 AA:1 TC:1 RD:1 | RA:1 Z:1 AD:1 CD:1 rcode:4 |
 *             questions:16 | answers:16 | authorities:16 | additionals:16
 *   question  name | type:16 | class:16
 *   record    name | type:16 | class:16 | ttl:32 | length:16 | data
 *   name      (length:8 bytes)* 0, or two bytes 11xxxxxx xxxxxxxx that point to an earlier one
 *   OPT       name 0 | type 41 | class: UDP size | ttl: rcode:8 version:8 flags:16 | length | data
 */
#include "dns.h"

#include <errno.h>

#include "base/macro.h"

#define HEADER_LEN 12
#define FLAG_QR	   0x8000U
#define FLAG_OP	   0x7800U
#define FLAG_TC	   0x0200U
#define FLAG_RD	   0x0100U
#define FLAG_RA	   0x0080U
#define FLAG_CD	   0x0010U
#define OUR_UDP	   1232 /* what we take by UDP, told in our OPT */

/* Bytes not read yet. */
struct reader {
	const uint8_t *p;
	size_t left;
};

static bool get_u16(struct reader *r, uint16_t *ret)
{
	if (r->left < 2)
		return false;
	*ret = (uint16_t)(r->p[0] << 8 | r->p[1]);
	r->p += 2;
	r->left -= 2;
	return true;
}

static bool skip(struct reader *r, size_t n)
{
	if (r->left < n)
		return false;
	r->p += n;
	r->left -= n;
	return true;
}

/* A name without pointers: the first name of a message has nothing before it to point to. */
static bool get_name(struct reader *r, uint8_t wire[DNS_WIRE_NAME_MAX], size_t *ret_len)
{
	size_t len = 0;

	for (;;) {
		uint8_t n;

		if (r->left == 0 || r->p[0] > 63)
			return false;
		n = r->p[0];
		if (r->left < n + 1U || len + n + 1U > DNS_WIRE_NAME_MAX)
			return false;
		memcpy(wire + len, r->p, n + 1U);
		len += n + 1U;
		(void)skip(r, n + 1U);
		if (n == 0)
			break;
	}
	*ret_len = len;
	return true;
}

/* The same for additional records, whose names nobody needs; a pointer ends a name. */
static bool skip_name(struct reader *r)
{
	for (size_t len = 0; len < DNS_WIRE_NAME_MAX;) {
		uint8_t n;

		if (r->left == 0)
			return false;
		n = r->p[0];
		if (n >= 0xc0)
			return skip(r, 2);
		if (n > 63 || !skip(r, n + 1U))
			return false;
		if (n == 0)
			return true;
		len += n + 1U;
	}
	return false;
}

/* Presentation form; `out` has room for every byte as \ddd. */
static void name_to_text(const uint8_t *wire, char out[DNS_TEXT_NAME_MAX])
{
	size_t o = 0;

	if (wire[0] == 0)
		out[o++] = '.';
	while (*wire) {
		uint8_t n = *wire++;

		for (; n > 0; n--, wire++) {
			uint8_t c = *wire;

			if (c > 0x20 && c < 0x7f && c != '.' && c != '\\') {
				out[o++] = (char)c;
				continue;
			}
			out[o++] = '\\';
			out[o++] = (char)('0' + c / 100);
			out[o++] = (char)('0' + c / 10 % 10);
			out[o++] = (char)('0' + c % 10);
		}
		if (*wire)
			out[o++] = '.';
	}
	out[o] = '\0';
}

static bool get_question(struct reader *r, struct dns_query *q)
{
	if (!get_name(r, q->wire, &q->wire_len) || !get_u16(r, &q->type) || !get_u16(r, &q->class))
		return false;
	name_to_text(q->wire, q->name);
	q->has_question = true;
	return true;
}

/* One additional record; of OPT the version is looked at, the rest says nothing to us. */
static enum dns_rcode get_additional(struct reader *r, struct dns_query *q)
{
	bool root = r->left > 0 && r->p[0] == 0;
	uint16_t type, class, ttl_high, ttl_low, len;

	if (!skip_name(r) || !get_u16(r, &type) || !get_u16(r, &class) || !get_u16(r, &ttl_high) ||
	    !get_u16(r, &ttl_low) || !get_u16(r, &len) || !skip(r, len))
		return DNS_FORMERR;
	if (type != DNS_TYPE_OPT)
		return DNS_NOERROR;
	if (q->edns || !root)
		return DNS_FORMERR;
	q->edns = true;
	return (ttl_high & 0xff) == 0 ? DNS_NOERROR : DNS_BADVERS;
}

int dns_decode(const uint8_t *msg, size_t len, struct dns_query *ret)
{
	struct reader r = {msg, len};
	uint16_t id, flags, questions, answers, authorities, additionals;

	if (!get_u16(&r, &id) || !get_u16(&r, &flags) || !get_u16(&r, &questions) ||
	    !get_u16(&r, &answers) || !get_u16(&r, &authorities) || !get_u16(&r, &additionals))
		return -EBADMSG;
	if (flags & FLAG_QR)
		return -EBADMSG;
	*ret = (struct dns_query){.id = id, .flags = flags, .rcode = DNS_FORMERR};
	if (flags & FLAG_OP) {
		ret->rcode = DNS_NOTIMP;
		return 0;
	}
	if (questions != 1 || answers || authorities || additionals > DNS_ADDITIONAL_MAX ||
	    flags & FLAG_TC || !get_question(&r, ret))
		return 0;
	ret->rcode = DNS_NOERROR;
	for (uint16_t i = 0; i < additionals && ret->rcode == DNS_NOERROR; i++)
		ret->rcode = get_additional(&r, ret);
	if (ret->rcode == DNS_NOERROR && r.left > 0)
		ret->rcode = DNS_FORMERR;
	return 0;
}

static uint8_t *put_u16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
	return p + 2;
}

size_t dns_encode(const struct dns_query *q, const struct dns_answer *a, uint8_t *out, size_t size)
{
	enum dns_rcode rcode = q->rcode == DNS_NOERROR ? a->rcode : q->rcode;
	bool address = rcode == DNS_NOERROR && a->has_address && q->has_question;
	size_t len = HEADER_LEN + (q->has_question ? q->wire_len + 4 : 0) + (address ? 16 : 0) +
		     (q->edns ? 11 : 0);
	uint8_t *p = out;

	if (len > size)
		return 0;
	p = put_u16(p, q->id);
	p = put_u16(p, FLAG_QR | (q->flags & (FLAG_OP | FLAG_RD | FLAG_CD)) | FLAG_RA |
			       ((unsigned)rcode & 0xf));
	p = put_u16(p, q->has_question);
	p = put_u16(p, address ? 1 : 0);
	p = put_u16(p, 0);
	p = put_u16(p, q->edns);
	if (q->has_question) {
		memcpy(p, q->wire, q->wire_len);
		p = put_u16(p + q->wire_len, q->type);
		p = put_u16(p, q->class);
	}
	if (address) {
		p = put_u16(p, 0xc000 | HEADER_LEN);
		p = put_u16(p, DNS_TYPE_A);
		p = put_u16(p, DNS_CLASS_IN);
		p = put_u16(p, a->ttl >> 16);
		p = put_u16(p, a->ttl & 0xffff);
		p = put_u16(p, sizeof(a->address));
		memcpy(p, a->address, sizeof(a->address));
		p += sizeof(a->address);
	}
	if (q->edns) {
		*p++ = 0;
		p = put_u16(p, DNS_TYPE_OPT);
		p = put_u16(p, OUR_UDP);
		p = put_u16(p, ((unsigned)rcode >> 4) << 8); /* version 0 */
		p = put_u16(p, 0);
		(void)put_u16(p, 0);
	}
	return len;
}

char *dns_type_text(uint16_t type, char out[16])
{
	static const struct {
		uint16_t type;
		const char *name;
	} names[] = {
		{DNS_TYPE_A, "A"},	 {DNS_TYPE_SOA, "SOA"},	    {DNS_TYPE_PTR, "PTR"},
		{DNS_TYPE_MX, "MX"},	 {DNS_TYPE_TXT, "TXT"},	    {DNS_TYPE_AAAA, "AAAA"},
		{DNS_TYPE_SRV, "SRV"},	 {DNS_TYPE_HTTPS, "HTTPS"}, {DNS_TYPE_IXFR, "IXFR"},
		{DNS_TYPE_AXFR, "AXFR"}, {DNS_TYPE_ANY, "ANY"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (names[i].type == type) {
			(void)snprintf(out, 16, "%s", names[i].name);
			return out;
		}
	}
	(void)snprintf(out, 16, "TYPE%u", type);
	return out;
}
