/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The description of a cached disk as text, and the hash of a disk's data. */
#include <errno.h>

#include "base/json.h"
#include "base/num.h"
#include "store.h"

#define STORE_FORMAT 1

static bool is_hash(const char *s)
{
	return s && strlen(s) == SHA256_HEX_SIZE - 1 &&
	       strspn(s, "0123456789abcdef") == SHA256_HEX_SIZE - 1;
}

char *store_print(const struct store_entry *entry)
{
	_cleanup_(json_free_p) cJSON *j = cJSON_CreateObject();
	_cleanup_free_ char *line = NULL;
	char hash[SHA256_HEX_SIZE], number[24], *text = NULL;

	/* as text: a double does not hold nanoseconds since 1970 */
	(void)snprintf(number, sizeof(number), "%llu", (unsigned long long)entry->mtime_ns);
	if (!j || json_add_u64(j, "format", STORE_FORMAT) < 0 ||
	    !cJSON_AddStringToObject(j, "key", entry->key) ||
	    !cJSON_AddStringToObject(j, "label", entry->label) ||
	    json_add_u64(j, "size", entry->size) < 0 ||
	    !cJSON_AddStringToObject(j, "mtime-ns", number) ||
	    json_add_u64(j, "made", entry->made) < 0 ||
	    !cJSON_AddStringToObject(j, "sha256", entry->sha256) ||
	    (entry->has_list && !cJSON_AddTrueToObject(j, "list")))
		return NULL;
	line = json_print(j);
	if (!line || asprintf(&text, "%s\n%s\n", line, sha256_hex_of(line, strlen(line), hash)) < 0)
		return NULL;
	return text;
}

static int fill(const cJSON *j, struct store_entry *s, struct err *e)
{
	const char *key = json_str(j, "key"), *sha256 = json_str(j, "sha256");
	const char *label = json_str(j, "label"), *mtime = json_str(j, "mtime-ns");
	uint64_t format;

	if (json_u64(j, "format", &format) < 0 || format != STORE_FORMAT)
		return err_set(e, -EBADMSG, "its description has another format");
	if (!is_hash(key) || !is_hash(sha256) || !label || strlen(label) >= sizeof(s->label) ||
	    !mtime || parse_u64(mtime, &s->mtime_ns) < 0 || json_u64(j, "size", &s->size) < 0 ||
	    json_u64(j, "made", &s->made) < 0)
		return err_set(e, -EBADMSG, "its description is not complete");
	s->has_list = cJSON_IsTrue(json_get(j, "list"));
	memcpy(s->key, key, sizeof(s->key));
	memcpy(s->sha256, sha256, sizeof(s->sha256));
	memcpy(s->label, label, strlen(label) + 1);
	return 0;
}

int store_parse(const char *text, size_t len, struct store_entry *ret, struct err *e)
{
	_cleanup_(json_free_p) cJSON *j = NULL;
	_cleanup_free_ char *line = NULL;
	const char *nl = memchr(text, '\n', len);
	size_t first = nl ? (size_t)(nl - text) : 0;
	struct store_entry s = {0};
	char hash[SHA256_HEX_SIZE];
	int r;

	if (!nl || len != first + 1 + SHA256_HEX_SIZE || text[len - 1] != '\n' ||
	    memcmp(nl + 1, sha256_hex_of(text, first, hash), SHA256_HEX_SIZE - 1) != 0)
		return err_set(e, -EBADMSG, "its description is not what was written");
	line = strndup(text, first);
	if (!line)
		return err_oom(e);
	if (json_parse(line, first, &j, NULL) < 0)
		return err_set(e, -EBADMSG, "its description is no JSON");
	r = fill(j, &s, e);
	if (r == 0)
		*ret = s;
	return r;
}
