/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The order: what the CLI asks a manager to run, as a value and as a JSON control message. */
#ifndef CONTRACTOR_MANAGER_ORDER_H
#define CONTRACTOR_MANAGER_ORDER_H

#include "base/json.h"
#include "net/rule.h"
#include "vm/vm.h"

struct order_part {
	uint64_t offset, size;
};

/* What the worker may reach; not enabled: it has no network device at all. */
struct order_network {
	bool enabled;
	struct net_rule *rules; /* owned */
	size_t n_rules;
	uint64_t rate, total; /* bytes a second each way, bytes both ways; 0: no limit */
};

/* What the worker's memory has to do with a template of it. */
enum order_template {
	ORDER_TEMPLATE_NONE,
	ORDER_TEMPLATE_SAVE, /* the worker boots, is saved when it is ready, and ends */
	ORDER_TEMPLATE_USE,  /* it is restored instead of booted */
	ORDER_TEMPLATE_HOLD, /* it boots, and the manager with it waits to be saved by others */
	_ORDER_TEMPLATE_MAX,
};

/* What the state of a worker's devices may take, behind its memory; it is below 1 MiB. */
#define ORDER_STATE_MAX (64 * MIB)
/* Bytes of a seed for the random numbers of what is restored. */
#define ORDER_SEED_SIZE 32
/* OFFSET+SIZE[,OFFSET+SIZE...] in bytes, with its NUL: the layers on an input disk, lowest first.
 */
#define ORDER_LAYERS_MAX 512

/* Times in milliseconds, sizes in bytes. */
struct order {
	char arch[16];
	enum vm_machine machine;
	bool force_tcg; /* do not look for KVM */
	bool prepare;	/* run a play, whose changes stay on the scratch disk, and no build */
	uint32_t cpus;
	uint64_t memory;
	char cmdline[2048];
	struct order_part root, kernel, initrd; /* stretches of the image */
	/*
	 * Of the image too, and only where there is no kernel: the firmware then boots from the
	 * scratch disk, which is a copy of root, and the worker has this beside it. Size 0: none.
	 */
	struct order_part seed;
	uint64_t boot_ms; /* from the start of QEMU to `ready` */
	uint64_t time_ms; /* wall clock of the whole */
	uint64_t cpu_time_ms;
	uint64_t disk, output, log;
	uint64_t disk_full_at; /* allocated bytes of the scratch file that mean: it was full */
	int nice;
	enum vm_io io;
	enum order_template template;
	struct order_network network;
};

/* The message {"type": "build", ...}; NULL: OOM. */
cJSON *order_to_json(const struct order *o);

/* Checks every member. 0 or -EBADMSG with the member's name; order_done frees *ret. */
int order_from_json(const cJSON *msg, struct order *ret, struct err *e);

/* Frees what the order owns. Accepts a zeroed one. */
void order_done(struct order *o);

#endif
