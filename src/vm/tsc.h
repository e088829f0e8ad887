/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The frequency of the host's time stamp counter, which an emulated guest sees as its own. */
#ifndef CONTRACTOR_VM_TSC_H
#define CONTRACTOR_VM_TSC_H

#include <stddef.h>
#include <stdint.h>

/*
 * Measures against CLOCK_MONOTONIC_RAW, for about 5 ms; kHz, or 0 where there is no such counter.
 * See struct vm_desc.cmdline for who needs it.
 */
uint64_t vm_tsc_khz(void);

#define VM_TSC_PARAMETERS_MAX 96

/*
 * What an emulated Linux is told of its clock, so that it need not measure it, as kernel parameters
 * with a space before each (struct vm_desc.cmdline says why): "" where there is no such counter.
 * `lpj` is for kernels with CONFIG_HZ=250, as Debian's are. VM_TSC_PARAMETERS_MAX bytes are
 * enough.
 */
void vm_tsc_parameters(char *out, size_t size);

#endif
