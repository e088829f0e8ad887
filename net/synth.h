/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Synthetic addresses: one IPv4 address for each allowed name, the same for the whole build. */
#ifndef CONTRACTOR_NET_SYNTH_H
#define CONTRACTOR_NET_SYNTH_H

#include "addr.h"
#include "name.h"

/* A guest that asks for ever new names below an allowed suffix gets so many and no more. */
#define NET_SYNTH_NAMES_MAX 4096

struct net_synth;

/* Addresses first, first + 1, ... last (host order, IPv4). 0, -EINVAL or -ENOMEM. */
int net_synth_new(uint32_t first, uint32_t last, struct net_synth **ret);

/* The address of a folded name, given out now if it has none. 0, -ENOSPC or -ENOMEM. */
int net_synth_get(struct net_synth *s, const char *name, struct net_addr *ret);

/* The name behind an address, owned by s; NULL if it was never given out. */
const char *net_synth_name(const struct net_synth *s, const struct net_addr *a);

/* True if the address is of the range, given out or not. */
bool net_synth_contains(const struct net_synth *s, const struct net_addr *a);

struct net_synth *net_synth_free(struct net_synth *s);
CLEANUP_FUNC(net_synth_free, struct net_synth)

#endif
