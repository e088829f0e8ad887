/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whether an image already has what the spec's play would install. */
#ifndef CONTRACTOR_CLI_PACKAGES_H
#define CONTRACTOR_CLI_PACKAGES_H

#include "base/json.h"
#include "image/manifest.h"

/*
 * Pure: 0 when `ansible` is NULL or empty, or asks for nothing but apt packages that the manifest
 * lists. -EINVAL with the first missing package or the first task of another kind otherwise.
 */
int packages_check(const cJSON *ansible, const struct manifest *m, struct err *e);

#endif
