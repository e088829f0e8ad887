/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The worker's network: its link, its rules in the kernel, and what is served on it. */
#ifndef CONTRACTOR_MANAGER_RUN_NET_H
#define CONTRACTOR_MANAGER_RUN_NET_H

#include "base/loop.h"
#include "denials.h"
#include "net/policy.h"
#include "order.h"

/* The worker's and the host's side of the link: locally administered, the same in every build. */
#define RUN_NET_WORKER_MAC "52:54:00:63:74:72"

struct run_net;

struct run_net_callbacks {
	/* The attempt at this index of the table is new, or has been counted once more. */
	void (*denied)(size_t index, void *user_data);
	/* The total of network.bandwidth is used up: granted and used, in bytes. */
	void (*over)(uint64_t granted, uint64_t used, void *user_data);
	/* It cannot go on: the dialer has ended. */
	void (*broken)(const char *why, void *user_data);
	void *user_data;
};

/*
 * Sets everything up in the present network namespace, which must be empty and ours, and serves in
 * the loop. The order and `dialer_fd` are borrowed while it lives. 0 or a negative errno.
 */
int run_net_new(struct loop *l, const struct order_network *order, int dialer_fd,
		const struct run_net_callbacks *cb, struct run_net **ret, struct err *e);

/* The tap for QEMU, owned by the net. */
int run_net_tap(const struct run_net *n);

/* From now on this phase's rules hold. */
void run_net_set_phase(struct run_net *n, enum net_phase phase);

struct denials *run_net_denials(struct run_net *n);

/* Takes what the kernel has logged and is not read yet. */
void run_net_drain(struct run_net *n);

/*
 * Asks the kernel's wall behind network.bandwidth's total, which counts headers too: calls `over`
 * when a build that sends hardly anything but headers has come to it.
 */
void run_net_poll(struct run_net *n);

/* Payload bytes from and to the worker so far. */
void run_net_bytes(const struct run_net *n, uint64_t *ret_up, uint64_t *ret_down);

struct run_net *run_net_free(struct run_net *n);

#endif
