/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which files of this machine a manager VM needs, and under which names. */
#ifndef CONTRACTOR_IMAGE_MANAGER_FILES_H
#define CONTRACTOR_IMAGE_MANAGER_FILES_H

#include "manager-image.h"
#include "modules.h"
#include "rootfs.h"

/*
 * Adds everything but the kernel modules: init, contractor-manager, QEMU with its accelerator and
 * its firmware, the libraries of all of these. 0 or a negative errno that names what is missing.
 */
int manager_files_add(const struct manager_image_spec *s, struct rootfs *f, struct err *e);

/* Adds the modules, and the list by which init loads them. 0 or -ENOMEM. */
int manager_files_add_modules(struct rootfs *f, const struct modules *m);

#endif
