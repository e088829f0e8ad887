/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A growable byte buffer with a hard cap, always NUL-terminated one past its length. */
#ifndef CONTRACTOR_BASE_BUF_H
#define CONTRACTOR_BASE_BUF_H

#include "macro.h"

/* A zeroed struct is an empty buffer; cap 0 means BUF_CAP_DEFAULT. */
struct buf {
	char *data;
	size_t len;
	size_t size;
	size_t cap;
};

#define BUF_CAP_DEFAULT (64 * MIB)

/* Frees the storage and zeroes the struct (the cap too). Accepts a zeroed struct. */
void buf_done(struct buf *b);

/* Makes room for n more bytes; -ENOMEM or -E2BIG (over the cap), the content unchanged. */
int buf_reserve(struct buf *b, size_t n);

/* Appends; 0, -ENOMEM or -E2BIG. buf_puts appends a string, buf_printf a formatted one. */
int buf_put(struct buf *b, const void *data, size_t n);
int buf_puts(struct buf *b, const char *s);
int buf_putc(struct buf *b, char c);
int buf_printf(struct buf *b, const char *fmt, ...) _printf_(2, 3);

/* Drops the first n bytes (n <= len). */
void buf_drop(struct buf *b, size_t n);

/* The content as a string ("" when empty), owned by the buffer. */
const char *buf_str(const struct buf *b);

/* Hands the storage to the caller as a malloc'ed string; the buffer is empty after. NULL: OOM. */
char *buf_take(struct buf *b);

#define _cleanup_buf_ _cleanup_(buf_done)

#endif
