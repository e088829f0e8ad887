/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Escaping of hostile text, UTF-8 checking and edit distance. */
#include "text.h"

#include <errno.h>
#include <stdbool.h>

/* Length of the UTF-8 sequence at p (RFC 3629: no overlong forms, no surrogates), 0 if broken. */
static size_t utf8_len(const unsigned char *p, size_t n)
{
	unsigned char lo = 0x80, hi = 0xbf;
	size_t len;

	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		len = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		len = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		len = 4;
	else
		return 0;
	if (n < len)
		return 0;
	if (p[0] == 0xe0)
		lo = 0xa0;
	else if (p[0] == 0xed)
		hi = 0x9f;
	else if (p[0] == 0xf0)
		lo = 0x90;
	else if (p[0] == 0xf4)
		hi = 0x8f;
	if (p[1] < lo || p[1] > hi)
		return 0;
	for (size_t i = 2; i < len; i++) {
		if (p[i] < 0x80 || p[i] > 0xbf)
			return 0;
	}
	return len;
}

/* C0, DEL, and C1 (U+0080..U+009F, 0xc2 0x80..0x9f), which some terminals obey. */
static bool is_control(const unsigned char *p, size_t len)
{
	if (len == 1)
		return p[0] < 0x20 || p[0] == 0x7f;
	return len == 2 && p[0] == 0xc2 && p[1] < 0xa0;
}

/* Bidirectional overrides and isolates (U+202A..202E, U+2066..2069): they reorder other text. */
static bool is_bidi(const unsigned char *p, size_t len)
{
	if (len != 3 || p[0] != 0xe2)
		return false;
	return (p[1] == 0x80 && p[2] >= 0xaa && p[2] <= 0xae) ||
	       (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9);
}

static int put_hex(struct buf *out, const unsigned char *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		int r = buf_printf(out, "\\x%02x", p[i]);

		if (r < 0)
			return r;
	}
	return 0;
}

int text_escape(struct buf *out, const char *data, size_t len)
{
	const unsigned char *p = (const unsigned char *)data;
	size_t i = 0;

	while (i < len) {
		size_t n = utf8_len(p + i, len - i);
		int r = 0;

		if (n == 0)
			r = put_hex(out, p + i, n = 1);
		else if (p[i] == '\r' && i + 1 < len && p[i + 1] == '\n')
			r = 0;
		else if (p[i] != '\n' && p[i] != '\t' &&
			 (is_control(p + i, n) || is_bidi(p + i, n)))
			r = put_hex(out, p + i, n);
		else
			r = buf_put(out, p + i, n);
		if (r < 0)
			return r;
		i += n;
	}
	return 0;
}

char *text_escape_line(const char *data, size_t len, char *out, size_t size)
{
	_cleanup_buf_ struct buf b = {0};
	size_t at = 0;

	if (size == 0)
		return out;
	out[0] = '\0';
	if (text_escape(&b, data, MIN(len, size)) < 0)
		return out;
	for (size_t i = 0, n; i < b.len; i += n) {
		const char *s = b.data[i] == '\n' ? "\\n" : b.data[i] == '\t' ? "\\t" : b.data + i;
		size_t len_out;

		n = utf8_len((const unsigned char *)b.data + i, b.len - i); /* escaped: never 0 */
		len_out = s == b.data + i ? n : 2;
		if (at + len_out + 4 > size) {
			(void)snprintf(out + at, size - at, "...");
			return out;
		}
		memcpy(out + at, s, len_out);
		at += len_out;
	}
	out[at] = '\0';
	return out;
}

int text_is_utf8(const char *data, size_t len)
{
	const unsigned char *p = (const unsigned char *)data;

	for (size_t i = 0; i < len;) {
		size_t n = p[i] ? utf8_len(p + i, len - i) : 0;

		if (n == 0)
			return false;
		i += n;
	}
	return true;
}

/* Edit distance with swaps of neighbours (optimal string alignment); words over 63 do not match. */
static size_t edit_distance(const char *a, const char *b)
{
	size_t la = strlen(a), lb = strlen(b);
	size_t rows[3][64];

	if (la > 63 || lb > 63)
		return 64;
	for (size_t j = 0; j <= lb; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t *row = rows[i % 3], *prev = rows[(i + 2) % 3], *prev2 = rows[(i + 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t d = prev[j - 1] + (a[i - 1] != b[j - 1]);

			d = MIN(d, prev[j] + 1);
			d = MIN(d, row[j - 1] + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d = MIN(d, prev2[j - 2] + 1);
			row[j] = d;
		}
	}
	return rows[la % 3][lb];
}

const char *text_nearest(const char *word, const char *const *names, size_t n)
{
	const char *best = NULL;
	size_t best_d = MAX(strlen(word) / 3, (size_t)1) + 1;

	for (size_t i = 0; i < n; i++) {
		size_t d = edit_distance(word, names[i]);

		if (d < best_d) {
			best_d = d;
			best = names[i];
		}
	}
	return best;
}

int text_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char *text_hex(const unsigned char *data, size_t n, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[data[i] >> 4];
		out[2 * i + 1] = digits[data[i] & 15];
	}
	out[2 * n] = '\0';
	return out;
}
