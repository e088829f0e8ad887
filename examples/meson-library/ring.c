#include "ring.h"

size_t ring_put(struct ring *r, const void *data, size_t n)
{
	const unsigned char *from = data;
	size_t i;

	for (i = 0; i < n && r->used < r->size; i++)
		r->data[(r->first + r->used++) % r->size] = from[i];
	return i;
}

size_t ring_take(struct ring *r, void *data, size_t n)
{
	unsigned char *to = data;
	size_t i;

	for (i = 0; i < n && r->used > 0; i++, r->used--) {
		to[i] = r->data[r->first];
		r->first = (r->first + 1) % r->size;
	}
	return i;
}
