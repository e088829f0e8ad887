/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Gives up everything that unpacking does not need, for good. */
#ifndef CONTRACTOR_ARCHIVE_SANDBOX_H
#define CONTRACTOR_ARCHIVE_SANDBOX_H

#include <stdint.h>

#include "base/err.h"

/*
 * For a forked process that will work in the folder `root_fd` alone: no new privileges, no
 * capabilities, limits on memory (on top of `memory` bytes that are there already), descriptors and
 * the size of a file (max_file), where the kernel
 * has it a Landlock domain of that folder, and a list of the system calls left. 0 or a negative
 * errno; then the process must end.
 */
int sandbox_enter(int root_fd, uint64_t max_file, uint64_t memory, struct err *e);

#endif
