/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The manager protocol's frames: what the CLI and the manager say to each other on one stream. */
#ifndef CONTRACTOR_MANAGER_PROTO_H
#define CONTRACTOR_MANAGER_PROTO_H

#include <stdint.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/loop.h"

#define PROTO_VERSION	  1
#define PROTO_PAYLOAD_MAX 65536
#define PROTO_HEADER_SIZE 8

enum proto_type {
	PROTO_CONTROL = 1, /* one JSON object with a "type" member */
	PROTO_LOG = 2,	   /* bytes of the build's output, as they came from the guest */
	PROTO_CONSOLE = 3, /* bytes of the worker's serial console */
	_PROTO_TYPE_MAX,
};

struct proto_frame {
	enum proto_type type;
	const char *data; /* into the caller's buffer, NUL-terminated only for proto_parse's JSON */
	size_t len;
};

/*
 * Pure: the first frame of `data`. The bytes it takes (header and payload) when one is complete, 0
 * when more are needed, -EBADMSG for a type, length or filler that the protocol does not have.
 */
ssize_t proto_decode(const char *data, size_t len, struct proto_frame *ret);

/* Appends one frame; payload <= PROTO_PAYLOAD_MAX. 0, -EINVAL, -ENOMEM or -E2BIG. */
int proto_encode(struct buf *out, enum proto_type type, const void *data, size_t len);

struct proto_conn;

struct proto_callbacks {
	void (*frame)(const struct proto_frame *f, void *user_data);
	/* End of file (code 0) or a broken stream (negative errno): once, and nothing after it. */
	void (*closed)(int code, const struct err *e, void *user_data);
	void (*drained)(void *user_data); /* all that was queued has been sent; may be NULL */
	void *user_data;
};

/* A framed connection over consume_fd (made non-blocking). 0 or a negative errno. */
int proto_conn_new(struct loop *l, int consume_fd, const struct proto_callbacks *cb,
		   struct proto_conn **ret);
struct proto_conn *proto_conn_free(struct proto_conn *c);

/* Queues bytes, split over frames as needed. 0 or a negative errno. */
int proto_send(struct proto_conn *c, enum proto_type type, const void *data, size_t len);

/* Queues a control message and frees it, also on failure (-EMSGSIZE: over one frame). */
int proto_send_json(struct proto_conn *c, cJSON *consume_msg);

/* Bytes queued and not yet sent. */
size_t proto_pending(const struct proto_conn *c);

/* Sends what is queued, waiting at most deadline_ms. 0, -ETIMEDOUT or a negative errno. */
int proto_flush(struct proto_conn *c, uint64_t deadline_ms);

#endif
