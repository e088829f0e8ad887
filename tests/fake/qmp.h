/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The other end of a QMP connection, under a test's control: it says what the test wants said. */
#ifndef CONTRACTOR_TESTS_FAKE_QMP_H
#define CONTRACTOR_TESTS_FAKE_QMP_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/loop.h"

#define FAKE_QMP_GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": [\"oob\"]}}\r\n"

struct fake_qmp {
	int fd;
	struct buf in;
	int got_fd; /* the last descriptor that came along, or -1 */
};

/* Makes the pair; the client's end in *ret_client. The test fails when it cannot. */
void fake_qmp_init(struct fake_qmp *f, int *ret_client);
void fake_qmp_done(struct fake_qmp *f);

/* Writes all of a text (or n bytes), running the loop whenever the socket is full. */
void fake_qmp_say(struct fake_qmp *f, struct loop *l, const char *text);
void fake_qmp_say_n(struct fake_qmp *f, struct loop *l, const char *data, size_t n);

/* The next line that the client wrote, without its newline, into out; runs the loop meanwhile. */
void fake_qmp_hear(struct fake_qmp *f, struct loop *l, char *out, size_t size);

/* True if the client has written nothing that was not heard. */
bool fake_qmp_quiet(const struct fake_qmp *f);

/* Greeting and capabilities as QEMU does them. */
void fake_qmp_shake(struct fake_qmp *f, struct loop *l);

#endif
