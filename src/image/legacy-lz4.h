/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Compression in the form that the kernel takes an initramfs in: LZ4's legacy frames. */
#ifndef CONTRACTOR_IMAGE_LEGACY_LZ4_H
#define CONTRACTOR_IMAGE_LEGACY_LZ4_H

#include "base/macro.h"

/* Writes n bytes to fd, compressed; the same bytes always give the same. 0 or a negative errno. */
int lz4_write(int fd, const char *data, size_t n);

#endif
