/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading a play for the packages it installs; anything else in it is told, never passed over. */
#include "packages.h"

#include <errno.h>

/* Words of a task that say how, not what. */
static bool is_task_keyword(const char *name)
{
	static const char *const words[] = {"name",	   "become", "become_user", "tags",
					    "environment", "vars",   "register",    "retries",
					    "delay",	   "until"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (strcmp(name, words[i]) == 0)
			return true;
	}
	return false;
}

static bool is_apt(const char *name)
{
	return strcmp(name, "apt") == 0 || strcmp(name, "ansible.builtin.apt") == 0 ||
	       strcmp(name, "package") == 0 || strcmp(name, "ansible.builtin.package") == 0;
}

static int check_name(const char *name, size_t len, const struct manifest *m, struct err *e)
{
	char text[128];

	(void)snprintf(text, sizeof(text), "%.*s", (int)MIN(len, sizeof(text) - 1), name);
	if (manifest_has_package(m, text))
		return 0;
	return err_set(e, -EINVAL,
		       "ansible: the package %s is not in the worker image, and plays are not run "
		       "yet; build the image with --include %s",
		       text, text);
}

/* One string may name several packages, with commas between. */
static int check_names(const char *names, const struct manifest *m, struct err *e)
{
	while (*names) {
		size_t n = strcspn(names, ", ");
		int r = n ? check_name(names, n, m, e) : 0;

		if (r < 0)
			return r;
		names += n;
		names += strspn(names, ", ");
	}
	return 0;
}

static int check_apt(const cJSON *args, const struct manifest *m, struct err *e)
{
	static const char *const keys[] = {"name", "pkg", "package"};
	const cJSON *item;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const cJSON *v = json_get(args, keys[i]);
		int r = 0;

		if (cJSON_IsString(v))
			r = check_names(v->valuestring, m, e);
		cJSON_ArrayForEach (item, v) {
			if (r == 0 && cJSON_IsString(item))
				r = check_names(item->valuestring, m, e);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

static int check_task(const cJSON *task, const struct manifest *m, struct err *e)
{
	const cJSON *member;

	if (!cJSON_IsObject(task))
		return err_set(e, -EINVAL, "ansible: a task is not a mapping");
	cJSON_ArrayForEach (member, task) {
		int r = 0;

		if (is_apt(member->string))
			r = check_apt(member, m, e);
		else if (!is_task_keyword(member->string))
			r = err_set(e, -EINVAL,
				    "ansible: a task uses %s, and plays are not run yet; only "
				    "apt tasks whose packages are in the image can be accepted",
				    member->string);
		if (r < 0)
			return r;
	}
	return 0;
}

int packages_check(const cJSON *ansible, const struct manifest *m, struct err *e)
{
	static const char *const lists[] = {"pre_tasks", "tasks", "post_tasks"};
	const cJSON *play, *task;

	cJSON_ArrayForEach (play, ansible) {
		if (json_get(play, "roles") || json_get(play, "import_playbook") ||
		    json_get(play, "ansible.builtin.import_playbook"))
			return err_set(
				e, -EINVAL,
				"ansible: the play uses roles or another playbook, and plays "
				"are not run yet");
		for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
			cJSON_ArrayForEach (task, json_get(play, lists[i])) {
				int r = check_task(task, m, e);

				if (r < 0)
					return r;
			}
		}
	}
	return 0;
}
