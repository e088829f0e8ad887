/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Child processes: clone3 with namespaces, an exact descriptor table, exec errors by a pipe. */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "io.h"

#define CHILD_FD_MAX 64

/* What the child reports through the pipe when it cannot start. */
struct report {
	int code;
	char text[256];
};

static _Noreturn void child_die(int pipe_fd, int code, const char *text)
{
	struct report rep = {.code = code};

	(void)snprintf(rep.text, sizeof(rep.text), "%s", text);
	(void)io_write_full(pipe_fd, &rep, sizeof(rep));
	_exit(127);
}

static void reset_signals(void)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int sig = 1; sig < NSIG; sig++)
		(void)sigaction(sig, &dfl, NULL); /* KILL and STOP refuse, rightly */
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/*
 * Moves every wanted descriptor to its place. The sources are first copied above all targets, so
 * that no target overwrites a source that is still needed; the pipe is moved likewise.
 */
static int place_fds(const struct child_spec *spec, int *pipe_fd)
{
	int high[CHILD_FD_MAX];
	int top = 3;
	int null_fd, moved;

	if (spec->n_fds > CHILD_FD_MAX)
		return -E2BIG;
	for (size_t i = 0; i < spec->n_fds; i++)
		top = MAX(top, spec->fds[i].as + 1);
	for (size_t i = 0; i < spec->n_fds; i++) {
		high[i] = fcntl(spec->fds[i].fd, F_DUPFD_CLOEXEC, top);
		if (high[i] < 0)
			return -errno;
	}
	moved = fcntl(*pipe_fd, F_DUPFD_CLOEXEC, top);
	if (moved < 0)
		return -errno; /* told through the pipe where it is */
	*pipe_fd = moved;
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null_fd >= 0 && dup2(null_fd, 0) < 0)
		return -errno;
	if (null_fd > 2)
		(void)close(null_fd);
	if (syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		return -errno;
	for (size_t i = 0; i < spec->n_fds; i++) {
		if (dup3(high[i], spec->fds[i].as, 0) < 0)
			return -errno;
	}
	return 0;
}

static _Noreturn void child_main(const struct child_spec *spec, pid_t parent, int pipe_fd)
{
	struct err e = ERR_INIT;
	int r;

	reset_signals();
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		child_die(pipe_fd, -errno, "prctl PR_SET_PDEATHSIG");
	/* in a new pid namespace the parent is invisible (0) while it lives and after */
	if (getppid() != parent && !(spec->clone_flags & CLONE_NEWPID))
		_exit(127);
	if (spec->new_session && setsid() < 0)
		child_die(pipe_fd, -errno, "setsid");
	if (spec->prepare) {
		r = spec->prepare(spec->user_data, &e);
		if (r < 0)
			child_die(pipe_fd, r, e.text);
	}
	/* a change of credentials in prepare() clears it */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		child_die(pipe_fd, -errno, "prctl PR_SET_PDEATHSIG");
	r = place_fds(spec, &pipe_fd);
	if (r < 0)
		child_die(pipe_fd, r, "descriptors");
	for (size_t i = 0; i < spec->n_limits; i++) {
		__rlimit_resource_t resource = (__rlimit_resource_t)spec->limits[i].resource;
		struct rlimit rl;

		/* one that the user lives under already may be lower */
		if (getrlimit(resource, &rl) < 0)
			child_die(pipe_fd, -errno, "getrlimit");
		rl.rlim_max = MIN(rl.rlim_max, spec->limits[i].value);
		rl.rlim_cur = rl.rlim_max;
		if (setrlimit(resource, &rl) < 0)
			child_die(pipe_fd, -errno, "setrlimit");
	}
	if (spec->no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		child_die(pipe_fd, -errno, "prctl PR_SET_NO_NEW_PRIVS");
	(void)execvpe(spec->path, (char *const *)spec->argv,
		      spec->envp ? (char *const *)spec->envp : environ);
	child_die(pipe_fd, -errno, spec->path);
}

pid_t child_spawn(const struct child_spec *spec, struct err *e)
{
	struct clone_args args = {.flags = spec->clone_flags, .exit_signal = SIGCHLD};
	_cleanup_close_ int rd = -1, wr = -1;
	pid_t parent = getpid(), pid;
	struct report rep;
	int fds[2];
	ssize_t n;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_errno(e, -errno, "%s: cannot make a pipe", spec->path);
	rd = fds[0];
	wr = fds[1];
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid < 0)
		return err_errno(e, -errno, "%s: cannot start a process", spec->path);
	if (pid == 0)
		child_main(spec, parent, wr);
	fd_close(&wr);
	n = io_read_full(rd, &rep, sizeof(rep));
	if (n == 0)
		return pid;
	(void)kill(pid, SIGKILL);
	(void)child_wait(pid, NULL);
	if (n != (ssize_t)sizeof(rep))
		return err_set(e, -EIO, "%s: the child ended before it started the program",
			       spec->path);
	rep.text[sizeof(rep.text) - 1] = '\0';
	return err_errno(e, rep.code < 0 ? rep.code : -EIO, "cannot start %s: %s", spec->path,
			 rep.text);
}

