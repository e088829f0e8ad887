/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The frequency of the host's time stamp counter, which an emulated guest sees as its own. */
#ifndef CONTRACTOR_VM_TSC_H
#define CONTRACTOR_VM_TSC_H

#include <stdint.h>

/*
 * Measures against CLOCK_MONOTONIC_RAW, for about 5 ms; kHz, or 0 where there is no such counter.
 */
uint64_t vm_tsc_khz(void);

#endif
