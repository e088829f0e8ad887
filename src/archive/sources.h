/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The list of paths that were the source's at the last build, for questions in any order. */
#ifndef CONTRACTOR_ARCHIVE_SOURCES_H
#define CONTRACTOR_ARCHIVE_SOURCES_H

#include <stdbool.h>
#include <stddef.h>

/* A zeroed struct is an empty list. The text is borrowed. */
struct sources {
	const char **paths; /* in the order of a walk */
	size_t n;
};

/*
 * Takes a list of NUL-terminated paths, in whatever order; what follows the last NUL is not of the
 * list. 0 or -ENOMEM.
 */
int sources_init(struct sources *s, const char *list, size_t len);

void sources_done(struct sources *s);

/* Is the path in the list? */
bool sources_have(const struct sources *s, const char *path);

#endif
