/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Temporary folders below a folder of ours, and getting rid of them. */
#ifndef CONTRACTOR_IMAGE_TMPDIR_H
#define CONTRACTOR_IMAGE_TMPDIR_H

#include "base/err.h"

/* Makes parent/tmp-XXXXXX (0700), malloc'ed into *ret. 0 or a negative errno. */
int tmpdir_make(const char *parent, char **ret, struct err *e);

/* Removes the folder with all in it, as far as it can. Frees and clears *dir. */
void tmpdir_remove(char **dir);

/* Removes what runs that were killed have left of theirs in `parent`: the caller has a lock. */
void tmpdir_sweep(const char *parent);

#define _cleanup_tmpdir_ _cleanup_(tmpdir_remove)

#endif
