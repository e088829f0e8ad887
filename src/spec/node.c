/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The nodes of a document: growth, merge keys and duplicates, and the way to JSON. */
#include <errno.h>

#include "base/json.h"
#include "base/text.h"
#include "doc.h"

/* cJSON prints integers below 10^15 exactly as they are; more digits go in as raw text. */
#define EXACT_DIGITS 15

struct doc *doc_free(struct doc *d)
{
	if (!d)
		return NULL;
	while (d->nodes) {
		struct node *n = d->nodes;

		d->nodes = n->next;
		if (n->type == NODE_SEQ)
			free(n->items);
		else if (n->type == NODE_MAP)
			free(n->pairs);
		free(n->text);
		free(n->number);
		free(n);
	}
	free(d);
	return NULL;
}

const char *node_type_words(enum node_type t)
{
	switch (t) {
	case NODE_NULL:
		return "nothing (null)";
	case NODE_BOOL:
		return "a boolean";
	case NODE_INT:
	case NODE_FLOAT:
		return "a number";
	case NODE_STR:
		return "text";
	case NODE_SEQ:
		return "a list";
	case NODE_MAP:
		return "a mapping";
	case _NODE_TYPE_MAX:
		break;
	}
	return "unknown";
}

/* The next room for n elements, doubling. NULL: OOM. */
static void *grow(void *old, size_t n, size_t *room, size_t size)
{
	size_t want = *room ? *room * 2 : 4;
	void *p;

	if (n < *room)
		return old;
	p = reallocarray(old, want, size);
	if (p)
		*room = want;
	return p;
}

static void account(struct node *parent, const struct node *child)
{
	parent->weight += child->weight;
	parent->bytes += child->bytes;
	parent->height = MAX(parent->height, child->height + 1);
}

int node_add_item(struct node *seq, struct node *item)
{
	struct node **p = grow(seq->items, seq->n, &seq->room, sizeof(*p));

	if (!p)
		return -ENOMEM;
	seq->items = p;
	p[seq->n++] = item;
	account(seq, item);
	return 0;
}

int node_add_pair(struct node *map, struct node_pair pair)
{
	struct node_pair *p = grow(map->pairs, map->n, &map->room, sizeof(*p));

	if (!p)
		return -ENOMEM;
	map->pairs = p;
	p[map->n++] = pair;
	account(map, pair.key);
	account(map, pair.value);
	return 0;
}

const char *node_key(const struct node *key)
{
	switch (key->type) {
	case NODE_NULL:
		return "null";
	case NODE_BOOL:
		return key->truth ? "true" : "false";
	case NODE_INT:
	case NODE_FLOAT:
		return key->number;
	case NODE_STR:
	case NODE_SEQ:
	case NODE_MAP:
	case _NODE_TYPE_MAX:
		break;
	}
	return key->text ? key->text : "";
}

/*
 * What makes two keys the same: their text in JSON, and as in Python 1, 1.0 and true are the same
 * number. The length counts: a final ".0" is left out of it.
 */
static const char *key_identity(const struct node *key, size_t *ret_len)
{
	const char *s = node_key(key);
	size_t n = strlen(s);

	if (key->type == NODE_BOOL) {
		s = key->truth ? "1" : "0";
		n = 1;
	} else if (key->type == NODE_FLOAT && n > 2 && strcmp(s + n - 2, ".0") == 0) {
		n -= 2;
		if (n == 2 && strncmp(s, "-0", 2) == 0) {
			s++;
			n--;
		}
	}
	*ret_len = n;
	return s;
}

static int compare_keys(const struct node *a, const struct node *b)
{
	size_t na, nb;
	const char *sa = key_identity(a, &na), *sb = key_identity(b, &nb);
	int d = memcmp(sa, sb, MIN(na, nb));

	return d ? d : (na > nb) - (na < nb);
}

/* Orders places in the list of pairs by key, equal ones by where they stand. */
static int compare_pairs(const void *a, const void *b)
{
	const struct node_pair *pa = *(const struct node_pair *const *)a;
	const struct node_pair *pb = *(const struct node_pair *const *)b;
	int d = compare_keys(pa->key, pb->key);

	return d ? d : (pa > pb) - (pa < pb);
}

static int fail_duplicate(const struct node *first, const struct node *second, const char *name,
			  struct err *e)
{
	const char *key = node_key(second);
	char shown[80];

	(void)text_escape_line(key, strlen(key), shown, sizeof(shown));
	return doc_error(e, -EBADMSG, name, second->line, second->column,
			 "the key \"%s\" is there already, at line %d%s", shown, first->line,
			 second->merge_key ? "; merge several by << with a list" : "");
}

