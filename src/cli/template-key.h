/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The key of a memory template. */
#ifndef CONTRACTOR_CLI_TEMPLATE_KEY_H
#define CONTRACTOR_CLI_TEMPLATE_KEY_H

#include "template.h"

/*
 * The hash of all that a booted worker depends on: image and what it is booted by, driver, layer,
 * machine, sizes, this host's processor, QEMU, and the programs of ours that describe the machine.
 * With nested isolation, of the manager VM's image as well, which session_manager_image has found.
 * 0 or a negative errno.
 */
int template_key(const struct build *b, const struct template_worker *w, char ret[SHA256_HEX_SIZE],
		 struct err *e);

#endif
