/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Shell completions, made from the verbs' own tables. */
#ifndef CONTRACTOR_CLI_COMPLETION_H
#define CONTRACTOR_CLI_COMPLETION_H

#include "options.h"

/* Pure: a script for bash, zsh or fish from the verbs. 0, -EINVAL for another shell, or -ENOMEM. */
int completion_make(const char *shell, const struct option_verb *const *verbs, size_t n,
		    struct buf *out);

#endif
