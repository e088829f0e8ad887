/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The codec of the multiplexed port: pure. */
/*
 *	 0      1      2        4               8
 *	+------+------+--------+---------------+-------------
 *	| type | zero | stream | payload bytes | payload ...
 *	+------+------+--------+---------------+-------------
 *
 * All integers big endian. Payloads: OPEN and REPLY a message of dial.h, DATA at most 65536 bytes,
 * CREDIT a 32-bit number, EOF nothing, CLOSE one byte (0 clean, 1 reset).
 */
#include "mux-frame.h"

#include <errno.h>

static uint32_t get_u32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put_u32(uint8_t *p, uint32_t v)
{
	for (int i = 3; i >= 0; i--, v >>= 8)
		p[i] = (uint8_t)v;
}

static size_t payload_max(enum mux_type t)
{
	switch (t) {
	case MUX_OPEN:
	case MUX_REPLY:
		return DIAL_MESSAGE_MAX;
	case MUX_DATA:
		return MUX_PAYLOAD_MAX;
	case MUX_CREDIT:
		return 4;
	case MUX_CLOSE:
		return 1;
	case MUX_EOF:
	case _MUX_TYPE_MAX:
		break;
	}
	return 0;
}

static int decode_dial(struct mux_frame *f)
{
	struct dial_message m;

	if (dial_decode(f->data, f->len, &m) < 0 ||
	    m.kind != (f->type == MUX_OPEN ? DIAL_KIND_REQUEST : DIAL_KIND_REPLY))
		return -EBADMSG;
	f->open = m.request;
	f->reply = m.reply;
	return 0;
}

static int decode_payload(struct mux_frame *f)
{
	switch (f->type) {
	case MUX_OPEN:
	case MUX_REPLY:
		return decode_dial(f);
	case MUX_CREDIT:
		if (f->len != 4)
			return -EBADMSG;
		f->credit = get_u32(f->data);
		return f->credit > 0 && f->credit <= MUX_WINDOW ? 0 : -EBADMSG;
	case MUX_CLOSE:
		if (f->len != 1 || f->data[0] > 1)
			return -EBADMSG;
		f->reset = f->data[0] == 1;
		return 0;
	case MUX_DATA:
	case MUX_EOF:
	case _MUX_TYPE_MAX:
		break;
	}
	return 0;
}

ssize_t mux_decode(const uint8_t *data, size_t len, struct mux_frame *ret)
{
	struct mux_frame f = {0};

	if (len < MUX_HEADER_SIZE)
		return 0;
	if (data[0] < MUX_OPEN || data[0] >= _MUX_TYPE_MAX || data[1])
		return -EBADMSG;
	f.type = (enum mux_type)data[0];
	f.stream = (uint16_t)(data[2] << 8 | data[3]);
	f.len = get_u32(data + 4);
	f.data = data + MUX_HEADER_SIZE;
	if (f.stream >= MUX_STREAMS_MAX || f.len > payload_max(f.type))
		return -EBADMSG;
	if (len - MUX_HEADER_SIZE < f.len)
		return 0;
	if (decode_payload(&f) < 0)
		return -EBADMSG;
	*ret = f;
	return (ssize_t)(MUX_HEADER_SIZE + f.len);
}

void mux_encode_header(enum mux_type type, uint16_t stream, size_t len,
		       uint8_t out[MUX_HEADER_SIZE])
{
	out[0] = (uint8_t)type;
	out[1] = 0;
	out[2] = (uint8_t)(stream >> 8);
	out[3] = (uint8_t)stream;
	put_u32(out + 4, (uint32_t)len);
}

size_t mux_encode(const struct mux_frame *f, uint8_t out[MUX_HEADER_SIZE + DIAL_MESSAGE_MAX])
{
	struct dial_message m = {.kind = DIAL_KIND_REQUEST, .request = f->open};
	uint8_t *payload = out + MUX_HEADER_SIZE;
	size_t len = 0;

	switch (f->type) {
	case MUX_REPLY:
		m = (struct dial_message){.kind = DIAL_KIND_REPLY, .reply = f->reply};
		len = dial_encode(&m, payload);
		break;
	case MUX_OPEN:
		len = dial_encode(&m, payload);
		break;
	case MUX_CREDIT:
		len = 4;
		put_u32(payload, f->credit);
		break;
	case MUX_CLOSE:
		len = 1;
		payload[0] = f->reset;
		break;
	case MUX_EOF:
	case MUX_DATA: /* which has a header alone here */
	case _MUX_TYPE_MAX:
		break;
	}
	mux_encode_header(f->type, f->stream, len, out);
	return MUX_HEADER_SIZE + len;
}
