/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Making a build's folder under a name that no other build has. */
#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#include "base/io.h"
#include "base/json.h"
#include "base/text.h"

static int make_id(char out[32])
{
	unsigned char rnd[3];
	time_t now = time(NULL);
	struct tm tm;
	char stamp[20];

	if (getrandom(rnd, sizeof(rnd), 0) != sizeof(rnd) || !localtime_r(&now, &tm) ||
	    strftime(stamp, sizeof(stamp), "%Y%m%d-%H%M%S", &tm) == 0)
		return -EIO;
	(void)snprintf(out, 32, "%s-%02x%02x%02x", stamp, rnd[0], rnd[1], rnd[2]);
	return 0;
}

static int open_files(struct record *r, struct err *e)
{
	_cleanup_free_ char *state = NULL;

	if (asprintf(&state, "%s/state", r->dir) < 0) {
		state = NULL;
		return err_oom(e);
	}
	r->log_fd = open(r->log_path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
	if (r->log_fd < 0)
		return err_errno(e, -errno, "%s: cannot make", r->log_path);
	r->state_fd = open(state, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
	if (r->state_fd < 0)
		return err_errno(e, -errno, "%s: cannot make", state);
	/* only a look whether it is locked can be in the way, and that is over at once */
	while (flock(r->log_fd, LOCK_EX) < 0) {
		if (errno != EINTR)
			return err_errno(e, -errno, "%s: cannot lock", r->log_path);
	}
	return 0;
}

static void put_line(const struct record *r, cJSON *j)
{
	_cleanup_free_ char *text = j ? json_print(j) : NULL;
	size_t n = text ? strlen(text) : 0;

	cJSON_Delete(j);
	if (!text || r->state_fd < 0)
		return;
	text[n] = '\n';
	(void)io_write_full(r->state_fd, text, n + 1);
}

void record_spec(const struct record *r, const char *spec)
{
	_cleanup_buf_ struct buf b = {0};
	cJSON *j = cJSON_CreateObject();

	if (j && (text_is_utf8(spec, strlen(spec)) ? buf_puts(&b, spec)
						   : text_escape(&b, spec, strlen(spec))) == 0) {
		(void)cJSON_AddStringToObject(j, "spec", buf_str(&b));
		(void)json_add_u64(j, "began", (uint64_t)time(NULL));
	}
	put_line(r, j);
}

void record_phase(const struct record *r, const char *phase)
{
	cJSON *j = cJSON_CreateObject();

	if (j) {
		(void)cJSON_AddStringToObject(j, "phase", phase);
		(void)json_add_u64(j, "at", (uint64_t)time(NULL));
	}
	put_line(r, j);
}

int record_new(const char *state_dir, struct record *ret, struct err *e)
{
	struct record r = RECORD_INIT;
	_cleanup_free_ char *builds = NULL;
	int n;

	if (asprintf(&builds, "%s/builds", state_dir) < 0) {
		builds = NULL;
		return err_oom(e);
	}
	n = io_mkdir_p(builds, 0700, e);
	for (int tries = 0; n == 0 && tries < 8; tries++) {
		free(r.dir);
		r.dir = NULL;
		n = make_id(r.id);
		if (n == 0 && asprintf(&r.dir, "%s/%s", builds, r.id) < 0) {
			r.dir = NULL;
			n = -ENOMEM;
		}
		if (n == 0 && mkdir(r.dir, 0700) == 0)
			break;
		if (n == 0 && errno != EEXIST)
			n = err_errno(e, -errno, "%s: cannot make the build's folder", r.dir);
	}
	if (n == 0 && (asprintf(&r.log_path, "%s/log", r.dir) < 0 ||
		       asprintf(&r.console_path, "%s/console", r.dir) < 0 ||
		       asprintf(&r.report_path, "%s/report.json", r.dir) < 0))
		n = err_oom(e);
	if (n == 0)
		n = open_files(&r, e);
	if (n < 0) {
		record_done(&r);
		return n;
	}
	*ret = r;
	return 0;
}

void record_done(struct record *r)
{
	fd_close(&r->log_fd);
	fd_close(&r->state_fd);
	free(r->dir);
	free(r->log_path);
	free(r->console_path);
	free(r->report_path);
	*r = (struct record)RECORD_INIT;
}
