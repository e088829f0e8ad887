/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The user's terminal at the other end of a worker's shell: raw mode, keys, sizes. */
#ifndef CONTRACTOR_CLI_TERM_H
#define CONTRACTOR_CLI_TERM_H

#include <stdbool.h>

#include "base/err.h"
#include "base/loop.h"

struct term;

struct term_callbacks {
	void (*keys)(const char *data, size_t n, void *user_data);
	void (*size)(unsigned rows, unsigned cols, void *user_data);
	/* The user has typed Enter ~ . to leave a shell that does not answer. */
	void (*leave)(void *user_data);
	void *user_data;
};

/* True when stdin and stdout are both terminals. */
bool term_is_there(void);

/* "TERM ROWS COLS" for the worker, each harmless in a shell script; out. */
char *term_describe(char *out, size_t size);

/*
 * Puts the terminal into raw mode and passes on what is typed, and each change of the size. 0 or a
 * negative errno, the terminal then as it was.
 */
int term_start(struct loop *l, const struct term_callbacks *cb, struct term **ret, struct err *e);

/* Puts the terminal back as it was. Accepts NULL; returns NULL. */
struct term *term_free(struct term *t);

#endif
