/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Frames to the command line. */
#include "stand-in.h"

#include "base/io.h"

void stand_in_out(enum proto_type type, const void *data, size_t n)
{
	_cleanup_buf_ struct buf b = {0};

	if (proto_encode(&b, type, data, n) == 0)
		(void)io_write_full(STAND_IN_CONTROL, b.data, b.len);
}

void stand_in_say(const char *json)
{
	stand_in_out(PROTO_CONTROL, json, strlen(json));
}
