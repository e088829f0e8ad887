/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a spec's play asks of a worker image, as far as that can be told without running it. */
#ifndef CONTRACTOR_CLI_PLAY_H
#define CONTRACTOR_CLI_PLAY_H

#include "base/json.h"
#include "image/manifest.h"

enum play_need {
	PLAY_NOTHING, /* there is no play */
	PLAY_DONE,    /* it installs packages by name, nothing else, and the image has them all */
	PLAY_RUN,     /* Ansible has to run it */
	_PLAY_NEED_MAX,
};

/*
 * Pure. What is not plainly the module apt (or package) with names of installed packages counts as
 * something to run.
 */
enum play_need play_need(const cJSON *ansible, const struct manifest *m);

/* Whether the image can run a play. 0, or -EINVAL with how to get an image that can. */
int play_check_image(const char *image, const struct manifest *m, struct err *e);

#endif
