/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The byte buffer: doubling growth under a cap. */
#include "buf.h"

#include <errno.h>
#include <stdarg.h>

void buf_done(struct buf *b)
{
	free(b->data);
	memset(b, 0, sizeof(*b));
}

int buf_reserve(struct buf *b, size_t n)
{
	size_t cap = b->cap ? b->cap : BUF_CAP_DEFAULT;
	size_t want, size;
	char *p;

	if (n > cap || b->len > cap - n)
		return -E2BIG;
	want = b->len + n + 1;
	if (want <= b->size)
		return 0;
	size = MAX(b->size * 2, (size_t)64);
	if (size < want)
		size = want;
	if (size > cap + 1)
		size = cap + 1;
	p = realloc(b->data, size);
	if (!p)
		return -ENOMEM;
	b->data = p;
	b->size = size;
	p[b->len] = '\0';
	return 0;
}

int buf_put(struct buf *b, const void *data, size_t n)
{
	int r = buf_reserve(b, n);

	if (r < 0)
		return r;
	if (n)
		memcpy(b->data + b->len, data, n);
	b->len += n;
	b->data[b->len] = '\0';
	return 0;
}

int buf_puts(struct buf *b, const char *s)
{
	return buf_put(b, s, strlen(s));
}

int buf_putc(struct buf *b, char c)
{
	return buf_put(b, &c, 1);
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n, r;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return -EINVAL;
	r = buf_reserve(b, (size_t)n);
	if (r < 0)
		return r;
	va_start(ap, fmt);
	(void)vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
	return 0;
}

void buf_drop(struct buf *b, size_t n)
{
	if (n >= b->len) {
		b->len = 0;
	} else {
		memmove(b->data, b->data + n, b->len - n);
		b->len -= n;
	}
	if (b->data)
		b->data[b->len] = '\0';
}

const char *buf_str(const struct buf *b)
{
	return b->data ? b->data : "";
}

char *buf_take(struct buf *b)
{
	char *s;

	if (buf_reserve(b, 0) < 0)
		return NULL;
	s = b->data;
	b->data = NULL;
	b->len = b->size = 0;
	return s;
}
