/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A system call filter under QEMU's own: no second process, no memory out of the limits' sight. */
#ifndef CONTRACTOR_VM_FILTER_H
#define CONTRACTOR_VM_FILTER_H

#include <stdbool.h>

/*
 * For the child, last of all before exec: sets no_new_privs and the filter, for good. execve stays
 * allowed, as QEMU is still to come; QEMU's own -sandbox then denies that too. With `memory` the
 * opening of a file with no flag but O_RDWR waits for whoever holds the listener that is returned
 * (memory.h); else 0 is returned. Or a negative errno.
 */
int vm_filter(bool memory);

#endif
