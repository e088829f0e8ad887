/* SPDX-License-Identifier: GPL-3.0-or-later */
/* contractor gc: removes the folders of old builds. */
#include <errno.h>
#include <sys/stat.h>
#include <time.h>

#include "base/num.h"
#include "cmd.h"
#include "history.h"
#include "options.h"
#include "paths.h"

enum { OPT_KEEP = 256, OPT_OLDER };

static const struct option_def defs[] = {
	{OPT_KEEP, "keep", "N", "leave the latest N builds, however old (10)", NULL},
	{OPT_OLDER, "older-than", "TIME", "remove only what is older than this (30d)", NULL},
	{'n', "dry-run", NULL, "only tell what would go", NULL},
	{0},
};

const struct option_verb verb_gc = {
	.name = "gc",
	.operands = "",
	.about = "Removes the folders (log, report) of builds that ended long ago. Builds that run "
		 "and\n"
		 "workspaces are left alone.\n",
	.defs = defs,
};

struct job {
	uint64_t keep, older_ms;
	bool dry;
	uint64_t removed;
};

/* The folder's own time: when its last file, the report, came. */
static bool is_old(const struct history_build *b, const struct job *j)
{
	struct stat st;
	time_t now = time(NULL);

	return stat(b->dir, &st) == 0 && now >= st.st_mtime &&
	       (uint64_t)(now - st.st_mtime) * 1000 >= j->older_ms;
}

static int collect(const char *state, struct job *j, struct err *e)
{
	_cleanup_(history_done) struct history h = {0};
	int r = history_list(state, &h, e);

	for (size_t i = 0; r == 0 && i + j->keep < h.n; i++) {
		struct history_build b = {0};

		if (history_open(state, h.id[i], &b, NULL) < 0)
			continue;
		if (!b.running && is_old(&b, j)) {
			(void)printf("%s%s\n", j->dry ? "would remove " : "removed ", b.id);
			j->removed++;
			if (!j->dry)
				r = history_remove(state, b.id, e);
		}
		history_build_done(&b);
	}
	return r;
}

int cmd_gc(int argc, char **argv)
{
	struct job j = {.keep = 10, .older_ms = 30ULL * 24 * 3600 * 1000};
	_cleanup_free_ char *state = NULL;
	struct err e = ERR_INIT;
	struct options o;
	int c, r = CMD_USAGE;

	options_begin(&o, &verb_gc, argc, argv);
	while ((c = options_next(&o, &r)) > 0) {
		if (c == 'n')
			j.dry = true;
		else if (c == OPT_KEEP &&
			 (parse_u64(o.value, &j.keep) < 0 || j.keep > SIZE_MAX / 2))
			return options_bad_value(&o, "--keep", "is not a number");
		else if (c == OPT_OLDER && parse_duration(o.value, &j.older_ms) < 0)
			return options_bad_value(&o, "--older-than",
						 "is not a time such as 12h or 30d");
	}
	if (c < 0)
		return r;
	r = paths_state(&state, &e);
	if (r == 0)
		r = collect(state, &j, &e);
	if (r == 0 && fflush(stdout) != 0)
		r = err_errno(&e, -errno, "cannot print");
	return r < 0 ? cmd_fail(&e, CMD_INFRASTRUCTURE) : CMD_OK;
}
