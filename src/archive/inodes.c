/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A hash table of (device, inode) to path, for hard links, with a hard cap on its memory. */
#include "inodes.h"

#include <errno.h>

struct inodes_slot {
	dev_t dev;
	ino_t ino;
	size_t path; /* offset in paths, plus 1; 0 marks a free slot */
};

static size_t hash(dev_t dev, ino_t ino)
{
	uint64_t h = (uint64_t)ino * 0x9e3779b97f4a7c15ULL ^ (uint64_t)dev * 0xc2b2ae3d27d4eb4fULL;

	return (size_t)(h ^ h >> 32);
}

void inodes_done(struct inodes *m)
{
	free(m->slots);
	buf_done(&m->paths);
	*m = (struct inodes){0};
}

/* The inode's slot, or the free one where it belongs. The table is never full. */
static struct inodes_slot *slot_of(struct inodes_slot *slots, size_t n, dev_t dev, ino_t ino)
{
	size_t i = hash(dev, ino) & (n - 1);

	while (slots[i].path && (slots[i].dev != dev || slots[i].ino != ino))
		i = (i + 1) & (n - 1);
	return &slots[i];
}

const char *inodes_find(const struct inodes *m, dev_t dev, ino_t ino)
{
	const struct inodes_slot *s;

	if (!m->slots)
		return NULL;
	s = slot_of(m->slots, m->n_slots, dev, ino);
	return s->path ? m->paths.data + s->path - 1 : NULL;
}

static int grow(struct inodes *m)
{
	size_t n = m->n_slots ? m->n_slots * 2 : 64;
	struct inodes_slot *slots = calloc(n, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < m->n_slots; i++) {
		const struct inodes_slot *s = &m->slots[i];

		if (s->path)
			*slot_of(slots, n, s->dev, s->ino) = *s;
	}
	free(m->slots);
	m->slots = slots;
	m->n_slots = n;
	return 0;
}

int inodes_add(struct inodes *m, dev_t dev, ino_t ino, const char *path)
{
	size_t at = m->paths.len;
	int r;

	m->paths.cap = INODES_PATHS_MAX;
	if (m->used * 2 >= m->n_slots) {
		r = grow(m);
		if (r < 0)
			return r;
	}
	r = buf_put(&m->paths, path, strlen(path) + 1);
	if (r < 0)
		return r;
	*slot_of(m->slots, m->n_slots, dev, ino) =
		(struct inodes_slot){.dev = dev, .ino = ino, .path = at + 1};
	m->used++;
	return 0;
}
