/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The name of a prepared disk: a hash of all that it is made from. */
#ifndef CONTRACTOR_CLI_LAYER_KEY_H
#define CONTRACTOR_CLI_LAYER_KEY_H

#include "base/buf.h"
#include "base/json.h"
#include "base/sha256.h"
#include "net/rule.h"

struct layer_inputs {
	const char *image_sha256;
	const cJSON *playbook;
	const struct buf *driver;     /* what runs the play in the worker */
	const struct net_rule *rules; /* of the prepare phase */
	size_t n_rules;
	int files; /* folder of the play's files */
};

/*
 * The SHA-256 over all inputs; of the files names, types, content, targets of links and the right
 * to execute, but no times. 0 or a negative errno that names the file.
 */
int layer_key(const struct layer_inputs *in, char ret[SHA256_HEX_SIZE], struct err *e);

#endif
