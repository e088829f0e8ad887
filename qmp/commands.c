/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Typed commands over the client. */
#include "commands.h"

#include <errno.h>

int qmp_parse_blockstats(const cJSON *ret, struct qmp_blockstats *out, struct err *e)
{
	struct qmp_blockstats s = {.n = 0};
	const cJSON *item;

	if (!cJSON_IsArray(ret))
		return err_set(e, -EBADMSG, "query-blockstats: the answer is not a list");
	cJSON_ArrayForEach (item, ret) {
		const char *name = json_str(item, "node-name");
		const cJSON *stats = json_get(item, "stats");
		struct qmp_node_stats *n = &s.nodes[s.n];

		if (s.n == QMP_NODES_MAX)
			return err_set(e, -EBADMSG, "query-blockstats: too many nodes");
		if (!name || strlen(name) >= sizeof(n->node))
			continue; /* a node that is not ours */
		if (json_u64(stats, "rd_bytes", &n->rd_bytes) < 0 ||
		    json_u64(stats, "wr_bytes", &n->wr_bytes) < 0 ||
		    json_u64(stats, "wr_highest_offset", &n->wr_highest_offset) < 0)
			return err_set(e, -EBADMSG, "query-blockstats: %s has no sane counters",
				       name);
		memcpy(n->node, name, strlen(name) + 1);
		s.n++;
	}
	*out = s;
	return 0;
}

struct pending {
	qmp_blockstats_fn fn;
	void *user_data;
};

static void on_blockstats(int code, const cJSON *ret, const struct err *e, void *user_data)
{
	struct pending *p = user_data;
	struct qmp_blockstats stats;
	struct err bad = ERR_INIT;

	if (code == 0) {
		code = qmp_parse_blockstats(ret, &stats, &bad);
		e = &bad;
	}
	p->fn(code, code == 0 ? &stats : NULL, e, p->user_data);
	free(p);
}

int qmp_query_blockstats(struct qmp *q, uint64_t deadline_ms, qmp_blockstats_fn fn, void *user_data)
{
	struct pending *p = malloc(sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	*p = (struct pending){fn, user_data};
	r = qmp_command(q, "query-blockstats", NULL, deadline_ms, on_blockstats, p);
	if (r < 0)
		free(p);
	return r;
}

int qmp_parse_vcpus(const cJSON *ret, struct qmp_vcpus *out, struct err *e)
{
	struct qmp_vcpus v = {.n = 0};
	const cJSON *item;
	uint64_t index;

	if (!cJSON_IsArray(ret))
		return err_set(e, -EBADMSG, "query-cpus-fast: the answer is not a list");
	cJSON_ArrayForEach (item, ret) {
		if (v.n == QMP_VCPUS_MAX)
			return err_set(e, -EBADMSG, "query-cpus-fast: too many vCPUs");
		if (json_u64(item, "cpu-index", &index) < 0 || index != v.n ||
		    json_u64(item, "thread-id", &v.thread[v.n]) < 0)
			return err_set(e, -EBADMSG, "query-cpus-fast: vCPU %zu makes no sense",
				       v.n);
		v.n++;
	}
	*out = v;
	return 0;
}

uint64_t qmp_parse_stat(const cJSON *ret, const char *name)
{
	const cJSON *vcpu, *stat;
	uint64_t sum = 0;

	if (!cJSON_IsArray(ret))
		return 0;
	cJSON_ArrayForEach (vcpu, ret) {
		const cJSON *stats = json_get(vcpu, "stats");

		if (!cJSON_IsArray(stats))
			continue;
		cJSON_ArrayForEach (stat, stats) {
			const char *s = json_str(stat, "name");
			uint64_t v = json_u64_or(stat, "value", 0);

			if (s && strcmp(s, name) == 0 && v <= UINT64_MAX - sum)
				sum += v;
		}
	}
	return sum;
}

int qmp_query_vcpus(struct qmp *q, uint64_t deadline_ms, qmp_reply_fn fn, void *user_data)
{
	return qmp_command(q, "query-cpus-fast", NULL, deadline_ms, fn, user_data);
}

int qmp_query_stat(struct qmp *q, const char *name, uint64_t deadline_ms, qmp_reply_fn fn,
		   void *user_data)
{
	_cleanup_(json_free_p) cJSON *args = cJSON_CreateObject();
	cJSON *providers, *kvm, *names, *one = cJSON_CreateString(name);

	providers = cJSON_AddArrayToObject(args, "providers");
	kvm = cJSON_CreateObject();
	if (!one || !kvm || !cJSON_AddStringToObject(args, "target", "vcpu") ||
	    !cJSON_AddItemToArray(providers, kvm)) {
		cJSON_Delete(kvm);
		cJSON_Delete(one);
		return -ENOMEM;
	}
	names = cJSON_AddStringToObject(kvm, "provider", "kvm")
			? cJSON_AddArrayToObject(kvm, "names")
			: NULL;
	if (!cJSON_AddItemToArray(names, one)) {
		cJSON_Delete(one);
		return -ENOMEM;
	}
	return qmp_command(q, "query-stats", take_ptr(&args), deadline_ms, fn, user_data);
}

int qmp_quit(struct qmp *q, uint64_t deadline_ms, qmp_reply_fn fn, void *user_data)
{
	return qmp_command(q, "quit", NULL, deadline_ms, fn, user_data);
}
