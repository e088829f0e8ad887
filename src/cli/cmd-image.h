/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The verbs of contractor image that have files of their own. */
#ifndef CONTRACTOR_CLI_CMD_IMAGE_H
#define CONTRACTOR_CLI_CMD_IMAGE_H

#include "base/sha256.h"

int cmd_image_inspect(int argc, char **argv);
int cmd_image_list(int argc, char **argv);
int cmd_image_verify(int argc, char **argv);

/* The SHA-256 of all of a file. 0 or a negative errno. */
int image_hash(int fd, char out[SHA256_HEX_SIZE]);

#endif
