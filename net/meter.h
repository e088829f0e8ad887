/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rate and total of a build's traffic: a token bucket for each direction, one exact count of both.
 */
#ifndef CONTRACTOR_NET_METER_H
#define CONTRACTOR_NET_METER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum meter_dir {
	METER_UP, /* from the worker */
	METER_DOWN,
	_METER_DIR_MAX,
};

/* A plain value. What is counted is payload: no headers, no retransmissions. */
struct meter {
	uint64_t rate;	/* bytes a second in each direction, 0: no limit */
	uint64_t total; /* bytes in both together, 0: no limit */
	uint64_t used[_METER_DIR_MAX];
	int64_t tokens[_METER_DIR_MAX]; /* below zero after a datagram that was larger */
	uint64_t filled_ms[_METER_DIR_MAX];
	uint64_t rest[_METER_DIR_MAX]; /* thousandths of a byte */
};

void meter_init(struct meter *m, uint64_t rate, uint64_t total, uint64_t now_ms);

/* How many of `want` bytes may pass now: 0 when the bucket or the total is used up. */
size_t meter_allow(struct meter *m, enum meter_dir dir, size_t want, uint64_t now_ms);

/* Counts n bytes that pass. */
void meter_use(struct meter *m, enum meter_dir dir, size_t n);

/* Bytes of the total that are left; UINT64_MAX without one. */
uint64_t meter_left(const struct meter *m);

#endif
