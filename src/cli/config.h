/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Defaults of a machine and of a user, under what a spec says, and where each value comes from. */
#ifndef CONTRACTOR_CLI_CONFIG_H
#define CONTRACTOR_CLI_CONFIG_H

#include "spec/spec.h"

/* The keys besides the limits, in the order of config show. */
enum config_key {
	CONFIG_ISOLATION,
	CONFIG_CACHE_DIR,
	CONFIG_JOBS_LIMIT,
	_CONFIG_KEY_MAX,
};

/* A value as it was written, and where; both NULL where nobody said anything. Owned. */
struct config_value {
	char *text;
	char *origin; /* "/etc/contractor/config.yaml:3" */
};

/* Owns all; zeroed it is empty. */
struct config {
	struct config_value value[_CONFIG_KEY_MAX];
	struct config_value limit[_SPEC_LIMIT_MAX];
};

/*
 * Reads /etc/contractor/config.yaml (or what CONTRACTOR_SYSTEM_CONFIG names), then over it
 * $XDG_CONFIG_HOME/contractor/config.yaml (~/.config). A file that is not there says nothing. 0, or
 * a negative errno with "file:line:column: what" in e.
 */
int config_load(struct config *ret, struct err *e);

/* Reads text over what is in *c; `strict` refuses keys that are none of a configuration's. */
int config_read(struct config *c, const char *name, const char *text, size_t len, bool strict,
		struct err *e);

/* Reads a spec's values over what is in *c, for config show. */
int config_read_spec(struct config *c, const char *path, struct err *e);

/* Sets what the spec does not say itself. 0 or a negative errno. */
int config_apply(const struct config *c, struct spec *s, struct err *e);

/* The key's name in a file. */
const char *config_key_name(enum config_key k);

void config_done(struct config *c);

#endif
