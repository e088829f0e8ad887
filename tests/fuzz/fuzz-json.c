/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzz target: strict JSON; what was printed is read again as the same text. */
#include "base/json.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(json_free_p) cJSON *first = NULL, *second = NULL;
	_cleanup_free_ char *text = malloc(size + 1), *once = NULL, *twice = NULL;
	uint64_t v;

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	if (json_parse(text, size, &first, NULL) < 0)
		return 0;
	(void)json_u64(first, "n", &v);
	(void)json_str(first, "s");
	once = json_print(first);
	if (!once || json_parse(once, strlen(once), &second, NULL) < 0)
		abort();
	twice = json_print(second);
	if (!twice || strcmp(once, twice) != 0)
		abort();
	return 0;
}
