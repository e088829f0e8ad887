/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Numbers, sizes and durations from text and back. */
#ifndef CONTRACTOR_BASE_NUM_H
#define CONTRACTOR_BASE_NUM_H

#include <stdint.h>

#include "macro.h"

/* Decimal digits only, whole string. 0, -EINVAL, or -ERANGE (over UINT64_MAX). */
int parse_u64(const char *s, uint64_t *ret);

/*
 * Bytes: a decimal number, a fraction allowed, and a unit: none or B, kB MB GB TB (powers of 1000),
 * KiB MiB GiB TiB or K M G T (powers of 1024), case as written but k and K alike. One space may
 * stand before the unit. A fraction of a byte is refused. 0, -EINVAL, or -ERANGE.
 */
int parse_size(const char *s, uint64_t *ret);

/* Bytes a second: a size as above with "/s" behind it ("5MB/s"). 0, -EINVAL, or -ERANGE. */
int parse_rate(const char *s, uint64_t *ret);

/*
 * Milliseconds: one or more of number + unit (ms, s, min or m, h, d), largest first ("1h30min").
 * A number alone counts seconds. 0, -EINVAL, or -ERANGE.
 */
int parse_duration(const char *s, uint64_t *ret_ms);

/*
 * A finite number: an optional minus, digits with at most one point among them, and an optional
 * exponent ("-1.5e-3", "1.", ".5"), whatever the locale. 0, -EINVAL, or -ERANGE (over DBL_MAX).
 */
int parse_double(const char *s, double *ret);

/* "1.5 GiB", "612 kB"-style text in binary units; returns out. */
#define NUM_TEXT_MAX 32
char *format_size(uint64_t bytes, char out[NUM_TEXT_MAX]);

/* "0.35 s", "12.4 s", "3 min 05 s", "2 h 07 min"; returns out. */
char *format_duration(uint64_t ms, char out[NUM_TEXT_MAX]);

/*
 * The fewest digits that give back the same finite number, with a point or an exponent always
 * ("1.0", "0.1", "1e+16"): what Python's repr prints. Returns out.
 */
char *format_double(double v, char out[NUM_TEXT_MAX]);

#endif
