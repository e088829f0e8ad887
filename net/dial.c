/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The messages between relay and dialer. */
/*
 * All integers big endian; `form` says what the address field holds: 0 nothing, 4 or 6.
 *
 *   request  1 | phase:8 | proto:8 | form:8 | id:32 | port:16 | address:128 | name to the end
 *   cancel   2 | 0:24 | id:32
 *   reply    3 | code:8 | reason:8 | form:8 | id:32 | errno:16 | address:128 | rule:16 | class:8
 *   offer    4 | 0:56
 *   pass     5 | as request; with the worker's end as descriptor
 *   passed   6 | ended:8 | 0:16 | id:32 | up:64 | down:64
 */
#include "dial.h"

#include <errno.h>

#include "base/fds.h"

#define FIXED_LEN  26
#define REPLY_LEN  (FIXED_LEN + 3)
#define BARE_LEN   8 /* cancel, offer */
#define PASSED_LEN 24

static void put_u32(uint8_t *p, uint32_t v)
{
	for (int i = 3; i >= 0; i--, v >>= 8)
		p[i] = (uint8_t)v;
}

static uint32_t get_u32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put_u64(uint8_t *p, uint64_t v)
{
	put_u32(p, (uint32_t)(v >> 32));
	put_u32(p + 4, (uint32_t)v);
}

static uint64_t get_u64(const uint8_t *p)
{
	return (uint64_t)get_u32(p) << 32 | get_u32(p + 4);
}

static void put_u16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint16_t get_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

size_t dial_encode(const struct dial_message *m, uint8_t out[DIAL_MESSAGE_MAX])
{
	const struct dial_request *rq = &m->request;
	const struct dial_reply *rp = &m->reply;
	const struct net_addr *a = m->kind == DIAL_KIND_REPLY ? &rp->addr : &rq->addr;
	bool has_addr = m->kind == DIAL_KIND_REPLY ? rp->has_addr : !rq->name[0];
	uint8_t form = !has_addr ? 0 : (a->v6 ? 6 : 4);
	size_t n = 0;

	memset(out, 0, DIAL_MESSAGE_MAX);
	out[0] = (uint8_t)m->kind;
	switch (m->kind) {
	case DIAL_KIND_REQUEST:
	case DIAL_KIND_PASS:
		out[3] = form;
		n = strnlen(rq->name, sizeof(rq->name) - 1);
		out[1] = (uint8_t)rq->phase;
		out[2] = (uint8_t)rq->proto;
		put_u32(out + 4, rq->id);
		put_u16(out + 8, rq->port);
		memcpy(out + 10, a->b, has_addr ? 16 : 0);
		memcpy(out + FIXED_LEN, rq->name, n);
		return FIXED_LEN + n;
	case DIAL_KIND_CANCEL:
		put_u32(out + 4, rq->id);
		return BARE_LEN;
	case DIAL_KIND_OFFER:
		return BARE_LEN;
	case DIAL_KIND_PASSED:
		out[1] = m->passed.ended;
		put_u32(out + 4, m->passed.id);
		put_u64(out + 8, m->passed.bytes[METER_UP]);
		put_u64(out + 16, m->passed.bytes[METER_DOWN]);
		return PASSED_LEN;
	case DIAL_KIND_REPLY:
		out[3] = form;
		out[1] = (uint8_t)rp->code;
		out[2] = (uint8_t)rp->decision.reason;
		put_u32(out + 4, rp->id);
		put_u16(out + 8, (uint16_t)rp->error);
		memcpy(out + 10, a->b, has_addr ? 16 : 0);
		put_u16(out + FIXED_LEN, (uint16_t)rp->decision.rule);
		out[FIXED_LEN + 2] = (uint8_t)rp->decision.address;
		return REPLY_LEN;
	}
	return 0;
}

static int get_address(const uint8_t *data, struct net_addr *ret)
{
	static const uint8_t zeros[16];
	struct net_addr a = {.v6 = data[3] == 6};

	if (data[3] != 0 && data[3] != 4 && data[3] != 6)
		return -EBADMSG;
	memcpy(a.b, data + 10, 16);
	if (memcmp(a.b + (data[3] == 6 ? 16 : data[3]), zeros, data[3] == 6 ? 0 : 16U - data[3]) !=
	    0)
		return -EBADMSG;
	*ret = a;
	return 0;
}

