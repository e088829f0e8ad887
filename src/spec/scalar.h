/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The type and value of a YAML scalar, by the rules of YAML 1.1 as PyYAML's safe_load has them. */
#ifndef CONTRACTOR_SPEC_SCALAR_H
#define CONTRACTOR_SPEC_SCALAR_H

#include <stdbool.h>

#include "base/err.h"

/* A number of more characters than this is an error; nobody means one. */
#define SCALAR_NUMBER_MAX 1024

enum scalar_type {
	SCALAR_NULL,
	SCALAR_BOOL,
	SCALAR_INT,
	SCALAR_FLOAT,
	SCALAR_STR, /* dates too: JSON has none */
	_SCALAR_TYPE_MAX,
};

/* The type of an unquoted scalar without a tag. */
enum scalar_type scalar_type_of(const char *text);

/* yes, true, on, no, false, off in their three spellings each. 0 or -EINVAL. */
int scalar_bool(const char *text, bool *ret);

/*
 * The number as JSON text (malloc'ed, the caller's): integers exactly, whatever their size and
 * base, other numbers with a point or an exponent. 0, -EINVAL with the reason in e (no number of
 * that type, no digits, too long, infinite or not a number), or -ENOMEM.
 */
int scalar_int(const char *text, char **ret, struct err *e);
int scalar_float(const char *text, char **ret, struct err *e);

#endif
