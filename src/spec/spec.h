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

/*
 * Hard limits; sizes in bytes, times in milliseconds. The defaults serve an ordinary build:
 * cpus as many as the caller may use but at most 4, cpu-time 2h (an hour on two of them), time 1h,
 * memory 2GiB, disk 10GiB, output 2GiB, files 200000, log 100MiB.
 */
struct spec_limits {
	uint64_t cpus;
	uint64_t cpu_time_ms; /* of the whole worker */
	uint64_t time_ms;     /* wall clock of the build, boot and copies included */
	uint64_t memory;
	uint64_t disk;	 /* what the build may hold on its disk */
	uint64_t output; /* size of what comes back */
	uint64_t files;	 /* count of what comes back */
	uint64_t log;
};

/* The same limits by number, for whoever treats them all alike (options, report, check). */
enum spec_limit {
	SPEC_LIMIT_CPUS,
	SPEC_LIMIT_CPU_TIME,
	SPEC_LIMIT_TIME,
	SPEC_LIMIT_MEMORY,
	SPEC_LIMIT_DISK,
	SPEC_LIMIT_OUTPUT,
	SPEC_LIMIT_FILES,
	SPEC_LIMIT_LOG,
	_SPEC_LIMIT_MAX,
};

enum spec_unit {
	SPEC_UNIT_COUNT,
	SPEC_UNIT_BYTES,
	SPEC_UNIT_MS,
	_SPEC_UNIT_MAX,
};

struct spec_network {
	bool denied_fails; /* on-denied: fail (default) or report */
	bool prepare_repositories;
	uint64_t rate;	/* bytes a second, 0: none */
	uint64_t total; /* bytes, 0: none */
	struct net_rule *rules;
	size_t n_rules;
};

/* How much the worker's disk accesses are worth beside others' on this host. */
enum spec_io {
	SPEC_IO_LOW,	/* the last of the usual class */
	SPEC_IO_IDLE,	/* only when nobody else wants the disk */
	SPEC_IO_NORMAL, /* as any other program */
	_SPEC_IO_MAX,
};

#define SPEC_NICE_DEFAULT 10

struct spec_priority {
	int nice; /* 0 to 19 */
	enum spec_io io;
};

struct spec_env {
	char *name, *value;
};

/*
 * Owns all it points to; paths are as written: relative ones start at `dir` (spec_resolve). The
 * workspace holds neither the spec nor the source nor the image, as far as their names tell: the
 * folder that comes out of the worker takes its place.
 */
struct spec {
	char *path; /* the spec file as it was named */
	char *dir;  /* its folder, absolute */
	char *worker_image;
	char *source;
	char *workspace;
	char *build;
	bool template;		     /* the worker may start from a memory template */
	uint64_t prepare_max_age_ms; /* of what a play has prepared; 0: any age */
	char *arch;		     /* NULL: the image's */
	char *ansible_files;	     /* folder with roles and files of the play; NULL: none */
	enum spec_isolation isolation;
	struct spec_limits limits;
	struct spec_priority priority;
	struct spec_network network;
	struct spec_env *env;
	size_t n_env;
	/*
	 * JSON: numbers that a double would change (fractions, 16 digits and more) are raw items,
	 * so print them, do not compute with them.
	 */
	cJSON *ansible; /* the untouched tree, or NULL */
	cJSON *tree;	/* the whole document as dump prints it */
};

/*
 * Reads and checks the file. 0, or a negative errno with "file:line:column: what" in e: -EBADMSG
 * for what is not acceptable YAML, -EINVAL for what is not a spec. The caller frees *ret with
 * spec_free.
 */
int spec_load(const char *path, struct spec **ret, struct err *e);

/* The same of text in memory; `path` is for messages, `dir` (absolute) is where paths start. */
int spec_parse(const char *path, const char *dir, const char *text, size_t len, struct spec **ret,
	       struct err *e);

/* Only reads and types the document (no check of keys), for dump of a tree under test. */
int spec_load_tree(const char *path, cJSON **ret, struct err *e);

struct spec *spec_free(struct spec *s);
CLEANUP_FUNC(spec_free, struct spec)

/*
 * A path of the spec as an absolute one without ".", ".." and double slashes, by its text alone
 * (links are not read); malloc'ed. NULL: OOM.
 */
char *spec_resolve(const char *dir, const char *path);

/* "low", "idle", "normal", and back (-ENOENT). */
const char *spec_io_name(enum spec_io io);
int spec_io_find(const char *name);

/* "auto", "nested", "single". */
const char *spec_isolation_name(enum spec_isolation i);

/* The documented defaults. */
struct spec_limits spec_limits_default(void);

/* Sets one limit from "name=value" text, as the option --limit has it. 0 or -EINVAL. */
int spec_limit_set(struct spec_limits *l, const char *assignment, struct err *e);

/* The same from a name and a value. */
int spec_limit_set_value(struct spec_limits *l, const char *name, const char *value, struct err *e);

/* The limit of that name in the spec, or -ENOENT. */
int spec_limit_find(const char *name);

/* A limit's name in the spec ("cpu-time"), its unit, and its value. */
const char *spec_limit_name(enum spec_limit i);
enum spec_unit spec_limit_unit(enum spec_limit i);
uint64_t spec_limit_get(const struct spec_limits *l, enum spec_limit i);

#endif