int child_wait(pid_t pid, int *ret_status)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	if (ret_status)
		*ret_status = status;
	return 0;
}

char *child_status_text(int status, char *out, size_t size)
{
	if (WIFSIGNALED(status)) {
		const char *name = sigabbrev_np(WTERMSIG(status));

		(void)snprintf(out, size, "killed by signal %d (SIG%s)", WTERMSIG(status),
			       name ? name : "?");
	} else {
		(void)snprintf(out, size, "exit status %d", WEXITSTATUS(status));
	}
	return out;
}

/* Until the child can be reaped. 0, -ETIMEDOUT, or another negative errno: it cannot be watched. */
static int wait_end(pid_t pid, uint64_t end)
{
	_cleanup_close_ int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : io_wait_until(fd, end);
}

int child_finish(pid_t pid, const char *name, int consume_rd, struct buf *out, size_t max,
		 unsigned seconds, struct err *e)
{
	uint64_t end = io_now_ms() + (uint64_t)seconds * 1000;
	int status = -1, r = 0, ended;
	char text[64];

	if (consume_rd >= 0)
		r = io_read_all_until(consume_rd, max, out, end);
	fd_close(&consume_rd);
	ended = wait_end(pid, r == -ETIMEDOUT ? 0 : end);
	if (ended == -ETIMEDOUT)
		(void)kill(pid, SIGKILL);
	(void)child_wait(pid, &status);
	if (ended == -ETIMEDOUT)
		return err_set(e, -ETIMEDOUT, "%s: has not ended after %u s", name, seconds);
	if (r < 0)
		return err_errno(e, r, "%s: cannot read its output", name);
	if (status != 0)
		return err_set(e, -ECHILD, "%s: %s", name,
			       child_status_text(status, text, sizeof(text)));
	return 0;
}

int child_run(const char *const *argv, struct buf *out, size_t max, unsigned seconds, struct err *e)
{
	_cleanup_close_ int rd = -1, wr = -1;
	struct child_fd fd = {.as = STDOUT_FILENO};
	struct child_spec spec = {.path = argv[0], .argv = argv};
	pid_t pid;

	if (out) {
		int fds[2];

		if (pipe2(fds, O_CLOEXEC) < 0)
			return err_errno(e, -errno, "%s: cannot make a pipe", argv[0]);
		rd = fds[0];
		fd.fd = wr = fds[1];
		spec.fds = &fd;
		spec.n_fds = 1;
	}
	pid = child_spawn(&spec, e);
	if (pid < 0)
		return (int)pid;
	fd_close(&wr);
	return child_finish(pid, argv[0], take_fd(&rd), out, max, seconds, e);
}
