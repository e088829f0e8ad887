/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reading builds' folders; a build that lives holds a lock on its log. */
#include "history.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "archive/output.h"
#include "base/io.h"
#include "base/text.h"

#define REPORT_MAX (64 * MIB)
#define STATE_MAX  (64 * KIB)
#define BUILDS_MAX 1000000

/* 20261124-233257-1a2b3c: digits, dashes, letters; never a path. */
static bool is_id(const char *name)
{
	size_t n = strspn(name, "0123456789abcdef-");

	return n == 22 && name[n] == '\0' && name[8] == '-' && name[15] == '-';
}

static char *builds_path(const char *state_dir, const char *id, const char *file)
{
	char *path = NULL;

	return asprintf(&path, "%s/builds%s%s%s%s", state_dir, *id ? "/" : "", id, *file ? "/" : "",
			file) < 0
		       ? NULL
		       : path;
}

int history_list(const char *state_dir, struct history *ret, struct err *e)
{
	_cleanup_free_ char *path = builds_path(state_dir, "", "");
	struct history h = {0};
	size_t room = 0;
	struct dirent *d;
	DIR *dir = path ? opendir(path) : NULL;

	if (!path)
		return err_oom(e);
	if (!dir && errno != ENOENT)
		return err_errno(e, -errno, "%s", path);
	while (dir && (d = readdir(dir)) && h.n < BUILDS_MAX) {
		if (!is_id(d->d_name))
			continue;
		if (h.n == room) {
			char **more = reallocarray(h.id, room * 2 + 64, sizeof(*h.id));

			if (!more)
				break;
			h.id = more;
			room = room * 2 + 64;
		}
		h.id[h.n] = strdup(d->d_name);
		if (h.id[h.n])
			h.n++;
	}
	if (dir)
		(void)closedir(dir);
	if (h.n)
		qsort(h.id, h.n, sizeof(*h.id), text_compare);
	*ret = h;
	return 0;
}

void history_done(struct history *h)
{
	for (size_t i = 0; i < h->n; i++)
		free(h->id[i]);
	free(h->id);
	*h = (struct history){0};
}

int history_find(const struct history *h, const char *word, const char **ret, struct err *e)
{
	const char *found = NULL;
	char shown[64];
	size_t n = 0;

	if (h->n == 0)
		return err_set(e, -ENOENT, "there are no builds yet");
	if (!word || strcmp(word, "last") == 0) {
		*ret = h->id[h->n - 1];
		return 0;
	}
	(void)text_escape_line(word, strlen(word), shown, sizeof(shown));
	for (size_t i = 0; i < h->n && *word; i++) {
		if (strncmp(h->id[i], word, strlen(word)) == 0) {
			found = h->id[i];
			n++;
		}
	}
	if (n == 0)
		return err_set(e, -ENOENT, "%s: no such build; contractor status lists them",
			       shown);
	if (n > 1)
		return err_set(e, -EINVAL, "%s: %zu builds begin like this; give more of the id",
			       shown, n);
	*ret = found;
	return 0;
}

/* One line of the state file: {"spec", "began"} first, then {"phase", "at"} for each. */
static void read_state_line(struct history_build *b, const char *line, size_t len)
{
	_cleanup_(json_free_p) cJSON *j = NULL;
	_cleanup_free_ char *text = strndup(line, len);
	const char *s;

	if (!text || json_parse(text, len, &j, NULL) < 0)
		return;
	s = json_str(j, "spec");
	if (s && !b->spec) {
		b->spec = strdup(s);
		b->began = json_u64_or(j, "began", 0);
	}
	s = json_str(j, "phase");
	if (s) {
		(void)text_escape_line(s, strlen(s), b->phase, sizeof(b->phase));
		b->phased = json_u64_or(j, "at", 0);
	}
}

static void read_state(struct history_build *b)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_buf_ struct buf text = {0};

	if (asprintf(&path, "%s/state", b->dir) < 0) {
		path = NULL;
		return;
	}
	if (io_read_file(AT_FDCWD, path, STATE_MAX, &text, NULL) < 0)
		return;
	for (const char *p = buf_str(&text); *p;) {
		size_t n = strcspn(p, "\n");

		read_state_line(b, p, n);
		p += n + (p[n] == '\n');
	}
}

static bool is_running(const char *dir)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;

	if (asprintf(&path, "%s/log", dir) < 0) {
		path = NULL;
		return false;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

int history_open(const char *state_dir, const char *id, struct history_build *ret, struct err *e)
{
	_cleanup_free_ char *path = builds_path(state_dir, id, "report.json");
	_cleanup_buf_ struct buf text = {0};
	struct history_build b = {0};
	struct err ignored = ERR_INIT;

	b.dir = builds_path(state_dir, id, "");
	if (!b.dir || !path) {
		free(b.dir);
		return err_oom(e);
	}
	if (access(b.dir, X_OK) < 0) {
		free(b.dir);
		return err_errno(e, -errno, "%s: no such build", id);
	}
	(void)snprintf(b.id, sizeof(b.id), "%s", id);
	/* first whether it runs: it may end between the two looks, with a report */
	b.running = is_running(b.dir);
	if (io_read_file(AT_FDCWD, path, REPORT_MAX, &text, &ignored) == 0 && text.len > 0)
		(void)json_parse(text.data, text.len, &b.report, &ignored);
	read_state(&b);
	if (!b.spec)
		b.spec = strdup("");
	if (!b.spec) {
		history_build_done(&b);
		return err_oom(e);
	}
	*ret = b;
	return 0;
}

void history_build_done(struct history_build *b)
{
	free(b->dir);
	free(b->spec);
	b->report = json_free(b->report);
	*b = (struct history_build){0};
}

const char *history_state(const struct history_build *b)
{
	static const char *const verdicts[] = {"built",	 "failed",	   "usage",	 "limit",
					       "denied", "infrastructure", "interrupted"};
	const char *v = json_str(b->report, "verdict");

	if (b->running && !b->report)
		return strcmp(b->phase, "queued") == 0 ? "queued" : "running";
	for (size_t i = 0; v && i < ARRAY_SIZE(verdicts); i++) {
		if (strcmp(v, verdicts[i]) == 0)
			return verdicts[i];
	}
	return "killed";
}

int history_remove(const char *state_dir, const char *id, struct err *e)
{
	_cleanup_free_ char *path = builds_path(state_dir, "", "");
	_cleanup_close_ int fd = -1;

	if (!path)
		return err_oom(e);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, -errno, "%s", path);
	return output_remove_tree(fd, id, e);
}
