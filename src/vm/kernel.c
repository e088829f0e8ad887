/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The command line of an emulated Linux. */
#include "kernel.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tsc.h"

#define GUEST_HZ    250	    /* timer ticks a second */
#define VIRTUAL_KHZ 1000000 /* with -icount QEMU's counter counts nanoseconds */

void vm_kernel_parameters(const struct vm_desc *d, char *out, size_t size)
{
	uint64_t khz;
	int n = 0;

	out[0] = '\0';
	if (d->accel != VM_ACCEL_TCG || strcmp(d->arch, "x86_64") != 0)
		return;
	khz = d->virtual_clock ? VIRTUAL_KHZ : vm_tsc_khz();
	if (khz)
		n = snprintf(out, size, " tsc_early_khz=%" PRIu64 " tsc=reliable lpj=%" PRIu64, khz,
			     khz * 1000 / GUEST_HZ);
	if (d->cpus > 1)
		(void)snprintf(out + n, size - (size_t)n, " maxcpus=1 noreplace-smp");
}
