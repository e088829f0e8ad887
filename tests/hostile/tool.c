/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The archive module behind a command line, for the tests that are written in Python. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "archive/guard.h"
#include "archive/input.h"
#include "archive/output.h"
#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "base/num.h"

static int usage(void)
{
	(void)fputs("usage: tool input DISK SOURCE WORKSPACE|- STATE [SKIP...]\n"
		    "       tool output DISK PARENT NAME BYTES ENTRIES DEADLINE LINKS [SOURCE "
		    "WORKSPACE [COPIES]]\n"
		    "       tool swap PARENT FRESH NAME\n"
		    "       tool remove PARENT NAME\n"
		    "       tool save DISK PARENT NAME STEP LOCK\n",
		    stderr);
	return 2;
}

static int open_folder(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		perror(path);
	return fd;
}

/* One line of JSON: the code, its name, the sentence and what else the caller added. */
static int report(cJSON *o, int code, const struct err *e)
{
	_cleanup_free_ char *text = NULL;

	(void)cJSON_AddStringToObject(o, "code", code < 0 ? strerrorname_np(-code) : "OK");
	(void)cJSON_AddStringToObject(o, "error", code < 0 ? e->text : "");
	text = json_print(o);
	(void)puts(text ? text : "{}");
	json_free(o);
	return code < 0 ? 1 : 0;
}

static void load(const char *dir, const char *name, struct buf *out)
{
	_cleanup_free_ char *path = NULL;
	struct err e = ERR_INIT;

	if (asprintf(&path, "%s/%s", dir, name) > 0)
		(void)io_read_file(AT_FDCWD, path, GIB, out, &e);
}

