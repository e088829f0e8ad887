/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzz target: parser and filter over an archive in memory, and the filter over bare names. */
#include "archive/extract.h"
#include "fuzz.h"

#define BLOCK 512

/* libFuzzer's own mutator, which the replay program has not got. */
__attribute__((weak)) size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed);

struct memory {
	const uint8_t *data;
	size_t size;
};

static ssize_t read_memory(void *user_data, void *data, size_t n, uint64_t offset)
{
	const struct memory *m = user_data;

	if (offset >= m->size)
		return 0;
	n = MIN(n, m->size - (size_t)offset);
	memcpy(data, m->data + offset, n);
	return (ssize_t)n;
}

/* True if the path has a component of that name. */
static int has_component(const char *path, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = path; at; at = strchr(at, '/')) {
		at += *at == '/';
		if (strncmp(at, name, len) == 0 && (!at[len] || at[len] == '/'))
			return 1;
	}
	return 0;
}

static void check_inner(const char *inner)
{
	if (inner[0] == '/' || strlen(inner) > FILTER_PATH_MAX || has_component(inner, "..") ||
	    (inner[0] && (has_component(inner, ".") || has_component(inner, ""))))
		abort();
}

/* A link that stays inside by its text must stay inside when it is walked. */
static void check_symlink(const char *path, const char *target)
{
	long depth = -1;
	enum filter_link link = filter_symlink(path, target);

	for (const char *at = path; *at; at++)
		depth += *at != '/' && (at == path || at[-1] == '/');
	if (link == FILTER_LINK_OUTSIDE)
		return;
	if (target[0] == '/')
		abort();
	for (const char *at = target; *at;) {
		size_t len = strcspn(at, "/");

		if (len == 2 && at[0] == '.' && at[1] == '.')
			depth--;
		else if (len > 0 && !(len == 1 && at[0] == '.'))
			depth++;
		if (depth < 0)
			abort();
		at += len + (at[len] == '/');
	}
}

/* The input as a path, and what follows its first NUL as a target. */
static void fuzz_names(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = malloc(size + 2);
	char again[FILTER_PATH_MAX + sizeof(FILTER_TOP) + 2];
	char inner[FILTER_PATH_MAX + 1], second[FILTER_PATH_MAX + 1];
	struct filter_entry entry = {.size = (int64_t)size - 1};
	struct filter_plan plan;

	if (!text || size > 65536)
		return;
	memcpy(text, data, size);
	text[size] = text[size + 1] = '\0';
	entry.path = text;
	entry.target = text + strlen(text) + 1;
	if (!filter_path(text, inner)) {
		check_inner(inner);
		(void)snprintf(again, sizeof(again), "%s/%s", FILTER_TOP, inner);
		if (filter_path(again, second) || strcmp(inner, second) != 0 ||
		    filter_inner_path(inner))
			abort();
	}
	for (int t = 0; t < _FILTER_TYPE_MAX; t++) {
		entry.type = (enum filter_type)t;
		entry.mode = (mode_t)size;
		if (filter_entry(&entry, &plan))
			continue;
		check_inner(plan.path);
		if (plan.mode & ~0777U || t == FILTER_OTHER)
			abort();
		if (t == FILTER_SYMLINK)
			check_symlink(plan.path, entry.target);
		if (t == FILTER_HARDLINK)
			check_inner(plan.target);
	}
}

static void check_links(const struct buf *links)
{
	int is_target = 0;

	if (links->len > EXTRACT_LINKS_MAX || (links->len > 0 && links->data[links->len - 1]))
		abort();
	for (size_t at = 0; at < links->len; at += strlen(links->data + at) + 1) {
		if (!is_target && filter_inner_path(links->data + at))
			abort();
		is_target = !is_target;
	}
	if (is_target)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct memory m = {data, size};
	struct extract_job job = {
		.read = read_memory,
		.user_data = &m,
		.root_fd = -1,
		.limits = {.bytes = 1 * MIB, .entries = 1000},
	};
	struct extract_result res = {0};
	struct err e = ERR_INIT;
	int r = extract_run(&job, &res, &e);

	if ((r < 0) != (e.text[0] != '\0') || strchr(e.text, '\n'))
		abort();
	if (r == 0 && (res.sums.entries == 0 || res.sums.entries > job.limits.entries ||
		       res.sums.data > job.limits.bytes || res.limit_hit))
		abort();
	check_links(&res.outside_links);
	buf_done(&res.outside_links);
	fuzz_names(data, size);
	return 0;
}

/* Makes the checksum of a header block right. */
static void mend(uint8_t *block)
{
	char text[8];
	unsigned int sum = 0;

	memset(block + 148, ' ', 8);
	for (size_t i = 0; i < BLOCK; i++)
		sum += block[i];
	(void)snprintf(text, sizeof(text), "%06o", sum);
	memcpy(block + 148, text, 7);
}

/* Mutates, and then mostly mends the headers, without which nothing gets past the first block. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed)
{
	size = LLVMFuzzerMutate(data, size, max);
	if (seed % 8 == 0)
		return size;
	for (size_t at = 0; at + BLOCK <= size; at += BLOCK) {
		if (memcmp(data + at + 257, "ustar", 5) == 0)
			mend(data + at);
	}
	return size;
}
