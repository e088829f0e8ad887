/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Refused attempts: a flood of different ones ends in one entry for "others". */
#include "denials.h"

#include <errno.h>
#include <string.h>

#include "base/macro.h"

static bool same(const struct denial *a, const struct denial *b)
{
	return a->port == b->port && strcmp(a->protocol, b->protocol) == 0 &&
	       strcmp(a->host, b->host) == 0 && strcmp(a->address, b->address) == 0 &&
	       a->phase == b->phase;
}

int denials_add(struct denials *t, const struct denial *a)
{
	static const struct denial others = {
		.protocol = "others",
		.phase = NET_PHASE_BUILD,
		.reason = "further attempts, more than are listed one by one",
	};

	if (!t->list) {
		t->list = calloc(DENIALS_MAX + 1, sizeof(*t->list));
		if (!t->list)
			return -ENOMEM;
	}
	for (size_t i = 0; i < t->n; i++) {
		if (same(&t->list[i], a) || i == DENIALS_MAX) {
			t->list[i].count++;
			return (int)i;
		}
	}
	t->list[t->n] = t->n == DENIALS_MAX ? others : *a;
	t->list[t->n].count = 1;
	t->list[t->n].told = false;
	return (int)t->n++;
}

void denials_done(struct denials *t)
{
	free(t->list);
	*t = (struct denials){0};
}
