/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The table of distinct refused attempts of one build: bounded, duplicates counted. */
#ifndef CONTRACTOR_MANAGER_DENIALS_H
#define CONTRACTOR_MANAGER_DENIALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/rule.h"

#define DENIALS_MAX 256 /* distinct ones; all that come after share one entry, the last */

/* Texts are printable, at most as long as their arrays. Entries with equal keys are one attempt. */
struct denial {
	char protocol[16];    /* key: dns, tcp, udp, icmp, ... */
	char host[256];	      /* key: the name, "" where there was none */
	char address[64];     /* key */
	uint64_t port;	      /* key; 0: none */
	enum net_phase phase; /* key */
	char reason[512];
	char remedy[512];
	uint64_t count;
	bool told; /* the CLI has heard of it */
};

struct denials {
	struct denial *list; /* owned; DENIALS_MAX + 1 once there is one */
	size_t n;
};

/* Counts an attempt (copied). Its index, or -ENOMEM. */
int denials_add(struct denials *t, const struct denial *a);
void denials_done(struct denials *t);

#endif
