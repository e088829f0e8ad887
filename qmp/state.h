/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The state of a machine's devices to a file and back, its memory being a file of its own. */
#ifndef CONTRACTOR_QMP_STATE_H
#define CONTRACTOR_QMP_STATE_H

#include "qmp.h"

struct qmp_state;

/* Once: 0, or a negative errno with the step that failed. Freeing the state in it is legal. */
typedef void (*qmp_state_fn)(int code, const struct err *e, void *user_data);

/*
 * Save: stops the machine and writes its state to the open file fd, from the present offset on;
 * the machine stays stopped. Load: reads it, in a QEMU that was started with -incoming defer, and
 * lets the machine run. Both leave out memory that is a shared file (x-ignore-shared, which QEMU
 * may not have). fd stays the caller's, who hands on the events of q and frees *ret, after q. The
 * commands have deadline_ms each; for the whole the caller has one. 0 or a negative errno (then fn
 * is not called).
 */
int qmp_state_save(struct qmp *q, int fd, uint64_t deadline_ms, qmp_state_fn fn, void *user_data,
		   struct qmp_state **ret);
int qmp_state_load(struct qmp *q, int fd, uint64_t deadline_ms, qmp_state_fn fn, void *user_data,
		   struct qmp_state **ret);

/* An event of the connection; s may be NULL. */
void qmp_state_event(struct qmp_state *s, const char *name, const cJSON *data);

/* Accepts NULL; returns NULL. */
struct qmp_state *qmp_state_free(struct qmp_state *s);
CLEANUP_FUNC(qmp_state_free, struct qmp_state)

#endif
