/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Starting the manager in namespaces: the id maps and the private /proc are set before exec. */
#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include "base/child.h"
#include "paths.h"

#define CONTROL_FD 3
#define FIRST_FILE 4

struct maps {
	char uid[64], gid[64];
};

static void own_maps(struct maps *m)
{
	(void)snprintf(m->uid, sizeof(m->uid), "0 %u 1\n", (unsigned)geteuid());
	(void)snprintf(m->gid, sizeof(m->gid), "0 %u 1\n", (unsigned)getegid());
}

static int write_map(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = write(fd, text, strlen(text));
	n = n < 0 ? -errno : 0;
	(void)close(fd);
	return (int)n;
}

/* In the child, already in its namespaces: root there is the calling user here. */
static int enter_home(void *user_data, struct err *e)
{
	const struct maps *m = user_data;
	int r;

	r = write_map("/proc/self/setgroups", "deny");
	if (r < 0 && r != -ENOENT)
		return err_set(e, r, "user namespace: setgroups");
	r = write_map("/proc/self/uid_map", m->uid);
	if (r < 0)
		return err_set(e, r, "user namespace: uid_map");
	r = write_map("/proc/self/gid_map", m->gid);
	if (r < 0)
		return err_set(e, r, "user namespace: gid_map");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_set(e, -errno, "mount namespace");
	/* refused where the outer /proc is masked (some containers); then memory is not sampled */
	(void)mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
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

/* The numbers are those of the descriptors below. */
static void make_argv(const char *argv[16], bool dialer, bool debug)
{
	static const char *const always[] = {
		"contractor-manager", "--control", "3",		"--image", "4", "--input", "5",
		"--output",	      "6",	   "--scratch", "7"};
	size_t n = ARRAY_SIZE(always);

	memcpy(argv, always, sizeof(always));
	if (dialer) {
		argv[n++] = "--dialer";
		argv[n++] = "8";
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
	_cleanup_free_ char *program = NULL;
	_cleanup_close_ int ours = -1, theirs = -1;
	const char *argv[16];
	char store[8][512];
	const char *env[8];
	struct maps maps;
	int pair[2], r;
	pid_t pid;

	r = paths_manager(&program, e);
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_errno(e, -errno, "cannot make the control socket");
	ours = pair[0];
	theirs = pair[1];
	own_maps(&maps);
	(void)make_env(env, store);
	make_argv(argv, files->dialer >= 0, debug);
	const struct child_fd fds[] = {
		{theirs, CONTROL_FD},
		{files->image, FIRST_FILE},
		{files->input, FIRST_FILE + 1},
		{files->output, FIRST_FILE + 2},
		{files->scratch, FIRST_FILE + 3},
		{files->dialer, FIRST_FILE + 4},
	};
	const struct child_spec spec = {
		.path = program,
		.argv = argv,
		.envp = env,
		.clone_flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET |
			       CLONE_NEWIPC | CLONE_NEWUTS,
		.fds = fds,
		.n_fds = ARRAY_SIZE(fds) - (files->dialer < 0),
		.no_new_privs = 1,
		.new_session = 1,
		.prepare = enter_home,
		.user_data = &maps,
	};
	pid = child_spawn(&spec, e);
	if (pid < 0)
		return no_namespaces((int)pid, e);
	*ret_control = take_fd(&ours);
	return pid;
}

struct trial {
	struct maps maps;
	int (*inside)(struct err *e);
};

static int enter_trial(void *user_data, struct err *e)
{
	struct trial *t = user_data;
	int r = enter_home(&t->maps, e);

	return r == 0 && t->inside ? t->inside(e) : r;
}

int launch_try(int (*inside)(struct err *e), struct err *e)
{
	static const char *const argv[] = {"true", NULL};
	struct trial trial = {.inside = inside};
	const struct child_spec spec = {
		.path = "true",
		.argv = argv,
		.clone_flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET |
			       CLONE_NEWIPC | CLONE_NEWUTS,
		.no_new_privs = 1,
		.prepare = enter_trial,
		.user_data = &trial,
	};
	pid_t pid;

	own_maps(&trial.maps);
	pid = child_spawn(&spec, e);
	return pid < 0 ? (int)pid : child_wait(pid, NULL);
}
