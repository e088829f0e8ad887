/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which kernel modules an initramfs needs, in the order in which they can be loaded. */
#ifndef CONTRACTOR_IMAGE_MODULES_H
#define CONTRACTOR_IMAGE_MODULES_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

struct module {
	char *name; /* as the kernel has it: with _, never - */
	char *path; /* from the modules folder: kernel/drivers/net/tun.ko */
	bool optional;
	struct buf content; /* uncompressed */
};

/* Zeroed: empty. */
struct modules {
	struct module *v;
	size_t n;
};

/*
 * The modules in `dir` (lib/modules/VERSION, depmod not needed) that `wanted` names, each behind
 * what it depends on. `wanted` has one name a line, # begins a comment, and a ? before the name
 * says that the module may be missing, or fail to load. Modules that are built into the kernel are
 * left out. 0; -ENOENT with the name of a module that the kernel has not got; or what reading gave.
 */
int modules_find(const char *dir, const char *wanted, struct modules *ret, struct err *e);
void modules_done(struct modules *m);

/*
 * Pure: the value of KEY=value in the modinfo (section .modinfo of a module: strings, each with its
 * NUL), or NULL. Points into it.
 */
const char *modules_info(const char *modinfo, size_t len, const char *key);

#endif
