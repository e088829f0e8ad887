/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The sorted names of one folder, or of two that are merged. */
#ifndef CONTRACTOR_ARCHIVE_NAMES_H
#define CONTRACTOR_ARCHIVE_NAMES_H

#include "base/buf.h"

/* Which folder a name was met in. */
enum { NAMES_WORKSPACE = 1, NAMES_SOURCE = 2 };

struct name {
	size_t text; /* offset in names.text */
	unsigned int in;
};

/* A zeroed struct is an empty list. */
struct names {
	struct name *list;
	size_t n, size;
	struct buf text;
};

void names_done(struct names *l);

/* Adds the names of the folder dirfd, all marked `in`. 0 or a negative errno. */
int names_read(struct names *l, int dirfd, unsigned int in);

/* Sorts by bytes and merges equal names. */
void names_sort(struct names *l);

/* The i-th name. */
static inline const char *names_get(const struct names *l, size_t i)
{
	return l->text.data + l->list[i].text;
}

#endif
