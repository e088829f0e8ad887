/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The token bucket and the count. Time is a parameter: pure. */
#include "meter.h"

#include "base/macro.h"

#define BURST_PARTS 20U	  /* the bucket holds a twentieth of a second */
#define BURST_MIN   4096U /* but at least so much, or a slow rate would be all system calls */

static int64_t burst(const struct meter *m)
{
	uint64_t b = MAX(m->rate / BURST_PARTS, BURST_MIN);

	return (int64_t)MIN(b, (uint64_t)INT64_MAX / 2);
}

void meter_init(struct meter *m, uint64_t rate, uint64_t total, uint64_t now_ms)
{
	/* so that no product below overflows; no network is faster */
	*m = (struct meter){.rate = MIN(rate, UINT64_C(1) << 50), .total = total};
	for (int d = 0; d < _METER_DIR_MAX; d++) {
		m->tokens[d] = burst(m);
		m->filled_ms[d] = now_ms;
	}
}

static void fill(struct meter *m, enum meter_dir dir, uint64_t now_ms)
{
	uint64_t ms = now_ms > m->filled_ms[dir] ? now_ms - m->filled_ms[dir] : 0;
	uint64_t thousandths;

	ms = MIN(ms, UINT64_C(10000)); /* the bucket is full long before; bounds the product */
	thousandths = m->rate * ms + m->rest[dir];
	m->filled_ms[dir] = now_ms;
	m->rest[dir] = thousandths % 1000;
	m->tokens[dir] += (int64_t)(thousandths / 1000);
	if (m->tokens[dir] > burst(m))
		m->tokens[dir] = burst(m);
}

uint64_t meter_left(const struct meter *m)
{
	uint64_t used = m->used[METER_UP] + m->used[METER_DOWN];

	if (m->total == 0)
		return UINT64_MAX;
	return used < m->total ? m->total - used : 0;
}

size_t meter_allow(struct meter *m, enum meter_dir dir, size_t want, uint64_t now_ms)
{
	uint64_t left = meter_left(m);

	if (left < want)
		want = (size_t)left;
	if (m->rate == 0)
		return want;
	fill(m, dir, now_ms);
	if (m->tokens[dir] <= 0)
		return 0;
	return (uint64_t)m->tokens[dir] < want ? (size_t)m->tokens[dir] : want;
}

void meter_use(struct meter *m, enum meter_dir dir, size_t n)
{
	m->used[dir] += n;
	if (m->rate)
		m->tokens[dir] -= (int64_t)n;
}
