/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One hash table of (folder, name) for all folders, walked by a path's parts. */
#include "erofs-tree.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/random.h>

/* Of a 128 bit product both halves: an input whose bits are not known makes all of them unknown. */
static uint64_t mix(uint64_t a, uint64_t b)
{
	__extension__ typedef unsigned __int128 u128;
	u128 m = (u128)a * b;

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static uint64_t hash(const struct erofs_tree *t, uint32_t folder, const char *name, size_t len)
{
	uint64_t h = mix(t->key[0] ^ folder, t->key[1] ^ len), word;

	for (; len >= sizeof(word); name += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, name, sizeof(word));
		h = mix(h ^ word, t->key[1]);
	}
	word = 0;
	memcpy(&word, name, len);
	return mix(h ^ word, t->key[0]);
}

int erofs_tree_init(struct erofs_tree *t)
{
	*t = (struct erofs_tree){
		.items = {.cap = EROFS_ENTRIES_MAX * sizeof(struct erofs_item)},
		.names = {.cap = 64 * GIB},
	};
	if (getrandom(t->key, sizeof(t->key), 0) != (ssize_t)sizeof(t->key))
		return -EIO;
	t->key[0] |= 1;
	t->key[1] |= 1;
	/* what both dots point to */
	return buf_puts(&t->names, "..");
}

void erofs_tree_done(struct erofs_tree *t)
{
	buf_done(&t->items);
	buf_done(&t->names);
	free(t->slots);
	*t = (struct erofs_tree){0};
}

static bool is_name(const struct erofs_tree *t, const struct erofs_item *item, uint32_t folder,
		    const char *name, size_t len)
{
	return item->parent == folder && item->len == len &&
	       memcmp(t->names.data + item->name, name, len) == 0;
}

/* The name's slot, or the free one where it belongs. The table is never full. */
static uint32_t *slot_of(const struct erofs_tree *t, uint32_t folder, const char *name, size_t len)
{
	size_t i = (size_t)hash(t, folder, name, len) & (t->n_slots - 1);

	while (t->slots[i] && !is_name(t, &erofs_tree_items(t)[t->slots[i] - 1], folder, name, len))
		i = (i + 1) & (t->n_slots - 1);
	return &t->slots[i];
}

static int grow(struct erofs_tree *t)
{
	size_t old = t->n_slots, n = old ? old * 2 : 256;
	uint32_t *slots = t->slots;

	t->slots = calloc(n, sizeof(*slots));
	if (!t->slots) {
		t->slots = slots;
		return -ENOMEM;
	}
	t->n_slots = n;
	for (size_t i = 0; i < old; i++) {
		const struct erofs_item *item;

		if (!slots[i])
			continue;
		item = &erofs_tree_items(t)[slots[i] - 1];
		*slot_of(t, item->parent, t->names.data + item->name, item->len) = slots[i];
	}
	free(slots);
	return 0;
}

/* Whether this can be a name: 0 or a negative errno. */
static int check_name(const char *name, size_t len)
{
	if (len == 0 || (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.'))))
		return -EINVAL;
	return len > EROFS_NAME_MAX ? -ENAMETOOLONG : 0;
}

/* Walks to the folder that the path's last part is in, or ought to be. */
static int walk(const struct erofs_tree *t, const char *path, uint32_t *ret_folder,
		const char **ret_name, size_t *ret_len)
{
	uint32_t folder = 0;

	for (;;) {
		size_t len = strcspn(path, "/");
		int r = check_name(path, len);
		uint32_t slot;

		if (r < 0)
			return r;
		if (path[len] == '\0') {
			*ret_folder = folder;
			*ret_name = path;
			*ret_len = len;
			return 0;
		}
		slot = t->n_slots ? *slot_of(t, folder, path, len) : 0;
		if (!slot)
			return -ENOENT;
		if (erofs_tree_items(t)[slot - 1].type != EROFS_TYPE_FOLDER)
			return -ENOTDIR;
		folder = (uint32_t)erofs_tree_items(t)[slot - 1].where;
		path += len + 1;
	}
}

static int put_item(struct erofs_tree *t, const struct erofs_item *item)
{
	int r = buf_put(&t->items, item, sizeof(*item));

	return r == -E2BIG ? -EFBIG : r;
}

int erofs_tree_add(struct erofs_tree *t, const char *path, enum erofs_type type, uint32_t *ret)
{
	struct erofs_item item = {.name = t->names.len, .type = (uint8_t)type};
	const char *name;
	uint32_t *slot;
	size_t len;
	int r;

	r = walk(t, path, &item.parent, &name, &len);
	if (r < 0)
		return r;
	if (t->used * 2 >= t->n_slots) {
		r = grow(t);
		if (r < 0)
			return r;
	}
	slot = slot_of(t, item.parent, name, len);
	if (*slot)
		return -EEXIST;
	item.len = (uint8_t)len;
	r = buf_put(&t->names, name, len);
	if (r < 0)
		return r == -E2BIG ? -EFBIG : r;
	r = put_item(t, &item);
	if (r < 0)
		return r;
	*slot = erofs_tree_count(t);
	t->used++;
	*ret = *slot - 1;
	return 0;
}

int erofs_tree_add_dots(struct erofs_tree *t, uint32_t folder, uint32_t parent)
{
	struct erofs_item item = {.where = folder,
				  .parent = folder,
				  .len = 1,
				  .type = EROFS_TYPE_FOLDER};
	int r = put_item(t, &item);

	item.where = parent;
	item.len = 2;
	return r < 0 ? r : put_item(t, &item);
}

static int compare(const void *a, const void *b, void *user_data)
{
	const struct erofs_tree *t = user_data;
	const struct erofs_item *x = &erofs_tree_items(t)[*(const uint32_t *)a];
	const struct erofs_item *y = &erofs_tree_items(t)[*(const uint32_t *)b];
	int r = memcmp(t->names.data + x->name, t->names.data + y->name, MIN(x->len, y->len));

	return r ? r : x->len - y->len;
}

void erofs_tree_sort(const struct erofs_tree *t, uint32_t folders, uint32_t *order, uint32_t *first)
{
	const struct erofs_item *items = erofs_tree_items(t);
	uint32_t n = erofs_tree_count(t);

	memset(first, 0, (folders + (size_t)1) * sizeof(*first));
	for (uint32_t i = 0; i < n; i++)
		first[items[i].parent + 1]++;
	for (uint32_t i = 0; i < folders; i++)
		first[i + 1] += first[i];
	/* each item to its folder's end so far, from the back; then first[i + 1] is where i begins
	 */
	for (uint32_t i = n; i-- > 0;)
		order[--first[items[i].parent + 1]] = i;
	memmove(first, first + 1, folders * sizeof(*first));
	first[folders] = n;
	for (uint32_t i = 0; i < folders; i++)
		qsort_r(order + first[i], first[i + 1] - first[i], sizeof(*order), compare,
			(void *)t);
}
