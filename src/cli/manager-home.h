/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The manager VM's image as the command line has it: the installed parts, the user's cache. */
#ifndef CONTRACTOR_CLI_MANAGER_HOME_H
#define CONTRACTOR_CLI_MANAGER_HOME_H

#include "image/manager-image.h"

/* Zeroed: the image that builds use. */
struct manager_home_options {
	const char *output, *kernel, *modules; /* see struct manager_image_spec; may be NULL */
	bool fetch, debug;
	void (*say)(const char *text, void *user_data);
	void *user_data;
};

/* Finds the parts and makes the image, or finds it up to date; as manager_image_make. */
int manager_home_image(const struct manager_home_options *o, struct manager_image *ret, int *ret_fd,
		       struct err *e);

#endif
