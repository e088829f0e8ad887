/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzz target: text of strangers, escaped, is harmless to a terminal; escaping twice changes it
 * no more.
 */
#include "base/macro.h"
#include "base/text.h"
#include "fuzz.h"

static void check_harmless(const char *s, size_t n, int newline_ok)
{
	size_t i;

	for (i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if ((c < 0x20 && c != '\t' && !(c == '\n' && newline_ok)) || c == 0x7f)
			abort();
	}
	if (!text_is_utf8(s, n))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {"source", "workspace", "worker-image", "build"};
	_cleanup_buf_ struct buf once = {0}, twice = {0}, word = {0};
	char line[80];

	if (text_escape(&once, (const char *)data, size) < 0)
		return 0;
	check_harmless(buf_str(&once), once.len, 1);
	if (text_escape(&twice, buf_str(&once), once.len) < 0)
		return 0;
	if (twice.len != once.len || memcmp(buf_str(&twice), buf_str(&once), once.len) != 0)
		abort();
	(void)text_escape_line((const char *)data, size, line, sizeof(line));
	check_harmless(line, strlen(line), 0);
	if (size <= 256 && buf_put(&word, data, size) == 0)
		(void)text_nearest(buf_str(&word), names, ARRAY_SIZE(names));
	return 0;
}
