/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Making a build's folder under a name that no other build has. */
#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#include "base/io.h"

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
	if (n == 0) {
		r.log_fd =
			open(r.log_path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
		if (r.log_fd < 0)
			n = err_errno(e, -errno, "%s: cannot make", r.log_path);
	}
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
	free(r->dir);
	free(r->log_path);
	free(r->console_path);
	free(r->report_path);
	*r = (struct record)RECORD_INIT;
}
