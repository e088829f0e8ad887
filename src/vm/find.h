/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which program is the QEMU of an architecture. */
#ifndef CONTRACTOR_VM_FIND_H
#define CONTRACTOR_VM_FIND_H

#include <limits.h>

#include "base/err.h"

/*
 * The QEMU for an architecture: $CONTRACTOR_QEMU, or qemu-system-ARCH in PATH; absolute and
 * without symlinks in out. 0 or a negative errno with a sentence that names the package.
 */
int vm_find_qemu(const char *arch, char out[PATH_MAX], struct err *e);

#endif
