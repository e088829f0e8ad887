/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Strict JSON in and exact numbers out of cJSON, whose own accessors saturate and fold case. */
#ifndef CONTRACTOR_BASE_JSON_H
#define CONTRACTOR_BASE_JSON_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "err.h"

/* cJSON_Delete with the project's free convention. */
cJSON *json_free(cJSON *j);
CLEANUP_FUNC(json_free, cJSON)

/*
 * Parses exactly one JSON value of `len` bytes; white space may follow, nothing else. data[len]
 * must be readable and NUL. 0 with a tree the caller frees, -EBADMSG or -ENOMEM.
 */
int json_parse(const char *data, size_t len, cJSON **ret, struct err *e);

/* The member of that exact name, or NULL (also when o is no object). */
const cJSON *json_get(const cJSON *o, const char *key);

/* Member as string; NULL if it is absent or of another type. Owned by the tree. */
const char *json_str(const cJSON *o, const char *key);

/* Member as an exact non-negative integer up to 2^53. 0, -ENOENT, or -ERANGE/-EINVAL. */
int json_u64(const cJSON *o, const char *key, uint64_t *ret);

/* The same, `otherwise` when absent or wrong. */
uint64_t json_u64_or(const cJSON *o, const char *key, uint64_t otherwise);

/* Member as boolean; `otherwise` when absent or of another type. */
bool json_bool_or(const cJSON *o, const char *key, bool otherwise);

/* Adds an integer exactly, also above 2^53 (as a raw number). 0 or -ENOMEM. */
int json_add_u64(cJSON *o, const char *key, uint64_t v);

/* One line of text (cJSON unformatted), malloc'ed; NULL: OOM. */
char *json_print(const cJSON *j);

/* Indented text with a final newline, malloc'ed; NULL: OOM. */
char *json_print_pretty(const cJSON *j);

#endif
