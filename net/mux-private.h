/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of the multiplexed port share among themselves. */
#ifndef CONTRACTOR_NET_MUX_PRIVATE_H
#define CONTRACTOR_NET_MUX_PRIVATE_H

#include "base/buf.h"
#include "mux.h"

struct mux_stream {
	struct mux *mux;
	uint16_t id;
	uint64_t tag;
	bool udp;
	bool answered; /* a reply has gone out, or come in */
	bool sent_eof, got_eof;
	bool shut;		    /* got_eof, and the socket has had all and been told */
	bool sent_close, got_close; /* with both the stream is over */
	int fd;			    /* -1: not yet, or not any more */
	struct loop_source *source;
	uint32_t events;
	uint32_t out_credit; /* bytes that we may send */
	uint32_t in_credit;  /* bytes that may come */
	uint32_t consumed;   /* taken by the socket, and not yet given back as credit */
	struct buf pending;  /* came, but not yet taken by the socket */
	size_t pending_at;
	bool waiting; /* for room in the port's queue, or for the meter */
	struct mux_stream *next_waiting;
};

struct mux {
	struct loop *loop;
	struct loop_source *source, *timer;
	int port;
	struct mux_ops ops;
	void *user_data;
	uint32_t events;
	struct buf in, out;
	size_t out_at; /* before it, all has been sent */
	bool ended, timing;
	struct mux_stream *waiting, *waiting_last;
	struct mux_stream *streams[MUX_STREAMS_MAX];
	size_t next_id; /* where to look for a free one */
};

/* Queues a frame that is none of data. */
void mux_send(struct mux *m, const struct mux_frame *f);

/* Ends the mux for this reason. */
void mux_end(struct mux *m, int code);

/* Whether there is room in the port's queue for data. */
bool mux_has_room(const struct mux *m);

/* Tells the loop what the port waits for now. */
void mux_update(struct mux *m);

/* The stream goes on when there is room again, or in a moment (soon). */
void mux_wait(struct mux_stream *s, bool soon);

/* Makes a stream and its place in the table. NULL: no memory. */
struct mux_stream *mux_stream_new(struct mux *m, uint16_t id, enum net_proto proto);

/* Frees it, its socket and its place. */
void mux_stream_free(struct mux_stream *s);

/* Frames for a stream. 0 or -EBADMSG. The stream may be gone after it. */
int mux_stream_frame(struct mux_stream *s, const struct mux_frame *f);

/* Gives it a socket and starts. */
void mux_stream_attach(struct mux_stream *s, int consume_fd);

/* Our last frame; then the stream is only waiting for the other side's. It may be gone after it. */
void mux_stream_close(struct mux_stream *s, bool reset);

/* Lets the loop know what the stream waits for. It may be gone after it. */
void mux_stream_update(struct mux_stream *s);

#endif
