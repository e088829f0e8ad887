/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzz target: numbers, sizes and durations from text. */
#include "base/num.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *s = malloc(size + 1);
	char text[NUM_TEXT_MAX];
	double d, again;
	uint64_t v;

	if (!s)
		return 0;
	if (size)
		memcpy(s, data, size);
	s[size] = '\0';
	if (parse_u64(s, &v) == 0 && strspn(s, "0123456789") != strlen(s))
		abort();
	if (parse_size(s, &v) == 0 && strlen(format_size(v, text)) >= NUM_TEXT_MAX)
		abort();
	if (parse_duration(s, &v) == 0 && strlen(format_duration(v, text)) >= NUM_TEXT_MAX)
		abort();
	if (parse_rate(s, &v) == 0 && !strstr(s, "/s"))
		abort();
	if (parse_double(s, &d) == 0 &&
	    (parse_double(format_double(d, text), &again) < 0 || again != d))
		abort();
	return 0;
}
