/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The safe side of unpacking: forks the process without rights, waits for it, judges its end. */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/child.h"
#include "base/io.h"
#include "base/num.h"
#include "base/text.h"
#include "extract.h"
#include "layer.h"
#include "sandbox.h"

/* What the process sends through its pipe when it is through; links_len bytes of links follow. */
struct report {
	int32_t code;
	uint32_t limit_hit; /* enum filter_limit */
	uint64_t entries;
	uint64_t bytes;
	uint32_t links_len;
	char text[ERR_TEXT_MAX];
};

/* Descriptors of the process, in the order of their places there. */
enum {
	UNPACK_FD_ARCHIVE = 3,
	UNPACK_FD_ROOT,
	UNPACK_FD_REPORT,
	/* up to here also when the archive is read */
	UNPACK_FD_BASE,
	UNPACK_FD_WORKSPACE,
	UNPACK_FD_LAID,
	_UNPACK_FD_MAX
};

static ssize_t read_disk(void *user_data, void *data, size_t n, uint64_t offset)
{
	return io_pread_full(UNPACK_FD_ARCHIVE, data, n, offset);
}

/* Keeps those and stderr, where a sanitizer would speak. What is -1 has none. */
static int place_fds(const int from[_UNPACK_FD_MAX])
{
	int high[_UNPACK_FD_MAX];

	for (int i = UNPACK_FD_ARCHIVE; i < _UNPACK_FD_MAX; i++) {
		high[i] = from[i] < 0 ? -1 : fcntl(from[i], F_DUPFD_CLOEXEC, (int)_UNPACK_FD_MAX);
		if (high[i] < 0 && from[i] >= 0)
			return -errno;
	}
	for (int i = UNPACK_FD_ARCHIVE; i < _UNPACK_FD_MAX; i++) {
		if (high[i] < 0)
			(void)close(i);
		else if (dup3(high[i], i, O_CLOEXEC) < 0)
			return -errno;
	}
	(void)close(0);
	(void)close(1);
	return syscall(SYS_close_range, (unsigned int)_UNPACK_FD_MAX, ~0U, 0) < 0 ? -errno : 0;
}

