/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The rules for entries of a returned archive. Pure: the fuzzer and the tests call the same ones.
 */
#include "filter.h"

#include <stdbool.h>

/* The component at *p, its length in *len; *p moves behind it and its slashes. False at the end. */
static bool next_component(const char **p, const char **name, size_t *len)
{
	while (**p == '/')
		(*p)++;
	*name = *p;
	while (**p && **p != '/')
		(*p)++;
	*len = (size_t)(*p - *name);
	return *len > 0;
}

static bool is_dots(const char *name, size_t len)
{
	return len <= 2 && memcmp(name, "..", len) == 0;
}

/* The rules for each name, whatever folder the path starts from. */
static const char *check_names(const char *path)
{
	const char *at = path, *name;
	size_t len;

	if (path[0] == '/')
		return "has an absolute path";
	while (next_component(&at, &name, &len)) {
		if (is_dots(name, len))
			return len == 2 ? "has '..' in its path" : "has '.' in its path";
		if (len > FILTER_NAME_MAX)
			return "has a name of more than 255 bytes";
		if (at[0] == '/' && at[1] == '/')
			return "has an empty name in its path";
	}
	return NULL;
}

/* The rules for the whole of a path below the workspace, and its length without a final slash. */
static const char *check_extent(const char *path, size_t *ret_len)
{
	const char *at = path, *name;
	size_t len, depth = 0;

	while (next_component(&at, &name, &len)) {
		if (++depth > FILTER_DEPTH_MAX)
			return "is nested more than 64 folders deep";
	}
	len = (size_t)(at - path);
	if (len > 0 && path[len - 1] == '/')
		len--;
	if (len > FILTER_PATH_MAX)
		return "has a path of more than 1024 bytes";
	*ret_len = len;
	return NULL;
}

const char *filter_inner_path(const char *path)
{
	const char *rule = check_names(path);
	size_t len;

	return rule ? rule : check_extent(path, &len);
}

const char *filter_path(const char *path, char ret[FILTER_PATH_MAX + 1])
{
	const size_t top = strlen(FILTER_TOP);
	const char *rule;
	size_t len;

	if (!path || !path[0])
		return "has no name";
	rule = check_names(path);
	if (rule)
		return rule;
	if (strncmp(path, FILTER_TOP, top) != 0 || (path[top] && path[top] != '/'))
		return "is outside the folder 'workspace'";
	path += path[top] ? top + 1 : top;
	rule = check_extent(path, &len);
	if (rule)
		return rule;
	memcpy(ret, path, len);
	ret[len] = '\0';
	return NULL;
}

enum filter_link filter_symlink(const char *path, const char *target)
{
	const char *at = path, *name;
	size_t len, depth = 0;
	bool after_name = false, climbs_late = false;

	if (target[0] == '/')
		return FILTER_LINK_OUTSIDE;
	while (next_component(&at, &name, &len))
		depth++;
	if (depth > 0)
		depth--; /* a target counts from the link's folder */
	at = target;
	while (next_component(&at, &name, &len)) {
		if (len == 1 && is_dots(name, len))
			continue;
		if (len == 2 && is_dots(name, len)) {
			if (depth == 0)
				return FILTER_LINK_OUTSIDE;
			depth--;
			climbs_late = climbs_late || after_name;
		} else {
			depth++;
			after_name = true;
		}
	}
	/*
	 * With ".." only in front, a link leads down from a real folder of the workspace, and each
	 * link on its way does the same. Behind a name that is itself a link, ".." goes up from
	 * wherever that one leads, which no one can tell without the disk.
	 */
	return climbs_late ? FILTER_LINK_CHECK : FILTER_LINK_INSIDE;
}

static const char *check_links(const struct filter_entry *entry, struct filter_plan *ret)
{
	const char *target = entry->target;

	if (!target || !target[0])
		return "is a link without a target";
	if (entry->type == FILTER_SYMLINK) {
		if (strnlen(target, FILTER_TARGET_MAX + 1) > FILTER_TARGET_MAX)
			return "is a symlink with a target of more than 4095 bytes";
		ret->link = filter_symlink(ret->path, target);
		return NULL;
	}
	if (filter_path(target, ret->target) || !ret->target[0])
		return "is a hard link to something outside the workspace";
	if (entry->size > 0)
		return "is a hard link with content of its own";
	return NULL;
}

const char *filter_entry(const struct filter_entry *entry, struct filter_plan *ret)
{
	const char *rule = filter_path(entry->path, ret->path);

	if (rule)
		return rule;
	ret->type = entry->type;
	ret->link = FILTER_LINK_INSIDE;
	/* the owner must be able to read, replace and remove all of it; no set-id, no sticky bit */
	ret->mode = (entry->mode & 0777) | 0600;
	switch (entry->type) {
	case FILTER_FOLDER:
		ret->mode |= 0700;
		return NULL;
	case FILTER_FILE:
		if (!ret->path[0])
			return "is a file where the folder 'workspace' should be";
		if (entry->path[strlen(entry->path) - 1] == '/')
			return "is a file with the name of a folder";
		if (entry->size < 0)
			return "has a negative size";
		return NULL;
	case FILTER_SYMLINK:
	case FILTER_HARDLINK:
		if (!ret->path[0])
			return "is a link where the folder 'workspace' should be";
		return check_links(entry, ret);
	case FILTER_WHITEOUT:
		return ret->path[0] ? NULL : "removes the folder 'workspace'";
	case FILTER_OTHER:
	case _FILTER_TYPE_MAX:
		break;
	}
	return "is neither a file, a folder nor a link";
}

uint64_t filter_sum(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

enum filter_limit filter_count(struct filter_sums *sums, const struct output_limits *limits,
			       uint64_t entries, uint64_t data, uint64_t apparent)
{
	sums->entries = filter_sum(sums->entries, entries);
	sums->data = filter_sum(sums->data, data);
	sums->apparent = filter_sum(sums->apparent, apparent);
	if (sums->entries > limits->entries)
		return FILTER_LIMIT_FILES;
	if (sums->data > limits->bytes || sums->apparent / FILTER_HOLE_SHARE > limits->bytes)
		return FILTER_LIMIT_OUTPUT;
	return FILTER_LIMIT_NONE;
}
