/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The scratch disk as an ext4 on this side: made empty, and looked at afterwards. */
#ifndef CONTRACTOR_CLI_SCRATCH_H
#define CONTRACTOR_CLI_SCRATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* Makes an empty file system of `size` bytes in the file, by mke2fs. 0 or a negative errno. */
int scratch_format(int fd, uint64_t size, struct err *e);

/*
 * Of a file that was just formatted: how many allocated bytes mean that the disk was full. The
 * file begins as a hole and never shrinks (QEMU ignores discards), so its allocated blocks are a
 * high-water mark that no guest can lower. 0 or a negative errno.
 */
int scratch_full_mark(int fd, uint64_t *ret, struct err *e);

/*
 * Whether every inode of the disk has been in use. Each group of inodes has a count of those that
 * were never used, which the guest's kernel only lowers; the guest's driver has it written before
 * it is done. So this is the guest's word: one that was taken over can hide it, and has won
 * nothing, for the wall held. Hostile contents are fine.
 */
bool scratch_inodes_gone(int fd);

#endif
