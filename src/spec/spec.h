/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The build spec as typed values: what hello.yaml says, checked, with defaults filled in. */
#ifndef CONTRACTOR_SPEC_SPEC_H
#define CONTRACTOR_SPEC_SPEC_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "net/rule.h"

enum spec_isolation {
	SPEC_ISOLATION_AUTO,
	SPEC_ISOLATION_NESTED,
	SPEC_ISOLATION_SINGLE,
	_SPEC_ISOLATION_MAX,
};

/* Hard limits; sizes in bytes, times in milliseconds. */
struct spec_limits {
	uint32_t cpus;
	uint64_t cpu_time_ms; /* of the whole worker */
	uint64_t time_ms;     /* wall clock of the build, boot and copies included */
	uint64_t memory;
	uint64_t disk;	 /* what the build may hold on its disk */
	uint64_t output; /* size of what comes back */
	uint64_t files;	 /* count of what comes back */
	uint64_t log;
};

struct spec_network {
	bool denied_fails; /* on-denied: fail (default) or report */
	bool prepare_repositories;
	uint64_t rate;	/* bytes a second, 0: none */
	uint64_t total; /* bytes, 0: none */
	struct net_rule *rules;
	size_t n_rules;
};

struct spec_env {
	char *name, *value;
};

/* Owns all it points to; paths are as written: relative ones start at `dir`. */
struct spec {
	char *path; /* the spec file as it was named */
	char *dir;  /* its folder, absolute */
	char *worker_image;
	char *source;
	char *workspace;
	char *build;
	char *arch; /* NULL: the image's */
	enum spec_isolation isolation;
	struct spec_limits limits;
	struct spec_network network;
	struct spec_env *env;
	size_t n_env;
	cJSON *ansible; /* the untouched tree, or NULL */
	cJSON *tree;	/* the whole document as dump prints it */
};

/*
 * Reads and checks the file. 0, or a negative errno with "file:line:column: what" in e. The caller
 * frees *ret with spec_free.
 */
int spec_load(const char *path, struct spec **ret, struct err *e);

/* Only reads and types the document (no check of keys), for dump of a tree under test. */
int spec_load_tree(const char *path, cJSON **ret, struct err *e);

struct spec *spec_free(struct spec *s);
CLEANUP_FUNC(spec_free, struct spec)

/* Sets one limit from "name=value" text, as the option --limit has it. 0 or -EINVAL. */
int spec_limit_set(struct spec_limits *l, const char *assignment, struct err *e);

/* The documented defaults. */
struct spec_limits spec_limits_default(void);

#endif
