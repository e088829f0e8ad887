/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Errors: a negative errno for the machine and one sentence for the reader. */
#ifndef CONTRACTOR_BASE_ERR_H
#define CONTRACTOR_BASE_ERR_H

#include "macro.h"

#define ERR_TEXT_MAX 2048

/* A plain value; zero it (ERR_INIT) before use. `code` is 0 or a negative errno. */
struct err {
	int code;
	char text[ERR_TEXT_MAX];
};

#define ERR_INIT                      \
	{                             \
		.code = 0, .text = "" \
	}

/* Records `code` (a negative errno) and the formatted sentence; returns `code`. e may be NULL. */
int err_set(struct err *e, int code, const char *fmt, ...) _printf_(3, 4);

/* The same, with ": <strerror(-code)>" behind the sentence. */
int err_errno(struct err *e, int code, const char *fmt, ...) _printf_(3, 4);

/* Puts "<fmt>: " in front of the recorded sentence; returns the recorded code. e may be NULL. */
int err_wrap(struct err *e, const char *fmt, ...) _printf_(2, 3);

/* -ENOMEM with a sentence of its own. */
int err_oom(struct err *e);

#endif
