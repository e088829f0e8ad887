/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the relay asks of the dialer, and the interface behind which the dialer may stand anywhere.
 */
#ifndef CONTRACTOR_NET_DIAL_H
#define CONTRACTOR_NET_DIAL_H

#include "meter.h"
#include "policy.h"

enum dial_code {
	DIAL_OK,
	DIAL_DENIED,	  /* by the rules, asked again outside: see the decision */
	DIAL_NO_NAME,	  /* the name does not exist or has no address */
	DIAL_NO_RESOLVER, /* the name could not be resolved now, or not in time */
	DIAL_REFUSED,
	DIAL_UNREACHABLE,
	DIAL_TIMEOUT,
	DIAL_BUSY, /* too many at once */
	DIAL_ERROR,
	DIAL_CANCELLED,
	DIAL_GONE, /* the dialer has ended; made by the client, never sent */
	_DIAL_CODE_MAX,
};

struct dial_request {
	uint32_t id; /* set by the client */
	enum net_phase phase;
	enum net_proto proto;
	uint16_t port;
	char name[NET_NAME_SIZE]; /* folded; empty: the literal `addr` */
	struct net_addr addr;
};

struct dial_reply {
	uint32_t id;
	enum dial_code code;
	int error;		      /* positive errno, 0 if none says more than the code */
	struct net_decision decision; /* with DIAL_DENIED */
	bool has_addr;
	struct net_addr addr; /* connected to, or refused */
};

/* Of a connection whose bytes the dialer passes on. */
struct dial_passed {
	uint32_t id;
	uint64_t bytes[_METER_DIR_MAX]; /* since the last one */
	bool ended;
};

/*
 * One message is one packet. `cancel` has an id alone; each request gets one reply, also then.
 * After `offer` a request may be a `pass`, with the worker's end of the connection: a DIAL_OK has
 * no descriptor then, and is followed by `passed`, the last one of which has `ended`.
 */
enum dial_kind {
	DIAL_KIND_REQUEST = 1,
	DIAL_KIND_CANCEL,
	DIAL_KIND_REPLY,
	DIAL_KIND_OFFER,
	DIAL_KIND_PASS,
	DIAL_KIND_PASSED,
};

struct dial_message {
	enum dial_kind kind;
	struct dial_request request; /* id alone with a cancel */
	struct dial_reply reply;
	struct dial_passed passed;
};

#define DIAL_MESSAGE_MAX 320

/* Writes the message; its length (at most DIAL_MESSAGE_MAX). */
size_t dial_encode(const struct dial_message *m, uint8_t out[DIAL_MESSAGE_MAX]);

/* Reads a message of exactly that length. 0 or -EBADMSG. */
int dial_decode(const uint8_t *data, size_t len, struct dial_message *ret);

/*
 * Sends it as one packet, with a descriptor where fd is not negative, and does not wait. 0, -EAGAIN
 * (no room, also for one more descriptor under way), or another negative errno.
 */
int dial_send(int sock, const struct dial_message *m, int fd);

/* "connection refused", to stand after "host: "; of DIAL_DENIED the decision says more. */
const char *dial_code_text(enum dial_code c);

/* The socket of a DIAL_OK is the callee's to close (non-blocking, close-on-exec); else -1. */
typedef void (*dial_done_fn)(const struct dial_reply *reply, int consume_fd, void *user_data);

typedef void (*dial_passed_fn)(const struct dial_passed *p, void *user_data);

/*
 * The dialer as the relay sees it: dial() gives an id and calls `done` once, later, unless it is
 * cancelled before. 0, -EBUSY or -EPIPE (then done is not called).
 *
 * pass() gives the worker's end away too, and all bytes: `done` gets no descriptor, and after a
 * DIAL_OK `passed` is called, until one has `ended`; cancel() ends it before, by a reset.
 */
struct dial_client {
	bool passes; /* pass() is there to be called */
	int (*dial)(struct dial_client *c, const struct dial_request *rq, dial_done_fn done,
		    void *user_data, uint32_t *ret_id);
	int (*pass)(struct dial_client *c, const struct dial_request *rq, int consume_fd,
		    dial_done_fn done, dial_passed_fn passed, void *user_data, uint32_t *ret_id);
	void (*cancel)(struct dial_client *c, uint32_t id);
};

#endif
