/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The guard: a forked process that waits for its maker's end, then removes one folder. */
#include "guard.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/child.h"
#include "base/io.h"
#include "output.h"

/* How long a killed maker's own processes may take to stop writing below the folder. */
#define GUARD_REMOVE_MS 30000

struct guard {
	pid_t pid;
	int pipe_fd; /* closing it ends the guard */
};

/* Descriptors of the guard, in the order of their places there. */
enum { GUARD_FD_PARENT = 3, GUARD_FD_PIPE, GUARD_FD_PIDFD, GUARD_FD_LOCK, _GUARD_FD_MAX };

/* Keeps the given descriptors alone, at their places, and /dev/null as 0, 1 and 2. */
static int place_fds(const int fds[_GUARD_FD_MAX])
{
	int high[_GUARD_FD_MAX];
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null_fd < 0)
		return -errno;
	for (int i = 0; i < _GUARD_FD_MAX; i++) {
		high[i] = -1;
		if (i >= GUARD_FD_PARENT && fds[i] < 0)
			continue;
		high[i] = fcntl(i < GUARD_FD_PARENT ? null_fd : fds[i], F_DUPFD_CLOEXEC,
				(int)_GUARD_FD_MAX);
		if (high[i] < 0)
			return -errno;
	}
	for (int i = 0; i < _GUARD_FD_MAX; i++) {
		if (high[i] >= 0 && dup3(high[i], i, O_CLOEXEC) < 0)
			return -errno;
		if (high[i] < 0)
			(void)close(i);
	}
	return syscall(SYS_close_range, (unsigned int)_GUARD_FD_MAX, ~0U, 0) < 0 ? -errno : 0;
}

/* An interrupt of the whole terminal must not stop the clean-up that it makes necessary. */
static void ignore_signals(void)
{
	static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGTSTP, SIGXFSZ};
	struct sigaction ign = {.sa_handler = SIG_IGN};
	sigset_t none;

	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		(void)sigaction(ignored[i], &ign, NULL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/*
 * Until the maker closes its end of the pipe, or is dead while others still hold that end. Where
 * there are no pidfds (valgrind) the parent is looked at now and then.
 */
static void wait_for_end(pid_t maker, bool has_pidfd)
{
	struct pollfd fds[2] = {
		{.fd = GUARD_FD_PIPE, .events = POLLIN},
		{.fd = has_pidfd ? GUARD_FD_PIDFD : -1, .events = POLLIN},
	};
	int r;

	do
		r = poll(fds, ARRAY_SIZE(fds), has_pidfd ? -1 : 200);
	while ((r == 0 && getppid() == maker) || (r < 0 && errno == EINTR));
}

static _Noreturn void guard_main(const int fds[_GUARD_FD_MAX], const char *name, int report_fd,
				 pid_t maker)
{
	struct err e = ERR_INIT;
	uint64_t end;
	int r;

	ignore_signals();
	(void)setsid();
	(void)prctl(PR_SET_NAME, "contractor-grd");
	r = chdir("/") < 0 ? -errno : place_fds(fds);
	/* the report's descriptor is gone when all went well: the maker reads the end of file */
	if (r < 0) {
		(void)io_write_full(report_fd, &r, sizeof(r));
		_exit(EXIT_FAILURE);
	}
	wait_for_end(maker, fds[GUARD_FD_PIDFD] >= 0);
	end = io_now_ms() + GUARD_REMOVE_MS;
	while (output_remove_tree(GUARD_FD_PARENT, name, &e) < 0) {
		if (io_now_ms() >= end)
			_exit(EXIT_FAILURE);
		(void)poll(NULL, 0, 20);
	}
	_exit(EXIT_SUCCESS);
}

/* Forks; 0 once the guard has its descriptors and cannot be disturbed any more. */
static int start(struct guard *g, int parent_fd, const char *name, int lock_fd, struct err *e)
{
	_cleanup_close_ int pid_fd = -1, rd = -1, report_rd = -1, report_wr = -1;
	int fds[_GUARD_FD_MAX], p[2], code = 0;
	pid_t maker = getpid();

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_errno(e, -errno, "guard: cannot make a pipe");
	rd = p[0];
	g->pipe_fd = p[1];
	if (pipe2(p, O_CLOEXEC) < 0)
		return err_errno(e, -errno, "guard: cannot make a pipe");
	report_rd = p[0];
	report_wr = p[1];
	pid_fd = (int)syscall(SYS_pidfd_open, maker, 0);
	if (pid_fd < 0 && errno != ENOSYS)
		return err_errno(e, -errno, "guard: cannot watch this process");
	fds[GUARD_FD_PARENT] = parent_fd;
	fds[GUARD_FD_PIPE] = rd;
	fds[GUARD_FD_PIDFD] = pid_fd;
	fds[GUARD_FD_LOCK] = lock_fd;
	g->pid = fork();
	if (g->pid < 0)
		return err_errno(e, -errno, "guard: cannot start a process");
	if (g->pid == 0)
		guard_main(fds, name, report_wr, maker);
	fd_close(&report_wr);
	if (io_read_full(report_rd, &code, sizeof(code)) != 0)
		return err_errno(e, code < 0 ? code : -EIO, "guard: cannot start");
	return 0;
}

int guard_new(int parent_fd, const char *name, int lock_fd, struct guard **ret, struct err *e)
{
	_cleanup_(guard_free_p) struct guard *g = NULL;
	int r;

	g = calloc(1, sizeof(*g));
	if (!g)
		return err_oom(e);
	g->pipe_fd = -1;
	g->pid = -1;
	r = start(g, parent_fd, name, lock_fd, e);
	if (r < 0)
		return r;
	*ret = take_ptr(&g);
	return 0;
}

struct guard *guard_free(struct guard *g)
{
	if (!g)
		return NULL;
	fd_close(&g->pipe_fd);
	if (g->pid > 0)
		(void)child_wait(g->pid, NULL);
	free(g);
	return NULL;
}
