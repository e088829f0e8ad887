/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The frames by which many connections share one serial port of a manager VM. */
#ifndef CONTRACTOR_NET_MUX_FRAME_H
#define CONTRACTOR_NET_MUX_FRAME_H

#include <sys/types.h>

#include "dial.h"

#define MUX_HEADER_SIZE 8
#define MUX_PAYLOAD_MAX 65536U
#define MUX_STREAMS_MAX 2048U
#define MUX_WINDOW	131072U /* bytes of one direction of a stream that may be under way */
#define MUX_DATA_MAX	32768U	/* of a TCP stream in one frame, so that others have their turn */

enum mux_type {
	MUX_OPEN = 1, /* the guest asks: a dial request */
	MUX_REPLY,    /* the host's answer: a dial reply; after DIAL_OK data may flow */
	MUX_DATA,     /* bytes of a TCP stream; one whole datagram of a UDP stream */
	MUX_CREDIT,   /* so many more bytes may come */
	MUX_EOF,      /* no more data in this direction */
	MUX_CLOSE,    /* the sender's last frame for the stream; each side sends exactly one */
	_MUX_TYPE_MAX,
};

struct mux_frame {
	enum mux_type type;
	uint16_t stream;
	const uint8_t *data; /* into the caller's buffer */
	size_t len;
	uint32_t credit;	  /* of MUX_CREDIT: 1 to MUX_WINDOW */
	bool reset;		  /* of MUX_CLOSE: not all that was sent has arrived */
	struct dial_request open; /* of MUX_OPEN */
	struct dial_reply reply;  /* of MUX_REPLY */
};

/*
 * Pure: the first frame of `data`. The bytes that it takes when it is complete, 0 when more are
 * needed, -EBADMSG for what the protocol does not have.
 */
ssize_t mux_decode(const uint8_t *data, size_t len, struct mux_frame *ret);

/* Writes a header. */
void mux_encode_header(enum mux_type type, uint16_t stream, size_t len,
		       uint8_t out[MUX_HEADER_SIZE]);

/* Writes a whole frame that is none of data; its length. */
size_t mux_encode(const struct mux_frame *f, uint8_t out[MUX_HEADER_SIZE + DIAL_MESSAGE_MAX]);

#endif
