/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Measuring the time stamp counter. */
#include "tsc.h"

#include <time.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

#define MEASURE_NS 5000000

#if defined(__x86_64__)
static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}
#endif

uint64_t vm_tsc_khz(void)
{
#if defined(__x86_64__)
	uint64_t t0 = now_ns(), c0 = __rdtsc(), t1, c1;

	do {
		t1 = now_ns();
		c1 = __rdtsc();
	} while (t1 - t0 < MEASURE_NS);
	return (c1 - c0) * 1000000 / (t1 - t0);
#else
	return 0;
#endif
}
