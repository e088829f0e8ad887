/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Samples as JSON: in the manager protocol and in the report alike. */
#include <stddef.h>

#include "limits.h"

static const struct {
	const char *name;
	size_t offset; /* in struct limits_sample, of an uint64_t */
} numbers[] = {
	{"at-ms", offsetof(struct limits_sample, at_ms)},
	{"cpu-ms", offsetof(struct limits_sample, cpu_ms)},
	{"memory", offsetof(struct limits_sample, memory)},
	{"disk", offsetof(struct limits_sample, disk)},
	{"output", offsetof(struct limits_sample, output)},
	{"log", offsetof(struct limits_sample, log)},
	{"read", offsetof(struct limits_sample, read)},
	{"written", offsetof(struct limits_sample, written)},
	{"up", offsetof(struct limits_sample, up)},
	{"down", offsetof(struct limits_sample, down)},
	{"kvm-exits", offsetof(struct limits_sample, kvm_exits)},
};

static const char *const disk_names[_LIMITS_DISK_MAX] = {
	[LIMITS_DISK_ROOT] = "root",
	[LIMITS_DISK_INPUT] = "input",
	[LIMITS_DISK_OUTPUT] = "output",
	[LIMITS_DISK_SCRATCH] = "scratch",
};

const char *limits_disk_name(enum limits_disk d)
{
	return disk_names[d];
}

void limits_sample_to_json(const struct limits_sample *s, cJSON *o)
{
	cJSON *list, *disks;

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		uint64_t v;

		memcpy(&v, (const char *)s + numbers[i].offset, sizeof(v));
		(void)json_add_u64(o, numbers[i].name, v);
	}
	disks = cJSON_AddObjectToObject(o, "disks");
	for (size_t i = 0; i < _LIMITS_DISK_MAX; i++) {
		cJSON *d = cJSON_AddObjectToObject(disks, disk_names[i]);

		(void)json_add_u64(d, "read", s->disks[i].read);
		(void)json_add_u64(d, "written", s->disks[i].written);
	}
	list = cJSON_AddArrayToObject(o, "vcpus-ms");
	for (uint32_t i = 0; i < s->n_vcpus; i++) {
		cJSON *v = cJSON_CreateNumber((double)s->vcpu_ms[i]);

		if (!cJSON_AddItemToArray(list, v))
			cJSON_Delete(v);
	}
}

void limits_sample_from_json(const cJSON *o, struct limits_sample *ret)
{
	const cJSON *disks = json_get(o, "disks"), *list = json_get(o, "vcpus-ms"), *v;
	struct limits_sample s = {0};

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		uint64_t n = json_u64_or(o, numbers[i].name, 0);

		memcpy((char *)&s + numbers[i].offset, &n, sizeof(n));
	}
	for (size_t i = 0; i < _LIMITS_DISK_MAX; i++) {
		const cJSON *d = json_get(disks, disk_names[i]);

		s.disks[i].read = json_u64_or(d, "read", 0);
		s.disks[i].written = json_u64_or(d, "written", 0);
	}
	if (cJSON_IsArray(list)) {
		cJSON_ArrayForEach (v, list) {
			bool sane = cJSON_IsNumber(v) && v->valuedouble >= 0 &&
				    v->valuedouble < (double)(1ULL << 53);

			if (s.n_vcpus == LIMITS_VCPUS_MAX)
				break;
			s.vcpu_ms[s.n_vcpus++] = sane ? (uint64_t)v->valuedouble : 0;
		}
	}
	*ret = s;
}