/* Appends the pairs of one mapping that is to be merged. */
static int merge_one(struct node *into, const struct node *from, const char *name, struct err *e)
{
	if (from->type != NODE_MAP)
		return doc_error(e, -EBADMSG, name, from->line, from->column,
				 "<< merges a mapping or a list of mappings, this is %s",
				 node_type_words(from->type));
	for (size_t i = 0; i < from->n; i++) {
		struct node_pair p = {from->pairs[i].key, from->pairs[i].value, true};

		if (node_add_pair(into, p) < 0)
			return err_oom(e);
	}
	return 0;
}

/* The pairs that << brings in, those of later list entries first: the first entry wins. */
static int merge_all(struct node *into, const struct node *value, const char *name, struct err *e)
{
	int r = 0;

	if (value->type != NODE_SEQ)
		return merge_one(into, value, name, e);
	for (size_t i = value->n; i > 0 && r == 0; i--)
		r = merge_one(into, value->items[i - 1], name, e);
	return r;
}

/*
 * Each key once, at its first place and with its last value, as a Python dictionary has it; two
 * that the mapping itself has are a mistake.
 */
static int unite_keys(struct node *map, const char *name, struct err *e)
{
	_cleanup_free_ struct node_pair **order = NULL;
	struct node_pair *first = NULL;
	const struct node *own = NULL;
	size_t kept = 0;

	order = calloc(map->n + 1, sizeof(struct node_pair *));
	if (!order)
		return err_oom(e);
	for (size_t i = 0; i < map->n; i++)
		order[i] = &map->pairs[i];
	qsort(order, map->n, sizeof(struct node_pair *), compare_pairs);
	for (size_t i = 0; i < map->n; i++) {
		struct node_pair *p = order[i];

		if (!first || compare_keys(first->key, p->key) != 0) {
			first = p;
			own = NULL;
		}
		if (!p->merged && own)
			return fail_duplicate(own, p->key, name, e);
		if (!p->merged)
			own = p->key;
		if (p != first) {
			first->value = p->value;
			p->key = NULL;
		}
	}
	for (size_t i = 0; i < map->n; i++) {
		if (map->pairs[i].key)
			map->pairs[kept++] = map->pairs[i];
	}
	map->n = kept;
	return 0;
}

int node_finish_map(struct node *map, const char *name, struct err *e)
{
	struct node merged = {.type = NODE_MAP, .weight = 1, .height = 1};
	const struct node *merge_key = NULL;
	int r = 0;

	for (size_t i = 0; i < map->n && r == 0; i++) {
		const struct node_pair *p = &map->pairs[i];

		if (!p->key->merge_key)
			continue;
		if (merge_key)
			r = fail_duplicate(merge_key, p->key, name, e);
		else
			r = merge_all(&merged, p->value, name, e);
		merge_key = p->key;
	}
	for (size_t i = 0; i < map->n && merge_key && r == 0; i++) {
		if (!map->pairs[i].key->merge_key && node_add_pair(&merged, map->pairs[i]) < 0)
			r = err_oom(e);
	}
	if (r < 0 || !merge_key) {
		free(merged.pairs);
	} else {
		free(map->pairs);
		map->pairs = merged.pairs;
		map->n = merged.n;
		map->room = merged.room;
		map->weight = merged.weight;
		map->bytes = merged.bytes;
		map->height = merged.height;
	}
	return r < 0 ? r : unite_keys(map, name, e);
}

static cJSON *json_number(const struct node *n)
{
	const char *p = n->number;
	size_t digits = strlen(p) - (*p == '-');
	double v = 0;

	/* a double keeps no difference between 1 and 1.0 */
	if (n->type == NODE_FLOAT || digits > EXACT_DIGITS)
		return cJSON_CreateRaw(p);
	for (p += *p == '-'; *p; p++)
		v = v * 10 + (*p - '0');
	return cJSON_CreateNumber(n->number[0] == '-' ? -v : v);
}

static bool fill_json(cJSON *out, const struct node *n)
{
	for (size_t i = 0; i < n->n; i++) {
		cJSON *child = node_json(n->type == NODE_SEQ ? n->items[i] : n->pairs[i].value);
		bool ok = child;

		if (ok && n->type == NODE_SEQ)
			ok = cJSON_AddItemToArray(out, child);
		else if (ok)
			ok = cJSON_AddItemToObject(out, node_key(n->pairs[i].key), child);
		if (!ok) {
			cJSON_Delete(child);
			return false;
		}
	}
	return true;
}

cJSON *node_json(const struct node *n)
{
	_cleanup_(json_free_p) cJSON *out = NULL;

	switch (n->type) {
	case NODE_NULL:
		return cJSON_CreateNull();
	case NODE_BOOL:
		return cJSON_CreateBool(n->truth);
	case NODE_INT:
	case NODE_FLOAT:
		return json_number(n);
	case NODE_STR:
	case _NODE_TYPE_MAX:
		return cJSON_CreateString(n->text);
	case NODE_SEQ:
	case NODE_MAP:
		break;
	}
	out = n->type == NODE_SEQ ? cJSON_CreateArray() : cJSON_CreateObject();
	if (!out || !fill_json(out, n))
		return NULL;
	return take_ptr(&out);
}
