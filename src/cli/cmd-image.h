/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The verbs of contractor image that have files of their own. */
#ifndef CONTRACTOR_CLI_CMD_IMAGE_H
#define CONTRACTOR_CLI_CMD_IMAGE_H

int cmd_image_import(int argc, char **argv);
int cmd_image_inspect(int argc, char **argv);
int cmd_image_list(int argc, char **argv);
int cmd_image_verify(int argc, char **argv);

#endif
