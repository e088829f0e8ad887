/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Synthetic addresses: an array by address, and an open hash table by name. */
#include "synth.h"

#include <arpa/inet.h>
#include <errno.h>

#define SLOTS (2 * NET_SYNTH_NAMES_MAX) /* a power of two, at most half full */

struct net_synth {
	uint32_t first;
	uint32_t size; /* addresses in the range */
	uint32_t used;
	char *names[NET_SYNTH_NAMES_MAX];
	uint16_t slots[SLOTS]; /* index into names plus one; 0: free */
};

int net_synth_new(uint32_t first, uint32_t last, struct net_synth **ret)
{
	struct net_synth *s;

	if (last < first)
		return -EINVAL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->first = first;
	s->size = last - first == UINT32_MAX ? UINT32_MAX : last - first + 1;
	*ret = s;
	return 0;
}

struct net_synth *net_synth_free(struct net_synth *s)
{
	if (!s)
		return NULL;
	for (uint32_t i = 0; i < s->used; i++)
		free(s->names[i]);
	free(s);
	return NULL;
}

/* FNV-1a. Chosen collisions cost a guest's own questions at most one walk of the table. */
static size_t hash(const char *name)
{
	uint32_t h = 2166136261U;

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 16777619U;
	return h & (SLOTS - 1);
}

int net_synth_get(struct net_synth *s, const char *name, struct net_addr *ret)
{
	size_t i = hash(name);

	for (; s->slots[i]; i = (i + 1) & (SLOTS - 1)) {
		uint32_t n = s->slots[i] - 1U;

		if (strcmp(s->names[n], name) == 0) {
			*ret = net_addr_ip4(s->first + n);
			return 0;
		}
	}
	if (s->used == NET_SYNTH_NAMES_MAX || s->used == s->size)
		return -ENOSPC;
	s->names[s->used] = strdup(name);
	if (!s->names[s->used])
		return -ENOMEM;
	*ret = net_addr_ip4(s->first + s->used);
	s->slots[i] = (uint16_t)++s->used;
	return 0;
}

/* The place in the range, or UINT32_MAX. */
static uint32_t offset_of(const struct net_synth *s, const struct net_addr *a)
{
	uint32_t be, host;

	if (a->v6)
		return UINT32_MAX;
	memcpy(&be, a->b, sizeof(be));
	host = ntohl(be);
	return host < s->first || host - s->first >= s->size ? UINT32_MAX : host - s->first;
}

const char *net_synth_name(const struct net_synth *s, const struct net_addr *a)
{
	uint32_t i = offset_of(s, a);

	return i < s->used ? s->names[i] : NULL;
}

bool net_synth_contains(const struct net_synth *s, const struct net_addr *a)
{
	return offset_of(s, a) != UINT32_MAX;
}
