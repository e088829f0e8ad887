/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Both ends of a multiplexed port: streams between sockets, each with a window of its own. */
#ifndef CONTRACTOR_NET_MUX_H
#define CONTRACTOR_NET_MUX_H

#include "base/loop.h"
#include "meter.h"
#include "mux-frame.h"

struct mux;
struct mux_stream;

struct mux_ops {
	/* The host's: the guest asks for a connection; mux_reply answers, now or later. NULL: a
	 * guest. */
	void (*open)(struct mux_stream *s, const struct dial_request *rq, void *user_data);
	/* The guest's: the answer. With DIAL_OK mux_attach may follow, or mux_close; else the
	 * stream is at its end. */
	void (*reply)(struct mux_stream *s, const struct dial_reply *reply, void *user_data);
	/* The other side has given a stream up that has no socket yet; it must be forgotten. */
	void (*gone)(struct mux_stream *s, void *user_data);
	/* The host's, may be NULL: how many of these bytes may pass now (0: ask again soon). */
	size_t (*allow)(enum meter_dir dir, size_t want, void *user_data);
	/* The host's, may be NULL: bytes that have come or that pass. */
	void (*count)(enum meter_dir dir, size_t n, void *user_data);
	/* The port has ended (0) or does not keep to the protocol (negative errno); once. */
	void (*ended)(int code, void *user_data);
};

/*
 * Serves the port (a stream socket or a character device; the caller's, made non-blocking). The
 * callbacks must not free the mux. What it holds is bounded: MUX_WINDOW bytes for each stream,
 * and about 1 MiB for the port. 0 or a negative errno.
 */
int mux_new(struct loop *l, int port, const struct mux_ops *ops, void *user_data, struct mux **ret);

/* The guest's: asks for a connection. NULL: too many streams, or no memory. */
struct mux_stream *mux_open(struct mux *m, const struct dial_request *rq);

/* The host's: answers an open. consume_fd is the connected socket of a DIAL_OK, else -1. */
void mux_reply(struct mux_stream *s, const struct dial_reply *reply, int consume_fd);

/*
 * The guest's, after DIAL_OK: the socket whose bytes are the stream's: TCP, or SOCK_SEQPACKET for
 * datagrams.
 */
void mux_attach(struct mux_stream *s, int consume_fd);

/* Gives a stream up; it must be forgotten. */
void mux_close(struct mux_stream *s);

/* A number that the caller keeps with a stream. */
void mux_set_tag(struct mux_stream *s, uint64_t tag);
uint64_t mux_tag(const struct mux_stream *s);

bool mux_is_udp(const struct mux_stream *s);

/* The user_data of the stream's mux. */
void *mux_user_data(const struct mux_stream *s);

/* The stream that has this number and no socket yet; NULL: none. */
struct mux_stream *mux_find(struct mux *m, uint64_t tag);

/* Closes all sockets. Accepts NULL; returns NULL. */
struct mux *mux_free(struct mux *m);
CLEANUP_FUNC(mux_free, struct mux)

#endif
