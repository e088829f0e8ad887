/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tokens are bytes in a pipe (GNU make manual, "POSIX Jobserver Interaction"). */
#include "jobserver.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/num.h"

static bool parse_fd(const char *text, size_t len, int *ret)
{
	char number[16];
	uint64_t v;

	(void)snprintf(number, sizeof(number), "%.*s", (int)MIN(len, sizeof(number) - 1), text);
	if (parse_u64(number, &v) < 0 || v > INT32_MAX)
		return false;
	*ret = (int)v;
	return true;
}

static bool parse_one(const char *value, size_t len, struct jobserver_auth *ret)
{
	struct jobserver_auth a = {.read_fd = -1, .write_fd = -1};
	const char *comma = memchr(value, ',', len);

	if (len > 5 && strncmp(value, "fifo:", 5) == 0 && len - 5 < sizeof(a.path)) {
		memcpy(a.path, value + 5, len - 5);
	} else if (!comma || !parse_fd(value, (size_t)(comma - value), &a.read_fd) ||
		   !parse_fd(comma + 1, len - (size_t)(comma - value) - 1, &a.write_fd)) {
		return false;
	}
	*ret = a;
	return true;
}

bool jobserver_parse(const char *makeflags, struct jobserver_auth *ret)
{
	static const char *const names[] = {"--jobserver-auth=", "--jobserver-fds="};
	bool found = false;

	for (const char *p = makeflags; p && *p;) {
		size_t len;

		p += strspn(p, " ");
		len = strcspn(p, " ");
		/* what comes behind it are variables of the command line */
		if (len == 2 && strncmp(p, "--", 2) == 0)
			break;
		for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
			size_t n = strlen(names[i]);

			if (len > n && strncmp(p, names[i], n) == 0)
				found = parse_one(p + n, len - n, ret) || found;
		}
		p += len;
	}
	return found;
}

/* A descriptor of our own, so that not to wait is a matter between us and the kernel alone. */
static int open_pipe(int fd, const char *path, int mode)
{
	char self[64];
	struct stat st;
	int r;

	if (fd >= 0)
		(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	r = open(fd >= 0 ? self : path, mode | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	/* without + make closes its pipe, and the number may be anything */
	if (r >= 0 && (fstat(r, &st) < 0 || !S_ISFIFO(st.st_mode)))
		fd_close(&r);
	return r;
}

bool jobserver_take(const char *makeflags, uint64_t max, struct jobserver *ret)
{
	struct jobserver j = JOBSERVER_INIT;
	struct jobserver_auth a;

	if (!jobserver_parse(makeflags, &a))
		return false;
	j.read_fd = open_pipe(a.read_fd, a.path, O_RDONLY);
	j.write_fd = open_pipe(a.write_fd, a.path, O_WRONLY);
	if (j.read_fd < 0 || j.write_fd < 0) {
		jobserver_done(&j);
		return false;
	}
	max = MIN(max, (uint64_t)JOBSERVER_TOKENS_MAX);
	while (j.n < max && read(j.read_fd, &j.token[j.n], 1) == 1)
		j.n++;
	*ret = j;
	return true;
}

void jobserver_done(struct jobserver *j)
{
	if (j->n > 0)
		(void)io_write_full(j->write_fd, j->token, j->n);
	fd_close(&j->read_fd);
	fd_close(&j->write_fd);
	*j = (struct jobserver)JOBSERVER_INIT;
}
