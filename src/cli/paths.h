/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where things are: our own programs and firmware, and the user's state and cache folders. */
#ifndef CONTRACTOR_CLI_PATHS_H
#define CONTRACTOR_CLI_PATHS_H

#include "base/err.h"

/* contractor-manager, in the build tree or installed; malloc'ed into *ret. 0 or -ENOENT. */
int paths_manager(char **ret, struct err *e);

/* The folder with worker/driver, worker/init and worker/stub; likewise. */
int paths_firmware(char **ret, struct err *e);

/* An installed program, in PATH or where distributions keep those of root; NULL: there is none. */
char *paths_program(const char *name);

/*
 * $XDG_STATE_HOME/contractor or ~/.local/state/contractor, $XDG_CACHE_HOME/contractor or
 * ~/.cache/contractor; made (0700) when missing. HOME unset: the password database's. The cache is
 * CONTRACTOR_CACHE_DIR where that is set, and the state is in its folder "state" where the home
 * cannot be written. 0 or a negative errno.
 */
int paths_state(char **ret, struct err *e);
int paths_cache(char **ret, struct err *e);

/* The user's configuration file, whether it is there or not; malloc'ed, NULL where no home is
 * known. */
char *paths_config(void);

/* `path` seen from folder `dir` (as it is when absolute), malloc'ed; NULL: OOM. */
char *paths_join(const char *dir, const char *path);

#endif
