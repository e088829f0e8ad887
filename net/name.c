/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Host names folded, checked and compared; ASCII only, whatever the locale. */
#include "name.h"

#include <errno.h>

#include "base/macro.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_label_char(char c)
{
	return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '_';
}

static bool is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f');
}

/* "1", "0x7f": what inet_aton, and so getaddrinfo, reads as part of an IPv4 address. */
static bool is_number(const char *label, size_t len)
{
	size_t i = 0;

	if (len >= 2 && label[0] == '0' && label[1] == 'x') {
		for (i = 2; i < len && is_hex(label[i]); i++)
			;
		return i == len;
	}
	while (i < len && is_digit(label[i]))
		i++;
	return i == len;
}

static int check_label(const char *label, size_t len)
{
	if (len == 0 || label[0] == '-' || label[len - 1] == '-')
		return -EINVAL;
	if (len > NET_LABEL_MAX)
		return -ENAMETOOLONG;
	for (size_t i = 0; i < len; i++) {
		if (!is_label_char(label[i]))
			return -EINVAL;
	}
	return 0;
}

int net_name_fold(const char *name, size_t len, char ret[NET_NAME_SIZE])
{
	char out[NET_NAME_SIZE];
	size_t start = 0;
	int r;

	if (len > 0 && name[len - 1] == '.')
		len--;
	if (len == 0)
		return -EINVAL;
	if (len >= NET_NAME_SIZE)
		return -ENAMETOOLONG;
	for (size_t i = 0; i < len; i++)
		out[i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] | 0x20) : name[i];
	out[len] = '\0';
	for (size_t i = 0; i <= len; i++) {
		if (i < len && out[i] != '.')
			continue;
		r = check_label(out + start, i - start);
		if (r < 0)
			return r;
		if (i == len && is_number(out + start, i - start))
			return -EINVAL;
		start = i + 1;
	}
	memcpy(ret, out, len + 1);
	return 0;
}

bool net_name_below(const char *name, const char *suffix)
{
	size_t n = strlen(name), s = strlen(suffix);

	return s > 0 && n > s + 1 && name[n - s - 1] == '.' && strcmp(name + n - s, suffix) == 0;
}
