/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The QMP client: one non-blocking connection in an event loop. */
#ifndef CONTRACTOR_QMP_QMP_H
#define CONTRACTOR_QMP_QMP_H

#include <stdint.h>

#include "base/json.h"
#include "base/loop.h"

#define QMP_LINE_MAX (16 * MIB)

struct qmp;

/*
 * The answer to a command: `code` 0 and `ret` the "return" value (borrowed), or a negative errno
 * and the text in e: -EIO with QEMU's desc, -ENOSYS for class CommandNotFound, -ENODEV for
 * DeviceNotActive, -ETIMEDOUT, -ECONNRESET when the connection ended first, -ECANCELED by qmp_free.
 */
typedef void (*qmp_reply_fn)(int code, const cJSON *ret, const struct err *e, void *user_data);

/* An event; `data` may be NULL (borrowed). */
typedef void (*qmp_event_fn)(const char *name, const cJSON *data, void *user_data);

/*
 * The connection is over (end of file, protocol error, overlong line): called once, last, and
 * before the socket is closed, so that the other end does not know of it yet unless it was the one
 * to end.
 */
typedef void (*qmp_closed_fn)(const struct err *why, void *user_data);

struct qmp_callbacks {
	qmp_event_fn event;
	qmp_closed_fn closed;
	void *user_data;
};

/*
 * Takes over consume_fd (a stream socket, made non-blocking). Commands may be queued at once; they
 * are sent after the greeting and qmp_capabilities, which have deadline_ms. 0 or a negative errno.
 */
int qmp_new(struct loop *l, int consume_fd, uint64_t deadline_ms, const struct qmp_callbacks *cb,
	    struct qmp **ret, struct err *e);

/* Cancels what is pending (callbacks run with -ECANCELED) and closes. NULL is fine; returns NULL.
 */
struct qmp *qmp_free(struct qmp *q);
CLEANUP_FUNC(qmp_free, struct qmp)

/*
 * Queues a command. consume_args (may be NULL) becomes "arguments"; fn may be NULL. The deadline
 * counts from now. 0 or a negative errno (then fn is not called).
 */
int qmp_command(struct qmp *q, const char *name, cJSON *consume_args, uint64_t deadline_ms,
		qmp_reply_fn fn, void *user_data);

/* The same with one descriptor sent along (SCM_RIGHTS, for getfd and add-fd), closed when sent. */
int qmp_command_fd(struct qmp *q, const char *name, cJSON *consume_args, int consume_fd,
		   uint64_t deadline_ms, qmp_reply_fn fn, void *user_data);

#endif
