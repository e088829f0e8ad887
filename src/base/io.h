/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whole reads and writes, unnamed files, flags of descriptors. */
#ifndef CONTRACTOR_BASE_IO_H
#define CONTRACTOR_BASE_IO_H

#include <stdint.h>
#include <sys/types.h>

#include "buf.h"
#include "err.h"

/* Reads up to n bytes until end of file. The count read, or a negative errno. */
ssize_t io_read_full(int fd, void *data, size_t n);

/* Writes all n bytes (a blocking fd). 0 or a negative errno. */
int io_write_full(int fd, const void *data, size_t n);

/* The same at an offset, whose fd keeps its position. */
ssize_t io_pread_full(int fd, void *data, size_t n, uint64_t at);
int io_pwrite_full(int fd, const void *data, size_t n, uint64_t at);

/* Reads the rest of fd into out; -EFBIG when there is more than max. */
int io_read_all(int fd, size_t max, struct buf *out);

/* The same, for a pipe or socket; -ETIMEDOUT when its end has not come by `end` of io_now_ms(). */
int io_read_all_until(int fd, size_t max, struct buf *out, uint64_t end);

/* Waits until fd can be read, or has ended. 0, or -ETIMEDOUT at `end` of io_now_ms(). */
int io_wait_until(int fd, uint64_t end);

/* Opens path at dirfd (AT_FDCWD) as a regular file and reads it; name and cause in e. */
int io_read_file(int dirfd, const char *path, size_t max, struct buf *out, struct err *e);

/*
 * A file without a name in folder `dir`, read-write, close-on-exec, mode 0600: O_TMPFILE, or where
 * the file system has none a file that is unlinked at once. The descriptor or a negative errno.
 */
int io_tmpfile(const char *dir, struct err *e);

/* Writes data to path by a temporary file beside it, fsync and rename. 0 or a negative errno. */
int io_write_file_atomic(const char *path, const void *data, size_t n, mode_t mode, struct err *e);

/* mkdir -p with `mode` for what is made; 0 also if it is there. */
int io_mkdir_p(const char *path, mode_t mode, struct err *e);

/* Sets or clears O_NONBLOCK / FD_CLOEXEC. 0 or a negative errno. */
int io_set_nonblock(int fd, int on);
int io_set_cloexec(int fd, int on);

/* CLOCK_MONOTONIC in milliseconds. */
uint64_t io_now_ms(void);

#endif