static void reset_signals(void)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		(void)sigaction(sig, &dfl, NULL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* What the process has for its one job. */
struct unpack {
	struct extract_job job;
	struct output_base base;
};

/* The base is laid: from here on the archive has a say. */
static int enter(void *user_data, struct err *e)
{
	const struct unpack *u = user_data;
	const uint64_t bytes = u->job.limits.bytes;
	uint64_t max_file =
		bytes > UINT64_MAX / FILTER_HOLE_SHARE ? UINT64_MAX : bytes * FILTER_HOLE_SHARE;

	/* what comes in the place of what was laid, with its inode, shall have another time */
	if (u->job.base && u->base.laid_fd >= 0)
		(void)layer_next_tick();
	/*
	 * The folders that are open stay: they are in the tree, like all that follows. One of them
	 * has the number of what was not given.
	 */
	for (int i = UNPACK_FD_BASE; u->job.base && i <= UNPACK_FD_LAID; i++) {
		if (i == u->base.fd || i == u->base.workspace_fd || i == u->base.laid_fd)
			(void)close(i);
	}
	return sandbox_enter(UNPACK_FD_ROOT, MAX(max_file, (uint64_t)1), u->base.len, e);
}

static _Noreturn void unpack_main(int fd, const struct output_base *base, int root_fd,
				  int report_fd, pid_t parent, const struct output_limits *limits)
{
	const int fds[_UNPACK_FD_MAX] = {
		[UNPACK_FD_ARCHIVE] = fd,
		[UNPACK_FD_ROOT] = root_fd,
		[UNPACK_FD_REPORT] = report_fd,
		[UNPACK_FD_BASE] = base ? base->fd : -1,
		[UNPACK_FD_WORKSPACE] = base ? base->workspace_fd : -1,
		[UNPACK_FD_LAID] = base ? base->laid_fd : -1,
	};
	struct unpack u = {.job = {.read = read_disk,
				   .root_fd = UNPACK_FD_ROOT,
				   .limits = *limits,
				   .enter = enter,
				   .user_data = &u}};
	struct extract_result res = {0};
	struct report rep = {0};
	struct err e = ERR_INIT;
	int r;

	res.outside_links.cap = EXTRACT_LINKS_MAX + KIB;
	reset_signals();
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(EXIT_FAILURE);
	(void)prctl(PR_SET_NAME, "contractor-unp");
	if (base) {
		u.base = *base;
		u.base.fd = UNPACK_FD_BASE;
		u.base.workspace_fd = base->workspace_fd < 0 ? -1 : UNPACK_FD_WORKSPACE;
		u.base.laid_fd = base->laid_fd < 0 ? -1 : UNPACK_FD_LAID;
		u.job.base = &u.base;
	}
	r = place_fds(fds);
	if (r < 0)
		_exit(EXIT_FAILURE);
	/* names are bytes: in the C locale the parser has no characters to make of them */
	(void)setlocale(LC_ALL, "C");
	(void)umask(0);
	r = extract_run(&u.job, &res, &e);
	rep.code = r;
	rep.limit_hit = res.limit_hit;
	rep.entries = res.sums.entries;
	rep.bytes = res.sums.data;
	rep.links_len = r < 0 ? 0 : (uint32_t)res.outside_links.len;
	memcpy(rep.text, e.text, sizeof(rep.text));
	r = io_write_full(UNPACK_FD_REPORT, &rep, sizeof(rep));
	if (r == 0 && rep.links_len > 0)
		(void)io_write_full(UNPACK_FD_REPORT, res.outside_links.data, rep.links_len);
	_exit(EXIT_SUCCESS);
}

/* Reads exactly n bytes before `end` (of io_now_ms). 0, -ETIMEDOUT, -EPIPE at the end of file. */
static int read_until(int fd, void *data, size_t n, uint64_t end)
{
	size_t at = 0;

	while (at < n) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		uint64_t now = io_now_ms();
		ssize_t got;

		if (now >= end)
			return -ETIMEDOUT;
		if (poll(&p, 1, (int)MIN(end - now, (uint64_t)60000)) <= 0)
			continue;
		got = read(fd, (char *)data + at, n - at);
		if (got == 0)
			return -EPIPE;
		if (got < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		at += got > 0 ? (size_t)got : 0;
	}
	return 0;
}

static int read_report(int fd, uint64_t end, struct report *rep, struct buf *links)
{
	int r = read_until(fd, rep, sizeof(*rep), end);

	if (r < 0)
		return r;
	rep->text[sizeof(rep->text) - 1] = '\0';
	if (rep->links_len > EXTRACT_LINKS_MAX || rep->code > 0)
		return -EPROTO;
	if (rep->links_len == 0)
		return 0;
	r = buf_reserve(links, rep->links_len);
	if (r < 0)
		return r;
	r = read_until(fd, links->data, rep->links_len, end);
	if (r < 0)
		return r;
	links->len = rep->links_len;
	links->data[links->len] = '\0';
	return links->data[links->len - 1] == '\0' ? 0 : -EPROTO;
}

/* What its end means when there was no report to read. */
static int judge_death(int code, int status, uint64_t deadline_ms, struct err *e)
{
	char text[NUM_TEXT_MAX], how[64];

	if (code == -ETIMEDOUT)
		return err_set(e, code, "returned archive: not unpacked within %s",
			       format_duration(deadline_ms, text));
	if (code == -EPIPE || code == -EPROTO)
		return err_set(e, -EBADMSG,
			       "returned archive: the process that unpacks it failed (%s); the "
			       "archive is refused",
			       child_status_text(status, how, sizeof(how)));
	return err_errno(e, code, "cannot read the result of unpacking");
}

/* The process may be in the archive's hands: what it says is bounded and escaped, no more. */
static int judge_report(const struct report *rep, const char **ret_limit_hit, struct err *e)
{
	char text[ERR_TEXT_MAX];

	if (rep->code == 0)
		return 0;
	if (rep->limit_hit == FILTER_LIMIT_OUTPUT)
		*ret_limit_hit = "output";
	else if (rep->limit_hit == FILTER_LIMIT_FILES)
		*ret_limit_hit = "files";
	return err_set(e, rep->code, "%s",
		       text_escape_line(rep->text, strlen(rep->text), text, sizeof(text)));
}

static int run_child(int fd, const struct output_base *base, int root_fd,
		     const struct output_limits *limits, uint64_t deadline_ms,
		     struct output_result *ret, const char **ret_limit_hit, struct err *e)
{
	uint64_t now = io_now_ms();
	uint64_t end = deadline_ms > UINT64_MAX - now ? UINT64_MAX : now + deadline_ms;
	_cleanup_close_ int rd = -1, wr = -1;
	_cleanup_buf_ struct buf links = {0};
	pid_t parent = getpid(), pid;
	struct report rep;
	int p[2], r, status = 0;

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_errno(e, -errno, "cannot make a pipe");
	rd = p[0];
	wr = p[1];
	pid = fork();
	if (pid < 0)
		return err_errno(e, -errno, "cannot start a process to unpack the archive");
	if (pid == 0)
		unpack_main(fd, base, root_fd, wr, parent, limits);
	fd_close(&wr);
	r = read_report(rd, end, &rep, &links);
	/* a report may be a lie of a process that goes on writing: it is dead before we go on */
	if (r < 0 && r != -EPIPE)
		(void)kill(pid, SIGKILL);
	fd_close(&rd);
	if (r == 0)
		(void)kill(pid, SIGKILL);
	(void)child_wait(pid, &status);
	if (r < 0)
		return judge_death(r, status, deadline_ms, e);
	r = judge_report(&rep, ret_limit_hit, e);
	if (r < 0)
		return r;
	ret->entries = rep.entries;
	ret->bytes = rep.bytes;
	ret->outside_links = links;
	links = (struct buf){0};
	return 0;
}

int output_extract(int fd, const struct output_base *base, const struct output_limits *limits,
		   int parent_fd, const char *name, uint64_t deadline_ms, struct output_result *ret,
		   const char **ret_limit_hit, struct err *e)
{
	_cleanup_close_ int root = -1;
	struct err ignored = ERR_INIT;
	int r;

	*ret_limit_hit = NULL;
	if (mkdirat(parent_fd, name, 0700) < 0)
		return err_errno(e, -errno, "%s: cannot make the folder", name);
	root = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (root < 0)
		r = err_errno(e, -errno, "%s: cannot open the folder", name);
	else
		r = run_child(fd, base, root, limits, deadline_ms, ret, ret_limit_hit, e);
	if (r < 0)
		(void)output_remove_tree(parent_fd, name, &ignored);
	return r;
}
