/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Measuring the time stamp counter. */
#include "tsc.h"

#ifdef __x86_64__
#include <time.h>
#include <x86intrin.h>
#endif

#define MEASURE_NS 5000000

#ifdef __x86_64__
struct moment {
	uint64_t tsc, ns;
};

/* Both clocks at once: the closest of several tries, since an interrupt may come in between. */
static struct moment look(void)
{
	uint64_t best = UINT64_MAX;
	struct moment m = {0};

	for (int i = 0; i < 20; i++) {
		struct timespec ts;
		uint64_t before = __rdtsc(), after;

		(void)clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
		after = __rdtsc();
		if (after - before < best) {
			best = after - before;
			m.tsc = before + best / 2;
			m.ns = (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
		}
	}
	return m;
}

uint64_t vm_tsc_khz(void)
{
	struct moment from = look(), to;

	do {
		to = look();
		if (to.ns < from.ns || to.tsc <= from.tsc)
			return 0; /* no clock to rely on */
	} while (to.ns - from.ns < MEASURE_NS);
	return (to.tsc - from.tsc) * 1000000 / (to.ns - from.ns);
}
#else
uint64_t vm_tsc_khz(void)
{
	return 0;
}
#endif
