/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The little of an ELF file that making an image wants to know. */
#ifndef CONTRACTOR_IMAGE_ELF_SECTION_H
#define CONTRACTOR_IMAGE_ELF_SECTION_H

#include "base/macro.h"

/*
 * Pure: the named section of a little-endian ELF64 file of `len` bytes, as a stretch of `data`.
 * 0, -ENOENT (no such section), or -ENOEXEC (not such a file, or it contradicts itself).
 */
int elf_section(const char *data, size_t len, const char *name, const char **ret, size_t *ret_len);

#endif
