/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Orders to JSON and back; both directions are driven by one table, so that they cannot differ. */
#include "order.h"

#include <errno.h>
#include <stddef.h>

#include "net/rule-json.h"

static const struct {
	const char *name;
	size_t offset;
	uint64_t min, max;
} numbers[] = {
#define NUMBER(name, member, min, max)                         \
	{                                                      \
		name, offsetof(struct order, member), min, max \
	}
	NUMBER("memory", memory, 16 * MIB, 16 * 1024 * GIB),
	NUMBER("root-offset", root.offset, 0, INT64_MAX),
	NUMBER("root-size", root.size, 1, INT64_MAX),
	NUMBER("kernel-offset", kernel.offset, 0, INT64_MAX),
	NUMBER("kernel-size", kernel.size, 0, INT64_MAX),
	NUMBER("initrd-offset", initrd.offset, 0, INT64_MAX),
	NUMBER("initrd-size", initrd.size, 0, INT64_MAX),
	NUMBER("seed-offset", seed.offset, 0, INT64_MAX),
	NUMBER("seed-size", seed.size, 0, INT64_MAX),
	NUMBER("boot-ms", boot_ms, 1, INT64_MAX),
	NUMBER("time-ms", time_ms, 1, INT64_MAX),
	NUMBER("cpu-time-ms", cpu_time_ms, 1, INT64_MAX),
	NUMBER("disk", disk, 1, INT64_MAX),
	NUMBER("disk-full-at", disk_full_at, 1, INT64_MAX),
	NUMBER("output", output, 1, INT64_MAX),
	NUMBER("log", log, 0, INT64_MAX),
#undef NUMBER
};

static const char *const machine_names[_VM_MACHINE_MAX] = {
	[VM_MACHINE_MICROVM] = "microvm",
	[VM_MACHINE_Q35] = "q35",
	[VM_MACHINE_VIRT] = "virt",
};

static const char *const io_names[_VM_IO_MAX] = {
	[VM_IO_LOW] = "low",
	[VM_IO_IDLE] = "idle",
	[VM_IO_NORMAL] = "normal",
};

static const char *const template_names[_ORDER_TEMPLATE_MAX] = {
	[ORDER_TEMPLATE_NONE] = "none",
	[ORDER_TEMPLATE_SAVE] = "save",
	[ORDER_TEMPLATE_USE] = "use",
	[ORDER_TEMPLATE_HOLD] = "hold",
};

static int add_network(const struct order_network *n, cJSON *order)
{
	cJSON *j = cJSON_AddObjectToObject(order, "network");
	cJSON *rules = net_rules_to_json(n->rules, n->n_rules);

	if (!j || !rules || !cJSON_AddItemToObject(j, "rules", rules)) {
		cJSON_Delete(rules);
		return -ENOMEM;
	}
	if (json_add_u64(j, "rate", n->rate) < 0)
		return -ENOMEM;
	return json_add_u64(j, "total", n->total);
}

cJSON *order_to_json(const struct order *o)
{
	_cleanup_(json_free_p) cJSON *j = cJSON_CreateObject();

	if (!j || !cJSON_AddStringToObject(j, "type", "build") ||
	    !cJSON_AddStringToObject(j, "arch", o->arch) ||
	    !cJSON_AddStringToObject(j, "machine", machine_names[o->machine]) ||
	    !cJSON_AddStringToObject(j, "io", io_names[o->io]) ||
	    !cJSON_AddStringToObject(j, "cmdline", o->cmdline) ||
	    !cJSON_AddStringToObject(j, "template", template_names[o->template]) ||
	    !cJSON_AddBoolToObject(j, "force-tcg", o->force_tcg) ||
	    !cJSON_AddBoolToObject(j, "prepare", o->prepare) ||
	    !cJSON_AddNumberToObject(j, "cpus", o->cpus) ||
	    !cJSON_AddNumberToObject(j, "nice", o->nice))
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		uint64_t v;

		memcpy(&v, (const char *)o + numbers[i].offset, sizeof(v));
		if (json_add_u64(j, numbers[i].name, v) < 0)
			return NULL;
	}
	if (o->network.enabled && add_network(&o->network, j) < 0)
		return NULL;
	return take_ptr(&j);
}

static int take_string(const cJSON *msg, const char *name, char *out, size_t size, struct err *e)
{
	const char *s = json_str(msg, name);

	if (!s || strlen(s) >= size)
		return err_set(e, -EBADMSG, "order: %s is missing or too long", name);
	memcpy(out, s, strlen(s) + 1);
	return 0;
}

/* One of a list of names, by its place. */
static int take_name(const cJSON *msg, const char *key, const char *const names[], int n, int *ret,
		     struct err *e)
{
	const char *s = json_str(msg, key);

	for (int i = 0; s && i < n; i++) {
		if (strcmp(s, names[i]) == 0) {
			*ret = i;
			return 0;
		}
	}
	return err_set(e, -EBADMSG, "order: %s is unknown", key);
}

static int take_network(const cJSON *msg, struct order_network *ret, struct err *e)
{
	const cJSON *j = json_get(msg, "network");
	int r;

	if (!j)
		return 0;
	if (json_u64(j, "rate", &ret->rate) < 0 || json_u64(j, "total", &ret->total) < 0)
		return err_set(e, -EBADMSG, "order: the network's rate or total is no number");
	r = net_rules_from_json(json_get(j, "rules"), &ret->rules, &ret->n_rules, e);
	if (r < 0)
		return err_wrap(e, "order");
	ret->enabled = true;
	return 0;
}

void order_done(struct order *o)
{
	free(o->network.rules);
	o->network = (struct order_network){0};
}

int order_from_json(const cJSON *msg, struct order *ret, struct err *e)
{
	struct order o = {0};
	int machine = 0, io = 0, template = 0;
	const cJSON *nice = json_get(msg, "nice");
	uint64_t v;

	if (take_string(msg, "arch", o.arch, sizeof(o.arch), e) < 0 ||
	    take_string(msg, "cmdline", o.cmdline, sizeof(o.cmdline), e) < 0)
		return -EBADMSG;
	if (take_name(msg, "machine", machine_names, _VM_MACHINE_MAX, &machine, e) < 0 ||
	    take_name(msg, "io", io_names, _VM_IO_MAX, &io, e) < 0 ||
	    take_name(msg, "template", template_names, _ORDER_TEMPLATE_MAX, &template, e) < 0)
		return -EBADMSG;
	o.machine = (enum vm_machine)machine;
	o.io = (enum vm_io)io;
	o.template = (enum order_template) template;
	if (json_u64(msg, "cpus", &v) < 0 || v < 1 || v > 1024)
		return err_set(e, -EBADMSG, "order: cpus is not 1 to 1024");
	o.cpus = (uint32_t)v;
	if (!cJSON_IsNumber(nice) || !(nice->valuedouble >= -20 && nice->valuedouble <= 19))
		return err_set(e, -EBADMSG, "order: nice is not -20 to 19");
	o.nice = (int)nice->valuedouble;
	o.force_tcg = json_bool_or(msg, "force-tcg", false);
	o.prepare = json_bool_or(msg, "prepare", false);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		if (json_u64(msg, numbers[i].name, &v) < 0 || v < numbers[i].min ||
		    v > numbers[i].max)
			return err_set(e, -EBADMSG, "order: %s is missing or out of range",
				       numbers[i].name);
		memcpy((char *)&o + numbers[i].offset, &v, sizeof(v));
	}
	if (take_network(msg, &o.network, e) < 0)
		return -EBADMSG;
	*ret = o;
	return 0;
}