/* STATE is a folder with the files "sources" and "links"; the new "sources" is written there. */
static int cmd_input(int argc, char **argv)
{
	static const struct input_file head[] = {{"driver", "#!/bin/sh\n", 10, 0755},
						 {"recipe", "true\n", 5, 0644}};
	_cleanup_buf_ struct buf old = {.cap = GIB}, links = {.cap = GIB};
	_cleanup_close_ int fd = -1, src = -1, ws = -1;
	_cleanup_free_ char *path = NULL;
	struct input_result res = {0};
	struct input_skip skip[16];
	struct err e = ERR_INIT;
	struct input_tree t;
	cJSON *o = cJSON_CreateObject();
	size_t n_skip = 0;
	int r;

	for (int i = 4; i < argc && n_skip < ARRAY_SIZE(skip); i++) {
		struct stat st;

		if (lstat(argv[i], &st) == 0)
			skip[n_skip++] = (struct input_skip){st.st_dev, st.st_ino};
	}
	fd = open(argv[0], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	src = open_folder(argv[1]);
	ws = strcmp(argv[2], "-") == 0 ? -1 : open_folder(argv[2]);
	load(argv[3], "sources", &old);
	load(argv[3], "links", &links);
	t = (struct input_tree){
		.workspace_fd = ws,
		.source_fd = src,
		.workspace_name = argv[2],
		.source_name = argv[1],
		.skip = skip,
		.n_skip = n_skip,
		.old_sources = old.data,
		.old_sources_len = old.len,
		.outside_links = links.data,
		.outside_links_len = links.len,
	};
	r = input_write_head(fd, head, ARRAY_SIZE(head), &e);
	if (r == 0)
		r = input_write_tree(fd, &t, &res, &e);
	if (r == 0 && asprintf(&path, "%s/sources", argv[3]) > 0)
		r = io_write_file_atomic(path, res.sources.data ? res.sources.data : "",
					 res.sources.len, 0600, &e);
	buf_done(&res.sources);
	(void)json_add_u64(o, "entries", res.entries);
	(void)json_add_u64(o, "bytes", res.bytes);
	(void)json_add_u64(o, "skipped", res.skipped);
	return report(o, r, &e);
}

/* A layer of source and workspace, in a file without a name: its descriptor. */
static int make_base(char **argv, struct input_result *res, struct err *e)
{
	_cleanup_close_ int fd = memfd_create("base", MFD_CLOEXEC), src = -1, ws = -1;
	struct input_tree t;
	int r;

	src = open_folder(argv[0]);
	ws = open_folder(argv[1]);
	t = (struct input_tree){
		.workspace_fd = ws,
		.source_fd = src,
		.workspace_name = argv[1],
		.source_name = argv[0],
		.old_sources = "",
		.outside_links = "",
	};
	r = input_write_layer(fd, 0, NULL, &t, res, e);
	return r < 0 ? r : take_fd(&fd);
}

/*
 * LINKS is the file that takes the links which lead out. SOURCE and WORKSPACE are what the worker
 * had in a layer, COPIES the folder that may have copies of it.
 */
static int cmd_output(int argc, char **argv)
{
	_cleanup_close_ int fd = -1, parent = -1, base_fd = -1, copies = -1;
	_cleanup_(input_result_done) struct input_result layer = {0};
	struct output_result res = {0};
	struct output_limits limits;
	struct output_base base;
	struct err e = ERR_INIT;
	cJSON *o = cJSON_CreateObject();
	const char *hit = NULL;
	uint64_t deadline;
	int r = 0;

	if (parse_size(argv[3], &limits.bytes) < 0 || parse_u64(argv[4], &limits.entries) < 0 ||
	    parse_duration(argv[5], &deadline) < 0)
		return usage();
	fd = open(argv[0], O_RDONLY | O_CLOEXEC);
	parent = open_folder(argv[1]);
	if (argc > 7)
		r = base_fd = make_base(argv + 7, &layer, &e);
	if (argc > 9)
		copies = open_folder(argv[9]);
	base = (struct output_base){.fd = base_fd,
				    .list = buf_str(&layer.list),
				    .len = layer.list.len,
				    .workspace_fd = copies,
				    .laid_fd = -1};
	if (r >= 0)
		r = output_extract(fd, argc > 7 ? &base : NULL, &limits, parent, argv[2], deadline,
				   &res, &hit, &e);
	if (r == 0)
		r = io_write_file_atomic(argv[6],
					 res.outside_links.data ? res.outside_links.data : "",
					 res.outside_links.len, 0600, &e);
	buf_done(&res.outside_links);
	(void)json_add_u64(o, "entries", res.entries);
	(void)json_add_u64(o, "bytes", res.bytes);
	(void)cJSON_AddStringToObject(o, "limit", hit ? hit : "");
	return report(o, r, &e);
}

/*
 * The whole way of a workspace as a build goes it, under a lock on the file LOCK; STEP is where the
 * process kills itself.
 */
static int cmd_save(char **argv)
{
	const struct output_limits limits = {.bytes = GIB, .entries = 1000000};
	_cleanup_(guard_free_p) struct guard *g = NULL;
	_cleanup_close_ int fd = -1, parent = -1, lock = -1;
	struct output_result res = {0};
	struct err e = ERR_INIT;
	const char *hit = NULL;
	int r;

	fd = open(argv[0], O_RDONLY | O_CLOEXEC);
	parent = open_folder(argv[1]);
	lock = open(argv[4], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (lock < 0 || flock(lock, LOCK_EX) < 0)
		perror(argv[4]);
	r = guard_new(parent, "fresh", lock, &g, &e);
	if (strcmp(argv[3], "guarded") == 0)
		(void)raise(SIGKILL);
	if (r == 0)
		r = output_extract(fd, NULL, &limits, parent, "fresh", 60000, &res, &hit, &e);
	if (strcmp(argv[3], "extracted") == 0)
		(void)raise(SIGKILL);
	if (r == 0)
		r = output_swap(parent, "fresh", argv[2], &e);
	if (strcmp(argv[3], "swapped") == 0)
		(void)raise(SIGKILL);
	buf_done(&res.outside_links);
	return report(cJSON_CreateObject(), r, &e);
}

int main(int argc, char **argv)
{
	_cleanup_close_ int parent = -1;
	struct err e = ERR_INIT;

	log_setup("tool", LOG_WARNING);
	if (argc >= 6 && strcmp(argv[1], "input") == 0)
		return cmd_input(argc - 2, argv + 2);
	if ((argc == 9 || argc == 11 || argc == 12) && strcmp(argv[1], "output") == 0)
		return cmd_output(argc - 2, argv + 2);
	if (argc == 7 && strcmp(argv[1], "save") == 0)
		return cmd_save(argv + 2);
	if (argc < 4)
		return usage();
	parent = open_folder(argv[2]);
	if (argc == 5 && strcmp(argv[1], "swap") == 0)
		return report(cJSON_CreateObject(), output_swap(parent, argv[3], argv[4], &e), &e);
	if (argc == 4 && strcmp(argv[1], "remove") == 0)
		return report(cJSON_CreateObject(), output_remove_tree(parent, argv[3], &e), &e);
	return usage();
}
