/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The manifest beside a manager VM's image: where its parts are, and all that went in. */
/*
 *	{"format": 1, "arch": "x86_64", "key": SHA-256, "cmdline": "...", "debug": false,
 *	 "kernel": {"offset": 0, "size": N}, "initrd": {"offset": N, "size": N},
 *	 "inputs": ["100755 init 9f86d0...", ...]}
 */
#include "manager-image.h"

#include <errno.h>

#include "base/json.h"

static int parse_part(const cJSON *o, const char *key, struct manifest_part *ret)
{
	const cJSON *part = json_get(o, key);

	if (json_u64(part, "offset", &ret->offset) < 0 || json_u64(part, "size", &ret->size) < 0 ||
	    ret->size == 0 || ret->offset > INT64_MAX - ret->size)
		return -EBADMSG;
	return 0;
}

int manager_image_parse(const char *text, size_t len, struct manager_image *ret, struct err *e)
{
	_cleanup_(json_free_p) cJSON *j = NULL;
	struct manager_image out = {0};
	const char *key, *cmdline;
	int r = json_parse(text, len, &j, e);

	if (r < 0)
		return r;
	key = json_str(j, "key");
	cmdline = json_str(j, "cmdline");
	if (json_u64_or(j, "format", 0) != MANAGER_IMAGE_FORMAT || !cmdline || !key ||
	    strlen(key) != sizeof(out.key) - 1 || parse_part(j, "kernel", &out.kernel) < 0 ||
	    parse_part(j, "initrd", &out.initrd) < 0)
		return err_set(e, -EBADMSG, "not the manifest of a manager image of format %d",
			       MANAGER_IMAGE_FORMAT);
	(void)snprintf(out.key, sizeof(out.key), "%s", key);
	out.cmdline = strdup(cmdline);
	if (!out.cmdline)
		return err_oom(e);
	*ret = out;
	return 0;
}

static int add_part(cJSON *j, const char *name, const struct manifest_part *part)
{
	cJSON *o = cJSON_AddObjectToObject(j, name);

	if (!o || json_add_u64(o, "offset", part->offset) < 0 ||
	    json_add_u64(o, "size", part->size) < 0)
		return -ENOMEM;
	return 0;
}

/* One string for each line. */
static int add_inputs(cJSON *j, const char *inputs)
{
	cJSON *list = cJSON_AddArrayToObject(j, "inputs");

	while (list && *inputs) {
		const char *end = strchrnul(inputs, '\n');
		_cleanup_free_ char *line = strndup(inputs, (size_t)(end - inputs));
		cJSON *v = line ? cJSON_CreateString(line) : NULL;

		if (!v || !cJSON_AddItemToArray(list, v)) {
			cJSON_Delete(v);
			return -ENOMEM;
		}
		inputs = *end ? end + 1 : end;
	}
	return list ? 0 : -ENOMEM;
}

char *manager_image_print(const struct manager_image *m, const char *arch, bool debug,
			  const char *inputs)
{
	_cleanup_(json_free_p) cJSON *j = cJSON_CreateObject();

	if (!j || json_add_u64(j, "format", MANAGER_IMAGE_FORMAT) < 0 ||
	    !cJSON_AddStringToObject(j, "arch", arch) ||
	    !cJSON_AddStringToObject(j, "key", m->key) ||
	    !cJSON_AddStringToObject(j, "cmdline", m->cmdline) ||
	    !cJSON_AddBoolToObject(j, "debug", debug) || add_part(j, "kernel", &m->kernel) < 0 ||
	    add_part(j, "initrd", &m->initrd) < 0 || add_inputs(j, inputs) < 0)
		return NULL;
	return json_print_pretty(j);
}

void manager_image_done(struct manager_image *m)
{
	free(m->path);
	free(m->cmdline);
	*m = (struct manager_image){0};
}
