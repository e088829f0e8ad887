/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How an image's bytes reach its file: small pieces gathered, long ones copied by the kernel. */
#ifndef CONTRACTOR_ARCHIVE_EROFS_OUT_H
#define CONTRACTOR_ARCHIVE_EROFS_OUT_H

#include <stdint.h>
#include <sys/stat.h>

#include "base/err.h"

#define EROFS_BLOCK 4096U

/* Bytes on their way to one place after the other, each at or behind the end of the one before. */
struct erofs_stream {
	char *data;
	size_t size;
	size_t used;
	uint64_t at; /* where data[0] belongs */
};

/* All offsets count from the image's first byte. To be made by erofs_out_init(). */
struct erofs_out {
	int fd;	       /* borrowed */
	uint64_t base; /* where in fd the image begins */
	struct erofs_stream meta;
	struct erofs_stream data;
	char *chunk; /* for a file that the kernel does not copy */
};

/* 0 or -ENOMEM. */
int erofs_out_init(struct erofs_out *o, int fd, uint64_t base);
void erofs_out_done(struct erofs_out *o);

/*
 * Room for `len` bytes at offset `at`, uninitialized, good until the stream's next use. `at` is
 * where the stream is or less than a block behind it, or else begins a block. 0 or a negative
 * errno.
 */
int erofs_out_room(struct erofs_out *o, struct erofs_stream *s, uint64_t at, size_t len, char **ret,
		   struct err *e);

/* Writes what a stream holds. 0 or a negative errno. */
int erofs_out_flush(struct erofs_out *o, struct erofs_stream *s, struct err *e);

/* Writes bytes that no stream holds. 0 or a negative errno. */
int erofs_out_write(const struct erofs_out *o, uint64_t at, const void *data, size_t len,
		    struct err *e);

/*
 * The content of an open file, of which st tells size and blocks: its first `len` bytes to offset
 * `at`, which begins a block, and `tail_len` more into `tail`. -EIO, calling it `name`, when it is
 * shorter.
 */
int erofs_out_file(struct erofs_out *o, int fd, const struct stat *st, uint64_t at, uint64_t len,
		   char *tail, size_t tail_len, const char *name, struct err *e);

/* Makes the file reach up to offset `size` at least. 0 or a negative errno. */
int erofs_out_end(struct erofs_out *o, uint64_t size, struct err *e);

#endif
