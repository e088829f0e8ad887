/* SPDX-License-Identifier: GPL-3.0-or-later */
/* contractor log: the output of a past build, or of one that runs. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>

#include "cmd.h"
#include "history.h"
#include "options.h"
#include "paths.h"
#include "ui.h"

#define CHUNK	64 * KIB
#define LOOK_MS 500

enum { OPT_RAW_LOG = 256 };

static const struct option_def defs[] = {
	{'f', "follow", NULL, "go on while the build runs", NULL},
	{OPT_RAW_LOG, "raw-log", NULL, "with the build's control sequences", NULL},
	{0},
};

const struct option_verb verb_log = {
	.name = "log",
	.operands = "[ID]",
	.about = "Prints the output of a build: the latest one, or that of ID (as contractor "
		 "status\n"
		 "lists it, or a beginning of it).\n",
	.defs = defs,
	.max = 1,
	.words = "@id",
};

/* Shows what has come since the last time. 0 or a negative errno. */
static int copy(int fd, struct ui *u)
{
	char data[CHUNK];
	ssize_t n;

	while ((n = read(fd, data, sizeof(data))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		ui_output(u, data, (size_t)n);
	}
	return 0;
}

/* inotify says when something came; that the build has ended nobody says, so that is looked at. */
static int follow(const char *state, const char *id, const char *path, int fd, struct ui *u)
{
	_cleanup_close_ int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	bool running = true;
	char events[4096];
	int r = 0;

	if (watch >= 0)
		(void)inotify_add_watch(watch, path, IN_MODIFY);
	while (running && r == 0) {
		struct pollfd p = {.fd = watch, .events = POLLIN};
		struct history_build b = {0};

		(void)poll(&p, 1, LOOK_MS);
		while (watch >= 0 && read(watch, events, sizeof(events)) > 0)
			;
		running = history_open(state, id, &b, NULL) == 0 && b.running;
		history_build_done(&b);
		r = copy(fd, u);
	}
	return r;
}

static int show(const char *word, bool wants_more, bool raw, struct err *e)
{
	_cleanup_free_ char *state = NULL, *path = NULL;
	_cleanup_(history_done) struct history h = {0};
	_cleanup_close_ int fd = -1;
	struct ui u = {.raw_log = raw};
	const char *id = NULL;
	int r = paths_state(&state, e);

	if (r == 0)
		r = history_list(state, &h, e);
	if (r == 0)
		r = history_find(&h, word, &id, e);
	if (r < 0)
		return r;
	if (asprintf(&path, "%s/builds/%s/log", state, id) < 0) {
		path = NULL;
		return err_oom(e);
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err_errno(e, -errno, "%s", path);
	r = copy(fd, &u);
	if (r == 0 && wants_more)
		r = follow(state, id, path, fd, &u);
	ui_done(&u);
	return r < 0 ? err_errno(e, r, "%s: cannot read", path) : 0;
}

int cmd_log(int argc, char **argv)
{
	bool wants_more = false, raw = false;
	struct err e = ERR_INIT;
	struct options o;
	int c, r = CMD_USAGE;

	options_begin(&o, &verb_log, argc, argv);
	while ((c = options_next(&o, &r)) > 0) {
		if (c == 'f')
			wants_more = true;
		else
			raw = true;
	}
	if (c < 0)
		return r;
	r = show(o.operand[0], wants_more, raw, &e);
	if (r < 0)
		(void)fprintf(stderr, "contractor: %s\n", e.text);
	return r == 0 ? CMD_OK : r == -ENOENT || r == -EINVAL ? CMD_USAGE : CMD_INFRASTRUCTURE;
}
