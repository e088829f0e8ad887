/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A hash table of inode to bytes. */
#include "counted.h"

#include <errno.h>

#include "base/macro.h"

struct counted_file {
	uint64_t ino, data;
	bool used, has_copy, gone; /* gone: its number may be another file's by now */
};

static size_t slot_of(const struct counted *c, uint64_t ino)
{
	return (size_t)(ino * 0x9e3779b97f4a7c15ULL >> 32) & (c->n_slots - 1);
}

void counted_done(struct counted *c)
{
	free(c->slots);
	*c = (struct counted){0};
}

static void put(struct counted *c, const struct counted_file *f)
{
	size_t i = slot_of(c, f->ino);

	while (c->slots[i].used)
		i = (i + 1) & (c->n_slots - 1);
	c->slots[i] = *f;
}

static int grow(struct counted *c)
{
	struct counted bigger = {.n_slots = c->n_slots ? c->n_slots * 2 : 1024, .used = c->used};

	bigger.slots = calloc(bigger.n_slots, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < c->n_slots; i++) {
		if (c->slots[i].used)
			put(&bigger, &c->slots[i]);
	}
	free(c->slots);
	*c = bigger;
	return 0;
}

int counted_add(struct counted *c, const struct stat *st, uint64_t data, bool has_copy)
{
	const struct counted_file f = {.ino = st->st_ino,
				       .data = data,
				       .used = true,
				       .has_copy = has_copy};

	if (c->used * 2 >= c->n_slots && grow(c) < 0)
		return -ENOMEM;
	put(c, &f);
	c->used++;
	return 0;
}

bool counted_take(struct counted *c, const struct stat *st, uint64_t *ret_data)
{
	if (c->n_slots == 0)
		return false;
	for (size_t i = slot_of(c, st->st_ino); c->slots[i].used; i = (i + 1) & (c->n_slots - 1)) {
		struct counted_file *f = &c->slots[i];

		if (f->ino != st->st_ino || f->gone)
			continue;
		if (st->st_nlink > 1UL + f->has_copy)
			return false;
		f->gone = true;
		*ret_data = f->data;
		return true;
	}
	return false;
}
