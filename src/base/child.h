/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Child processes with an exact set of descriptors, and the small helpers around them. */
#ifndef CONTRACTOR_BASE_CHILD_H
#define CONTRACTOR_BASE_CHILD_H

#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "buf.h"
#include "err.h"

/* One descriptor for the child: `fd` of the parent appears as `as` in the child. */
struct child_fd {
	int fd;
	int as;
};

struct child_limit {
	int resource; /* RLIMIT_* */
	rlim_t value; /* soft and hard; a lower hard limit of the parent's stays */
};

/* What to start and how. Zero what is not needed; pointers are borrowed for the call. */
struct child_spec {
	const char *path; /* program, looked up in PATH when it has no slash */
	const char *const *argv;
	const char *const *envp;    /* NULL: the parent's */
	uint64_t clone_flags;	    /* CLONE_NEW*, for clone3 */
	const struct child_fd *fds; /* 0, 1, 2 not named: /dev/null for 0, inherited 1 and 2 */
	size_t n_fds;
	const struct child_limit *limits;
	size_t n_limits;
	int no_new_privs; /* PR_SET_NO_NEW_PRIVS */
	int new_session;  /* setsid: no signals from the terminal */
	/*
	 * Runs in the child before exec, after the namespaces and before the descriptors are set;
	 * only async-signal-safe calls. A negative errno stops the child and child_spawn returns
	 * it, with the text that `prepare` put into `e`.
	 */
	int (*prepare)(void *user_data, struct err *e);
	void *user_data;
};

/*
 * Forks and executes. The child dies with the parent (SIGKILL), has default signal handlers and an
 * empty mask, and no descriptor but those named. Returns once exec has succeeded: the pid, or a
 * negative errno with the failing step in e (then no child is left).
 */
pid_t child_spawn(const struct child_spec *spec, struct err *e);

/* Waits for the child; its status as waitpid gives it in *ret. 0 or a negative errno. */
int child_wait(pid_t pid, int *ret_status);

/* "exit status 3" or "killed by signal 9 (SIGKILL)"; returns out. */
char *child_status_text(int status, char *out, size_t size);

/*
 * Waits for a child's end, and before that reads the pipe consume_rd (-1: none), keeping at most
 * max bytes in *out. 0 when it exits with 0; otherwise a negative errno and a sentence in e that
 * begins with `name`: -ECHILD, or -ETIMEDOUT when it has not ended in time, and then it is killed.
 */
int child_finish(pid_t pid, const char *name, int consume_rd, struct buf *out, size_t max,
		 unsigned seconds, struct err *e);

/*
 * Runs a program to its end and keeps at most max bytes of its stdout in *out (NULL: inherited);
 * stderr is inherited. As child_finish.
 */
int child_run(const char *const *argv, struct buf *out, size_t max, unsigned seconds,
	      struct err *e);

#endif
