/* SPDX-License-Identifier: GPL-3.0-or-later */
/* LZ4 legacy frames (lz4_Frame_format.md, "Legacy frame"). */
/*
 *	magic 0x184c2102, then blocks of 8 MiB of plain data, the last one shorter:
 *	length of the compressed block, compressed block; numbers are little endian
 *
 * LZ4 and not zstd: under emulation the kernel unpacks 53 MB 0.4 s sooner, for 3 MB more.
 */
#include "legacy-lz4.h"

#include <endian.h>
#include <errno.h>
#include <lz4hc.h>
#include <stdint.h>

#include "base/io.h"

#define BLOCK (8 * MIB)
#define MAGIC 0x184c2102U

static int put_u32(int fd, uint32_t v)
{
	v = htole32(v);
	return io_write_full(fd, &v, sizeof(v));
}

int lz4_write(int fd, const char *data, size_t n)
{
	int room = LZ4_compressBound(BLOCK), r = put_u32(fd, MAGIC);
	_cleanup_free_ char *packed = malloc((size_t)room);

	if (!packed)
		return -ENOMEM;
	for (size_t at = 0; r == 0 && at < n; at += BLOCK) {
		int len = LZ4_compress_HC(data + at, packed, (int)MIN(n - at, BLOCK), room,
					  LZ4HC_CLEVEL_DEFAULT);

		if (len <= 0)
			return -ENOMEM; /* for its own state: the room is always enough */
		r = put_u32(fd, (uint32_t)len);
		if (r == 0)
			r = io_write_full(fd, packed, (size_t)len);
	}
	return r;
}
