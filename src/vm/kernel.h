/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What an emulated Linux has to be told on its command line. */
#ifndef CONTRACTOR_VM_KERNEL_H
#define CONTRACTOR_VM_KERNEL_H

#include "vm.h"

#define VM_KERNEL_PARAMETERS_MAX 160

/*
 * The parameters that a kernel of `d` needs, with a space before each; "" where none is needed, as
 * with KVM. VM_KERNEL_PARAMETERS_MAX bytes are enough. For what each is good:
 *
 * tsc_early_khz=N tsc=reliable, N being the frequency of the host's own time stamp counter, which
 * the guest sees: a microvm has no timer but the local APIC's, which Linux can only set up when it
 * knows that frequency. kvm-clock tells it; under TCG it is measured against the PIT, which fails
 * on a busy host, and the boot then stops without a word (half of them on two busy cores). With a
 * virtual clock the counter counts nanoseconds: told the host's frequency the guest's clock ran 2.6
 * times too slow.
 *
 * lpj=M: Linux measures the delay loop of each processor but the first against the ticks of the
 * first, and with both competing for a busy host found between a thousandth and three times the
 * true figure in 69 boots. M is for kernels with CONFIG_HZ=250, as Debian's are.
 *
 * maxcpus=1 noreplace-smp: Linux changes its own code while it boots. It first writes a breakpoint,
 * then the rest, then the first byte; before version 8.1 QEMU may translate that code for a second
 * processor in the midst of it, and never learn that the breakpoint has gone: both processors spin
 * for ever (one boot of 234). So there is one processor until the guest, with its boot behind it,
 * brings the others up by /sys/devices/system/cpu. Without noreplace-smp the kernel would then
 * rewrite all its locks, which takes 0.2 s.
 */
void vm_kernel_parameters(const struct vm_desc *d, char *out, size_t size);

#endif
