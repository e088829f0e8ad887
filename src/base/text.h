/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Text from strangers made fit for a terminal, and the nearest of several names. */
#ifndef CONTRACTOR_BASE_TEXT_H
#define CONTRACTOR_BASE_TEXT_H

#include <stdint.h>

#include "buf.h"

/*
 * Appends `len` bytes to `out` with control characters and broken UTF-8 as visible text (\x1b);
 * newline and tab stay, carriage return before newline is dropped. 0, -ENOMEM or -E2BIG.
 */
int text_escape(struct buf *out, const char *data, size_t len);

/* The same into a fixed string, cut with "..." where it does not fit; newlines too become \n. */
char *text_escape_line(const char *data, size_t len, char *out, size_t size);

/* The name within a third of its length (at least 1 edit) of `word`, the nearest one; or NULL. */
const char *text_nearest(const char *word, const char *const *names, size_t n);

/* True if the bytes are valid UTF-8 without NUL. */
int text_is_utf8(const char *data, size_t len);

/* For qsort and bsearch over an array of strings (char *): by their bytes. */
int text_compare(const void *a, const void *b);

/* The bytes as 2 * n small hexadecimal digits, and a NUL; returns out. */
char *text_hex(const unsigned char *data, size_t n, char *out);

#endif
