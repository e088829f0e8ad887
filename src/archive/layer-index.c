/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A hash table of path to place in a list. */
#include "layer-index.h"

#include <errno.h>

/* FNV-1a. */
static uint32_t hash_of(const char *path, size_t len)
{
	uint32_t h = 2166136261U;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)path[i]) * 16777619U;
	return h;
}

void layer_index_done(struct layer_index *x)
{
	free(x->slots);
	*x = (struct layer_index){0};
}

static bool entry_at(const struct layer_index *x, const struct layer_mark *m,
		     struct layer_entry *ret)
{
	size_t at = m->at - 1;

	return layer_next(x->list->data, x->list->len, &at, ret);
}

struct layer_mark *layer_index_find(const struct layer_index *x, const char *path, size_t len,
				    struct layer_entry *ret)
{
	uint32_t h = hash_of(path, len);
	struct layer_entry n;

	if (x->n_slots == 0)
		return NULL;
	for (size_t i = h & (x->n_slots - 1); x->slots[i].at; i = (i + 1) & (x->n_slots - 1)) {
		if (x->slots[i].hash != h || !entry_at(x, &x->slots[i], &n) ||
		    strlen(n.path) != len || memcmp(n.path, path, len) != 0)
			continue;
		if (ret)
			*ret = n;
		return &x->slots[i];
	}
	return NULL;
}

static void put(struct layer_mark *slots, size_t n_slots, const struct layer_mark *m)
{
	size_t i = m->hash & (n_slots - 1);

	while (slots[i].at)
		i = (i + 1) & (n_slots - 1);
	slots[i] = *m;
}

static int grow(struct layer_index *x)
{
	size_t n = x->n_slots ? x->n_slots * 2 : 1024;
	struct layer_mark *slots = calloc(n, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < x->n_slots; i++) {
		if (x->slots[i].at)
			put(slots, n, &x->slots[i]);
	}
	free(x->slots);
	x->slots = slots;
	x->n_slots = n;
	return 0;
}

int layer_index_add(struct layer_index *x, const char *path, size_t at, bool written)
{
	const struct layer_mark m = {.at = at + 1,
				     .hash = hash_of(path, strlen(path)),
				     .written = written};

	if (x->used * 2 >= x->n_slots && grow(x) < 0)
		return -ENOMEM;
	put(x->slots, x->n_slots, &m);
	x->used++;
	return 0;
}
