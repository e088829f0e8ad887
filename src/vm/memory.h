/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A file as the guest's memory, handed to a QEMU that only knows how to open one by its path. */
#ifndef CONTRACTOR_VM_MEMORY_H
#define CONTRACTOR_VM_MEMORY_H

/* What QEMU is told to open; nothing has that name in its root. */
#define VM_MEMORY_PATH "/memory"

/*
 * The two ends of the way that the listener takes from the child, which sends it once its filter is
 * in force, to us: vm_memory_take after child_spawn. 0, or the listener, or a negative errno.
 */
int vm_memory_send(int socket_fd, int listener);
int vm_memory_take(int socket_fd);

/*
 * Answers QEMU's one attempt to open a file for reading and writing with fd, as it is: what is open
 * for reading only stays so, and a private mapping is all that can be made of it. 0 or a negative
 * errno; QEMU's open fails, or waits until the listener is closed, when it is not answered.
 */
int vm_memory_answer(int listener, int fd);

#endif
