/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Typed commands: arguments and answers as values, numbers checked. */
#ifndef CONTRACTOR_QMP_COMMANDS_H
#define CONTRACTOR_QMP_COMMANDS_H

#include "qmp.h"

#define QMP_NODES_MAX	  16
#define QMP_NODE_NAME_MAX 32

/* Counters of one block node since the start, in bytes. */
struct qmp_node_stats {
	char node[QMP_NODE_NAME_MAX]; /* node-name */
	uint64_t rd_bytes, wr_bytes;
	uint64_t wr_highest_offset; /* of the node's file */
};

struct qmp_blockstats {
	struct qmp_node_stats nodes[QMP_NODES_MAX];
	size_t n;
};

/* `stats` is borrowed, NULL unless code is 0; codes and e as in qmp_reply_fn, and -EBADMSG. */
typedef void (*qmp_blockstats_fn)(int code, const struct qmp_blockstats *stats, const struct err *e,
				  void *user_data);

/* Pure: the answer of query-blockstats (block-core.json). 0 or -EBADMSG. */
int qmp_parse_blockstats(const cJSON *ret, struct qmp_blockstats *out, struct err *e);

/* query-blockstats. 0 or a negative errno (then fn is not called). */
int qmp_query_blockstats(struct qmp *q, uint64_t deadline_ms, qmp_blockstats_fn fn,
			 void *user_data);

#define QMP_VCPUS_MAX 255

/* Thread ids of the vCPUs as QEMU's own process namespace has them, by index. */
struct qmp_vcpus {
	uint64_t thread[QMP_VCPUS_MAX];
	size_t n;
};

/* Pure: the answer of query-cpus-fast (machine.json). 0 or -EBADMSG. */
int qmp_parse_vcpus(const cJSON *ret, struct qmp_vcpus *out, struct err *e);

/* Pure: the sum of one counter of all vCPUs in the answer of query-stats (stats.json); what is not
 * there or no number counts as 0, for nothing in it is promised to stay. */
uint64_t qmp_parse_stat(const cJSON *ret, const char *name);

/* query-cpus-fast; its answer goes to qmp_parse_vcpus. 0 or a negative errno. */
int qmp_query_vcpus(struct qmp *q, uint64_t deadline_ms, qmp_reply_fn fn, void *user_data);

/*
 * query-stats of the vCPUs, one counter of KVM's by name; its answer goes to qmp_parse_stat. QEMU
 * has it since 7.1 (-ENOSYS before), and without KVM the answer is an empty list.
 */
int qmp_query_stat(struct qmp *q, const char *name, uint64_t deadline_ms, qmp_reply_fn fn,
		   void *user_data);

/* quit: QEMU answers and ends. fn may be NULL. */
int qmp_quit(struct qmp *q, uint64_t deadline_ms, qmp_reply_fn fn, void *user_data);

#endif
