/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Starting the manager in namespaces and a root of its own, as an ordinary user. */
#include "launch.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "base/child.h"
#include "paths.h"
#include "vm/jail.h"

#define CONTROL_FD 3
#define FIRST_FILE 4

/* A home whose paths live as long as it does. */
struct home {
	struct jail jail;
	char program[PATH_MAX]; /* of the manager, with every link resolved: the jail shows its
				   folder */
};

static int make_home(struct home *h, struct err *e)
{
	_cleanup_free_ char *program = NULL;
	int r = paths_manager(&program, e);

	if (r < 0)
		return r;
	if (!realpath(program, h->program))
		return err_errno(e, -errno, "%s", program);
	h->jail = (struct jail){
		.uid = geteuid(),
		.gid = getegid(),
		.program = h->program,
		.qemu = getenv("CONTRACTOR_QEMU"),
		.kernel.fd = -1,
		.initrd.fd = -1,
		.kvm = true,
	};
	return 0;
}

/* Only what the manager and QEMU look at; the rest of the user's environment is nobody's business.
 */
static size_t make_env(const char *out[8], char store[8][512])
{
	static const char *const names[] = {"PATH", "CONTRACTOR_ACCEL", "CONTRACTOR_QEMU",
					    "UBSAN_OPTIONS", "ASAN_OPTIONS"};
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *v = getenv(names[i]);

		if (!v || (size_t)snprintf(store[n], sizeof(store[n]), "%s=%s", names[i], v) >=
				  sizeof(store[n]))
			continue;
		out[n] = store[n];
		n++;
	}
	out[n] = NULL;
	return n;
}

/* What not every manager has, with the option that names it. */
struct optional {
	const char *option;
	int fd;
	char number[8];
};

#define OPTIONAL_MAX 5

/* The numbers are those of the descriptors that launch_single hands on. */
static void make_argv(const char *argv[24], struct optional optional[OPTIONAL_MAX], bool debug)
{
	static const char *const always[] = {
		"contractor-manager", "--control", "3",		"--image", "4", "--input", "5",
		"--output",	      "6",	   "--scratch", "7"};
	size_t n = ARRAY_SIZE(always);
	int next = CONTROL_FD + 5;

	memcpy(argv, always, sizeof(always));
	for (size_t i = 0; i < OPTIONAL_MAX; i++) {
		if (optional[i].fd < 0)
			continue;
		(void)snprintf(optional[i].number, sizeof(optional[i].number), "%d", next++);
		argv[n++] = optional[i].option;
		argv[n++] = optional[i].number;
	}
	if (debug)
		argv[n++] = "--debug";
	argv[n] = NULL;
}

static int no_namespaces(int code, struct err *e)
{
	if (code != -EPERM && code != -ENOSPC && code != -EACCES)
		return code;
	return err_wrap(e, "user namespaces are not available to this user (see "
			   "/proc/sys/user/max_user_namespaces, "
			   "kernel.unprivileged_userns_clone, or AppArmor)");
}

pid_t launch_single(const struct launch_files *files, int debug, int *ret_control, struct err *e)
{
	_cleanup_close_ int ours = -1, theirs = -1;
	const char *argv[24];
	char store[8][512];
	const char *env[8];
	struct home home;
	int pair[2], r;
	pid_t pid;

	r = make_home(&home, e);
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_errno(e, -errno, "cannot make the control socket");
	ours = pair[0];
	theirs = pair[1];
	(void)make_env(env, store);
	struct optional optional[OPTIONAL_MAX] = {
		{.option = "--layer", .fd = files->layer},
		{.option = "--memory", .fd = files->memory},
		{.option = "--state", .fd = files->state},
		{.option = "--dialer", .fd = files->dialer},
		{.option = "--cgroup", .fd = files->cgroup},
	};
	struct child_fd fds[5 + OPTIONAL_MAX] = {
		{theirs, CONTROL_FD},
		{files->image, FIRST_FILE},
		{files->input, FIRST_FILE + 1},
		{files->output, FIRST_FILE + 2},
		{files->scratch, FIRST_FILE + 3},
	};
	size_t n_fds = 5;

	make_argv(argv, optional, debug);
	for (size_t i = 0; i < OPTIONAL_MAX; i++) {
		if (optional[i].fd < 0)
			continue;
		fds[n_fds] = (struct child_fd){optional[i].fd, CONTROL_FD + (int)n_fds};
		n_fds++;
	}
	const struct child_spec spec = {
		.path = home.program,
		.argv = argv,
		.envp = env,
		.clone_flags = JAIL_CLONE,
		.fds = fds,
		.n_fds = n_fds,
		.no_new_privs = 1,
		.new_session = 1,
		.prepare = jail_home,
		.user_data = &home.jail,
	};
	pid = child_spawn(&spec, e);
	if (pid < 0)
		return no_namespaces((int)pid, e);
	*ret_control = take_fd(&ours);
	return pid;
}

struct trial {
	struct home home;
	int (*inside)(struct err *e);
};

static int enter_trial(void *user_data, struct err *e)
{
	struct trial *t = user_data;
	int r = jail_home(&t->home.jail, e);

	return r == 0 && t->inside ? t->inside(e) : r;
}

int launch_try(int (*inside)(struct err *e), struct err *e)
{
	static const char *const argv[] = {"true", NULL};
	struct trial trial = {.inside = inside};
	const struct child_spec spec = {
		.path = "/usr/bin/true", /* PATH may name folders that the home does not show */
		.argv = argv,
		.clone_flags = JAIL_CLONE,
		.no_new_privs = 1,
		.prepare = enter_trial,
		.user_data = &trial,
	};
	int r = make_home(&trial.home, e);
	pid_t pid;

	if (r < 0)
		return r;
	pid = child_spawn(&spec, e);
	return pid < 0 ? (int)pid : child_wait(pid, NULL);
}