static int decode_request(const uint8_t *data, size_t len, struct dial_request *ret)
{
	size_t n = len - FIXED_LEN;

	if (len < FIXED_LEN || n >= sizeof(ret->name))
		return -EBADMSG;
	if ((data[1] != NET_PHASE_PREPARE && data[1] != NET_PHASE_BUILD) ||
	    (data[2] != NET_PROTO_TCP && data[2] != NET_PROTO_UDP) || (data[3] == 0) != (n > 0) ||
	    memchr(data + FIXED_LEN, 0, n))
		return -EBADMSG;
	ret->phase = data[1];
	ret->proto = data[2];
	ret->id = get_u32(data + 4);
	ret->port = get_u16(data + 8);
	memcpy(ret->name, data + FIXED_LEN, n);
	return get_address(data, &ret->addr);
}

static int decode_reply(const uint8_t *data, size_t len, struct dial_reply *ret)
{
	uint16_t rule;

	if (len != REPLY_LEN || data[1] >= DIAL_GONE || data[2] >= _NET_REASON_MAX ||
	    data[FIXED_LEN + 2] >= _NET_ADDR_CLASS_MAX)
		return -EBADMSG;
	rule = get_u16(data + FIXED_LEN);
	if (rule >= NET_RULES_MAX && rule != UINT16_MAX)
		return -EBADMSG;
	ret->code = data[1];
	ret->id = get_u32(data + 4);
	ret->error = get_u16(data + 8);
	ret->decision.reason = data[2];
	ret->decision.rule = rule == UINT16_MAX ? -1 : rule;
	ret->decision.address = data[FIXED_LEN + 2];
	ret->has_addr = data[3] != 0;
	return get_address(data, &ret->addr);
}

static int decode_passed(const uint8_t *data, size_t len, struct dial_passed *ret)
{
	if (len != PASSED_LEN || data[1] > 1)
		return -EBADMSG;
	ret->ended = data[1];
	ret->id = get_u32(data + 4);
	ret->bytes[METER_UP] = get_u64(data + 8);
	ret->bytes[METER_DOWN] = get_u64(data + 16);
	return 0;
}

int dial_decode(const uint8_t *data, size_t len, struct dial_message *ret)
{
	struct dial_message m = {0};
	int r = -EBADMSG;

	if (len < BARE_LEN)
		return -EBADMSG;
	m.kind = data[0];
	switch (m.kind) {
	case DIAL_KIND_PASS:
	case DIAL_KIND_REQUEST:
		r = decode_request(data, len, &m.request);
		if (r == 0 && m.kind == DIAL_KIND_PASS && m.request.proto != NET_PROTO_TCP)
			r = -EBADMSG;
		break;
	case DIAL_KIND_REPLY:
		r = decode_reply(data, len, &m.reply);
		break;
	case DIAL_KIND_PASSED:
		r = decode_passed(data, len, &m.passed);
		break;
	case DIAL_KIND_CANCEL:
		m.request.id = get_u32(data + 4);
		r = len == BARE_LEN ? 0 : -EBADMSG;
		break;
	case DIAL_KIND_OFFER:
		r = len == BARE_LEN ? 0 : -EBADMSG;
		break;
	}
	if (r == 0)
		*ret = m;
	return r;
}

int dial_send(int sock, const struct dial_message *m, int fd)
{
	uint8_t data[DIAL_MESSAGE_MAX];
	struct iovec iov = {data, dial_encode(m, data)};
	ssize_t r = fds_send(sock, &iov, 1, &fd, fd >= 0, MSG_DONTWAIT);

	if (r == -ENOBUFS || r == -ETOOMANYREFS || r == -EINTR)
		return -EAGAIN;
	return r < 0 ? (int)r : 0;
}

const char *dial_code_text(enum dial_code c)
{
	switch (c) {
	case DIAL_OK:
		return "connected";
	case DIAL_DENIED:
		return "denied by the rules";
	case DIAL_NO_NAME:
		return "no such host";
	case DIAL_NO_RESOLVER:
		return "the name cannot be resolved now";
	case DIAL_REFUSED:
		return "connection refused";
	case DIAL_UNREACHABLE:
		return "host unreachable";
	case DIAL_TIMEOUT:
		return "no answer in time";
	case DIAL_BUSY:
		return "too many connections are being opened";
	case DIAL_ERROR:
		return "cannot connect";
	case DIAL_CANCELLED:
		return "given up";
	case DIAL_GONE:
		return "the dialer has ended";
	case _DIAL_CODE_MAX:
		break;
	}
	return "unknown";
}
