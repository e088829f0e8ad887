/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One QMP line as a value: greeting, return, error or event. Pure, no input or output. */
#ifndef CONTRACTOR_QMP_MESSAGE_H
#define CONTRACTOR_QMP_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"

/* cJSON takes 64 bytes for a value of two characters: a line is also capped by its values. */
#define QMP_VALUES_MAX 1000000

enum qmp_kind {
	QMP_GREETING,
	QMP_RETURN,
	QMP_ERROR,
	QMP_EVENT,
	_QMP_KIND_MAX,
};

/* Strings and `body` belong to `tree`. */
struct qmp_message {
	enum qmp_kind kind;
	cJSON *tree;
	bool has_id;
	uint64_t id;	   /* of a return or an error, when it is one of our numbers */
	const cJSON *body; /* "return" or "data"; NULL where there is none */
	const char *name;  /* the event's */
	const char *class; /* the error's, "" when absent */
	const char *desc;
};

/*
 * Decodes one line of len bytes without its newline; line[len] must be NUL. 0 with a message for
 * qmp_message_done, -EBADMSG (no QMP message, with the reason), -E2BIG or -ENOMEM.
 */
int qmp_decode(const char *line, size_t len, struct qmp_message *ret, struct err *e);
void qmp_message_done(struct qmp_message *m);

/*
 * The length of the first line in data without its newline, or -EAGAIN when no newline is in it.
 * *scanned is how many bytes an earlier call has looked at already, and is brought up to date.
 */
ssize_t qmp_line(const char *data, size_t len, size_t *scanned);

/* The errno of an error class: -ENOSYS, -ENODEV, else -EIO. */
int qmp_class_code(const char *class);

#endif
