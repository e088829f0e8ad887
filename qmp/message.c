/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The QMP line decoder.
 *
 * One JSON object a line (docs/interop/qmp-spec.rst). The member that is there tells the kind:
 *
 *   {"QMP": {"version": ..., "capabilities": [...]}}                       greeting, once, first
 *   {"return": VALUE, "id": N}                                             success
 *   {"error": {"class": "...", "desc": "..."}, "id": N}                    failure, id may lack
 *   {"event": "NAME", "data": {...}, "timestamp": {...}}                   event, data may lack
 *
 * Members that are not known are ignored, as the specification asks of clients.
 */
#include "message.h"

#include <errno.h>

/* At least as many as cJSON will make nodes: every value but the first follows one of , [ { : */
static size_t count_values(const char *line, size_t len)
{
	size_t n = 1;

	for (size_t i = 0; i < len; i++)
		n += line[i] == ',' || line[i] == '[' || line[i] == '{';
	return n;
}

static int decode_error(const cJSON *error, struct qmp_message *m, struct err *e)
{
	const char *class = json_str(error, "class");
	const char *desc = json_str(error, "desc");

	if (!cJSON_IsObject(error))
		return err_set(e, -EBADMSG, "QMP: an error that is not an object");
	m->kind = QMP_ERROR;
	m->class = class ? class : "";
	m->desc = desc && *desc ? desc : "an error without a description";
	return 0;
}

static int decode_kind(struct qmp_message *m, struct err *e)
{
	const cJSON *greeting = json_get(m->tree, "QMP");
	const cJSON *ret = json_get(m->tree, "return");
	const cJSON *error = json_get(m->tree, "error");
	const cJSON *event = json_get(m->tree, "event");

	if (!!greeting + !!ret + !!error + !!event != 1)
		return err_set(e, -EBADMSG,
			       "QMP: a message that is not one of greeting, return, error, event");
	m->has_id = json_u64(m->tree, "id", &m->id) == 0;
	if (error)
		return decode_error(error, m, e);
	if (event) {
		m->kind = QMP_EVENT;
		m->name = cJSON_GetStringValue(event);
		m->body = json_get(m->tree, "data");
		if (!m->name)
			return err_set(e, -EBADMSG, "QMP: an event without a name");
		return 0;
	}
	m->kind = greeting ? QMP_GREETING : QMP_RETURN;
	m->body = greeting ? greeting : ret;
	if (greeting && !cJSON_IsObject(greeting))
		return err_set(e, -EBADMSG, "QMP: a greeting that is not an object");
	return 0;
}

int qmp_decode(const char *line, size_t len, struct qmp_message *ret, struct err *e)
{
	struct qmp_message m = {0};
	int r;

	if (count_values(line, len) > QMP_VALUES_MAX)
		return err_set(e, -E2BIG, "QMP: a message of more than %d values", QMP_VALUES_MAX);
	r = json_parse(line, len, &m.tree, e);
	if (r < 0) {
		(void)err_wrap(e, "QMP");
		return r;
	}
	r = cJSON_IsObject(m.tree) ? decode_kind(&m, e)
				   : err_set(e, -EBADMSG, "QMP: a message that is not an object");
	if (r < 0) {
		qmp_message_done(&m);
		return r;
	}
	*ret = m;
	return 0;
}

void qmp_message_done(struct qmp_message *m)
{
	(void)json_free(m->tree);
	memset(m, 0, sizeof(*m));
}

ssize_t qmp_line(const char *data, size_t len, size_t *scanned)
{
	const char *nl = len > *scanned ? memchr(data + *scanned, '\n', len - *scanned) : NULL;

	if (!nl) {
		*scanned = len;
		return -EAGAIN;
	}
	*scanned = 0;
	return nl - data;
}

int qmp_class_code(const char *class)
{
	if (strcmp(class, "CommandNotFound") == 0)
		return -ENOSYS;
	if (strcmp(class, "DeviceNotActive") == 0)
		return -ENODEV;
	return -EIO;
}
