/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The shared libraries that an installed program is linked with. */
#ifndef CONTRACTOR_IMAGE_LIBS_H
#define CONTRACTOR_IMAGE_LIBS_H

#include "base/err.h"

/* One library, or the loader itself, by its absolute path. A negative errno ends the search. */
typedef int (*libs_fn)(const char *path, void *user_data);

/*
 * The dynamic loader that a program names, malloc'ed into *ret; NULL there for a static program.
 * 0, -ENOEXEC (not a program of this machine's kind) or what reading gave.
 */
int libs_loader(const char *program, char **ret, struct err *e);

/*
 * Calls fn for all that `file` (a program or a library) is linked with, as `loader` finds them with
 * an empty environment on a machine of the plainest kind. This runs the loader, though no code of
 * the file: it is for installed files alone. 0, -ENOENT (a library is missing) or a negative errno.
 */
int libs_find(const char *loader, const char *file, libs_fn fn, void *user_data, struct err *e);

/* Pure: the same from the text of `loader --list`. 0, -ENOENT, -EBADMSG, or what fn gave. */
int libs_parse(const char *text, libs_fn fn, void *user_data, struct err *e);

#endif
