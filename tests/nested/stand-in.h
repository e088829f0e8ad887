/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How a program in contractor-manager's place talks to the command line. */
#ifndef CONTRACTOR_TESTS_NESTED_STAND_IN_H
#define CONTRACTOR_TESTS_NESTED_STAND_IN_H

#include "manager/proto.h"

/* The descriptors that it is started with, as the real one. */
enum {
	STAND_IN_CONTROL = 3,
	STAND_IN_IMAGE,
	STAND_IN_INPUT,
	STAND_IN_OUTPUT,
	STAND_IN_SCRATCH,
	STAND_IN_DIALER,
};

/* A frame; blocks until it is written, and says nothing of errors. */
void stand_in_out(enum proto_type type, const void *data, size_t n);

/* A control message. */
void stand_in_say(const char *json);

#endif
