/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Strict JSON over cJSON: whole-input parsing, case-sensitive keys, range-checked numbers. */
#include "json.h"

#include <errno.h>
#include <inttypes.h>

#define JSON_EXACT_MAX 9007199254740992.0 /* 2^53: beyond it doubles skip integers */

cJSON *json_free(cJSON *j)
{
	cJSON_Delete(j);
	return NULL;
}

int json_parse(const char *data, size_t len, cJSON **ret, struct err *e)
{
	const char *end = NULL;
	cJSON *j;

	if (data[len] != '\0')
		return err_set(e, -EINVAL, "JSON text is not terminated");
	j = cJSON_ParseWithLengthOpts(data, len + 1, &end, 0);
	if (!j)
		return err_set(e, -EBADMSG, "not JSON, at byte %td",
			       end ? end - data : (ptrdiff_t)0);
	while (end < data + len && (*end == ' ' || *end == '\t' || *end == '\r' || *end == '\n'))
		end++;
	if (end != data + len) {
		cJSON_Delete(j);
		return err_set(e, -EBADMSG, "more text behind the JSON value, at byte %td",
			       end - data);
	}
	*ret = j;
	return 0;
}

const cJSON *json_get(const cJSON *o, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(o, key);
}

const char *json_str(const cJSON *o, const char *key)
{
	return cJSON_GetStringValue(json_get(o, key));
}

int json_u64(const cJSON *o, const char *key, uint64_t *ret)
{
	const cJSON *j = json_get(o, key);

	if (!j)
		return -ENOENT;
	if (!cJSON_IsNumber(j))
		return -EINVAL;
	if (!(j->valuedouble >= 0) || j->valuedouble > JSON_EXACT_MAX)
		return -ERANGE;
	if ((double)(uint64_t)j->valuedouble != j->valuedouble)
		return -EINVAL;
	*ret = (uint64_t)j->valuedouble;
	return 0;
}

uint64_t json_u64_or(const cJSON *o, const char *key, uint64_t otherwise)
{
	uint64_t v;

	return json_u64(o, key, &v) < 0 ? otherwise : v;
}

bool json_bool_or(const cJSON *o, const char *key, bool otherwise)
{
	const cJSON *j = json_get(o, key);

	return cJSON_IsBool(j) ? cJSON_IsTrue(j) : otherwise;
}

int json_add_u64(cJSON *o, const char *key, uint64_t v)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRIu64, v);
	return cJSON_AddRawToObject(o, key, text) ? 0 : -ENOMEM;
}

char *json_print(const cJSON *j)
{
	return cJSON_PrintUnformatted(j);
}

char *json_print_pretty(const cJSON *j)
{
	_cleanup_free_ char *text = cJSON_Print(j);
	char *out;
	size_t n;

	if (!text)
		return NULL;
	n = strlen(text);
	out = realloc(text, n + 2);
	if (!out)
		return NULL;
	(void)take_ptr(&text);
	memcpy(out + n, "\n", 2);
	return out;
}
