/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bytes both ways between two descriptors: the manager has a socket, the host a serial port. */
#ifndef CONTRACTOR_FIRMWARE_PUMP_H
#define CONTRACTOR_FIRMWARE_PUMP_H

#include <poll.h>
#include <stdbool.h>

#include "base/macro.h"

#define PUMP_SIZE 65536

/* One direction. */
struct pump_way {
	char data[PUMP_SIZE];
	size_t at, len; /* data[at..len) is still to be written */
	bool ended;	/* nothing comes any more, or nobody takes it */
};

struct pump {
	int port, sock;		 /* both non-blocking */
	struct pump_way in, out; /* from the port, to the port */
	bool hung_up;		 /* the host has closed the port */
};

/* What to poll for: p[0] is the port, p[1] the socket. */
void pump_prepare(const struct pump *p, struct pollfd fds[2]);

/* Moves what can be moved after a poll. Never blocks. */
void pump_step(struct pump *p, const struct pollfd fds[2]);

/* True when all that came from the socket up to its end has been taken by the port. */
bool pump_drained(const struct pump *p);

#endif
