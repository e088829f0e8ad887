/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The threads of a QEMU as the kernel knows them, from the ids that QEMU tells of its vCPUs. */
#ifndef CONTRACTOR_VM_THREADS_H
#define CONTRACTOR_VM_THREADS_H

#include <stdint.h>
#include <sys/types.h>

/* Pure: the innermost of the ids on the line "NSpid:" of a /proc/PID/status, or 0. */
uint64_t vm_threads_inner_id(const char *status);

/* Pure: user and system time in clock ticks from a /proc/PID/stat; 0 when it makes no sense. */
uint64_t vm_threads_ticks(const char *stat);

/*
 * Finds, for each id of a thread in the process' own namespace, its id here: only threads of this
 * process count, whatever ids were told. ret[i] is 0 where there is none. Needs /proc.
 */
void vm_threads_find(pid_t pid, const uint64_t *inner, size_t n, pid_t *ret);

/* CPU time of a thread of the process in milliseconds; `otherwise` when it is gone. */
uint64_t vm_threads_cpu_ms(pid_t pid, pid_t tid, uint64_t otherwise);

#endif
