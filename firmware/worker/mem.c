/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a compiler may call without being asked to. */
#include "sys.h"

void *memcpy(void *to, const void *from, unsigned long n);
void *memset(void *to, int value, unsigned long n);

void *memcpy(void *to, const void *from, unsigned long n)
{
	copy(to, from, (long)n);
	return to;
}

void *memset(void *to, int value, unsigned long n)
{
	char *p = to;

	for (; n > 0; n--) {
		*p++ = (char)value;
		__asm__("" : "+r"(p));
	}
	return to;
}
