#ifndef RING_H
#define RING_H

#include <stddef.h>

/* A ring of bytes in memory of the caller's. */
struct ring {
	unsigned char *data;
	size_t size, first, used;
};

/* Puts in as many of n bytes as there is room for, and takes out as many as there are: how many. */
size_t ring_put(struct ring *r, const void *data, size_t n);
size_t ring_take(struct ring *r, void *data, size_t n);

#endif
