/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One direction of a connection that is passed on: by the shared buffer, or by a pipe. */
/*
 * Copies through one shared buffer at first, which costs a short connection nothing; a stream
 * that keeps filling it goes through a pipe by splice, which saves a third of the CPU time.
 */
#include "copy.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/io.h"

#define ROUNDS	    4 /* buffers that one direction may move before others have their turn */
#define SPLICE_FROM 4 /* full buffers in a row after which a pipe is worth its making */

void half_init(struct half *h)
{
	*h = (struct half){.pipe = {-1, -1}};
}

static void close_pipe(struct copier *c, struct half *h)
{
	if (h->pipe[0] < 0)
		return;
	fd_close(&h->pipe[0]);
	fd_close(&h->pipe[1]);
	h->piped = 0;
	c->pipes--;
}

void half_done(struct copier *c, struct half *h)
{
	close_pipe(c, h);
	free(h->rest);
	h->rest = NULL;
}

void half_rest(struct copier *c, struct half *h)
{
	h->full = 0;
	if (h->piped == 0)
		close_pipe(c, h);
}

bool half_wants_output(const struct half *h)
{
	return h->rest || h->piped > 0;
}

bool half_wants_input(const struct half *h)
{
	return !h->eof && !h->throttled && !half_wants_output(h);
}

/* Offers what is held again. 1: all gone, 0: not yet, or a negative errno. */
static int flush(struct half *h, int to)
{
	while (h->rest) {
		ssize_t n = send(to, h->rest + h->rest_off, h->rest_len - h->rest_off,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		h->rest_off += (size_t)n;
		if (h->rest_off == h->rest_len) {
			free(h->rest);
			h->rest = NULL;
		}
	}
	while (h->piped > 0) {
		ssize_t n = splice(h->pipe[0], NULL, to, NULL, h->piped,
				   SPLICE_F_NONBLOCK | SPLICE_F_MOVE);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		if (n == 0)
			return -EPIPE;
		h->piped -= (size_t)n;
	}
	return 1;
}

/* Sends what was read; what does not fit is kept. 1: all gone, 0: kept, or a negative errno. */
static int pass_on(struct half *h, int to, const uint8_t *data, size_t len)
{
	ssize_t n = send(to, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return -errno;
	if (n < 0)
		n = 0;
	if ((size_t)n == len)
		return 1;
	h->rest_len = len - (size_t)n;
	h->rest_off = 0;
	h->rest = malloc(h->rest_len);
	if (!h->rest)
		return -ENOMEM;
	memcpy(h->rest, data + n, h->rest_len);
	return 0;
}

/* The total is used up: is there more to pass? 0: the end of the stream, -EAGAIN, or -EDQUOT. */
static int beyond_total(int from)
{
	char byte;
	ssize_t n = recv(from, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	return n == 0 ? 0 : -EDQUOT;
}

/* A pipe, if this direction has earned one and there is one to have. */
static bool has_pipe(struct copier *c, struct half *h)
{
	if (h->pipe[0] >= 0)
		return true;
	if (h->full < SPLICE_FROM || h->no_splice || c->pipes >= COPY_PIPES_MAX ||
	    pipe2(h->pipe, O_CLOEXEC | O_NONBLOCK) < 0)
		return false;
	c->pipes++;
	return true;
}

/* Takes in up to `max` bytes. The count, 0 at the end, or a negative errno (-EAGAIN: not now). */
static ssize_t take_in(struct copier *c, struct half *h, int from, size_t max)
{
	ssize_t n;

	if (has_pipe(c, h)) {
		n = splice(from, NULL, h->pipe[1], NULL, max, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
		if (n > 0)
			h->piped = (size_t)n;
		if (n >= 0 || errno != EINVAL)
			return n < 0 ? (errno == EINTR ? -EAGAIN : -errno) : n;
		h->no_splice = true;
		close_pipe(c, h);
	}
	n = recv(from, c->buffer, max, MSG_DONTWAIT);
	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	h->full = (size_t)n == sizeof(c->buffer) ? h->full + 1 : 0;
	return n;
}

/* One buffer's worth, if the meter allows it; as take_in, and -EDQUOT. */
static ssize_t read_some(struct copier *c, enum meter_dir d, struct half *h, int from,
			 uint64_t *count)
{
	size_t allowed = meter_allow(&c->meter, d, COPY_BUFFER, io_now_ms());
	ssize_t n;

	if (allowed == 0 && meter_left(&c->meter) == 0)
		return beyond_total(from);
	if (allowed == 0) {
		h->throttled = true;
		return -EAGAIN;
	}
	n = take_in(c, h, from, allowed);
	if (n > 0) {
		meter_use(&c->meter, d, (size_t)n);
		*count += (uint64_t)n;
	}
	return n;
}

bool copy_hung_up(int fd)
{
	struct pollfd p = {.fd = fd};

	return poll(&p, 1, 0) > 0 && p.revents & POLLHUP;
}

int half_run(struct copier *c, enum meter_dir d, struct half *h, const struct half *back, int from,
	     int to, uint64_t *count)
{
	int rc = flush(h, to);

	for (int i = 0; i < ROUNDS && rc == 1 && !h->eof && !h->throttled; i++) {
		ssize_t n = read_some(c, d, h, from, count);

		if (n == -EAGAIN)
			break;
		if (n < 0)
			return (int)n;
		/* A local socket's end and its reset look alike but for this. */
		if (n == 0 && !back->shut && copy_hung_up(from))
			return -ECONNRESET;
		if (n == 0) {
			h->eof = true;
		} else if (h->piped > 0) {
			rc = flush(h, to);
		} else {
			rc = pass_on(h, to, c->buffer, (size_t)n);
			if (n < COPY_BUFFER) /* that was all: epoll tells of more */
				break;
		}
	}
	if (rc < 0)
		return rc;
	if (h->eof && !half_wants_output(h) && !h->shut) {
		h->shut = true;
		if (shutdown(to, SHUT_WR) < 0 && errno != ENOTCONN)
			return -errno;
	}
	return 0;
}
