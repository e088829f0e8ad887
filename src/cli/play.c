/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading a play for packages that the image has already; whatever else is in it, Ansible runs. */
#include "play.h"

#include <errno.h>

static bool is_one_of(const char *name, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(name, words[i]) == 0)
			return true;
	}
	return false;
}

/* Keys of a play that choose how its tasks are run, and do nothing themselves. */
static bool is_play_keyword(const char *name)
{
	static const char *const words[] = {"name",	 "hosts",	  "remote_user",  "become",
					    "vars",	 "become_method", "gather_facts", "tasks",
					    "pre_tasks", "post_tasks",	  "connection"};

	return is_one_of(name, words, ARRAY_SIZE(words));
}

/* Likewise of a task. */
static bool is_task_keyword(const char *name)
{
	static const char *const words[] = {"name", "become", "tags", "retries", "delay"};

	return is_one_of(name, words, ARRAY_SIZE(words));
}

static bool is_apt(const char *name)
{
	static const char *const words[] = {"apt", "ansible.builtin.apt", "package",
					    "ansible.builtin.package"};

	return is_one_of(name, words, ARRAY_SIZE(words));
}

/* One string may name several packages, with commas between; versions and templates are others. */
static bool has_all(const char *names, const struct manifest *m)
{
	while (*names) {
		size_t n = strcspn(names, ", ");
		char name[128];

		(void)snprintf(name, sizeof(name), "%.*s", (int)MIN(n, sizeof(name) - 1), names);
		if (n > 0 && !manifest_has_package(m, name))
			return false;
		names += n;
		names += strspn(names, ", ");
	}
	return true;
}

static bool apt_is_done(const cJSON *args, const struct manifest *m)
{
	static const char *const names[] = {"name", "pkg", "package"};
	const cJSON *member, *item;

	if (!cJSON_IsObject(args))
		return false;
	cJSON_ArrayForEach (member, args) {
		if (strcmp(member->string, "state") == 0) {
			if (!cJSON_IsString(member) || strcmp(member->valuestring, "present") != 0)
				return false;
			continue;
		}
		if (!is_one_of(member->string, names, ARRAY_SIZE(names)))
			return false;
		if (cJSON_IsString(member)) {
			if (!has_all(member->valuestring, m))
				return false;
			continue;
		}
		if (!cJSON_IsArray(member))
			return false;
		cJSON_ArrayForEach (item, member) {
			if (!cJSON_IsString(item) || !has_all(item->valuestring, m))
				return false;
		}
	}
	return true;
}

static bool task_is_done(const cJSON *task, const struct manifest *m)
{
	const cJSON *member;

	if (!cJSON_IsObject(task))
		return false;
	cJSON_ArrayForEach (member, task) {
		if (is_apt(member->string) ? !apt_is_done(member, m)
					   : !is_task_keyword(member->string))
			return false;
	}
	return true;
}

static bool play_is_done(const cJSON *play, const struct manifest *m)
{
	static const char *const lists[] = {"pre_tasks", "tasks", "post_tasks"};
	const cJSON *member, *task;

	if (!cJSON_IsObject(play))
		return false;
	cJSON_ArrayForEach (member, play) {
		if (!is_play_keyword(member->string))
			return false;
		if (!is_one_of(member->string, lists, ARRAY_SIZE(lists)))
			continue;
		cJSON_ArrayForEach (task, member) {
			if (!task_is_done(task, m))
				return false;
		}
	}
	return true;
}

enum play_need play_need(const cJSON *ansible, const struct manifest *m)
{
	const cJSON *play;

	if (cJSON_GetArraySize(ansible) == 0)
		return PLAY_NOTHING;
	cJSON_ArrayForEach (play, ansible) {
		if (!play_is_done(play, m))
			return PLAY_RUN;
	}
	return PLAY_DONE;
}

int play_check_image(const char *image, const struct manifest *m, struct err *e)
{
	if (manifest_has_ansible(m))
		return 0;
	return err_set(e, -EINVAL,
		       "ansible: %s has no Ansible to run the play with; make the image again with "
		       "contractor image build, without --no-ansible (a play that only installs "
		       "packages is not run when --include has put all of them into the image)",
		       image);
}
