/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Runs tools by unshare(1): as root in new mount and pid namespaces, else in a user namespace too.
 */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdbool.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/child.h"
#include "base/io.h"

#define ARGV_MAX   64
#define STEP_S	   (6 * 3600) /* mmdebstrap, for another architecture and by a slow line */
#define SUBIDS_MAX (1 * MIB)  /* of /etc/subuid */

struct sandbox {
	char path[PATH_MAX];
	int keeper; /* the keeper waits for the end of this pipe */
	int done;   /* and closes this one when it is through */
	int log_fd;
	bool as_root;
	char *path_variable; /* an ordinary user's may lack the folders of mke2fs and chroot */
};

/*
 * Runs as the keeper with the folder and the files as arguments. What still runs in the folder is
 * being killed at that moment, hence the rounds.
 */
static const char keeper_script[] =
	"trap '' INT TERM HUP PIPE; read x; n=0; "
	"while rm -rf -- \"$@\" 2>/dev/null; [ -e \"$1\" ] && [ $n -lt 50 ]; "
	"do n=$((n + 1)); sleep 0.2; done";

/* Does the user, by name or number, have a range in the file? */
static bool has_range(const char *file, const char *user, uid_t uid)
{
	_cleanup_buf_ struct buf text = {0};
	char number[24];
	int n = snprintf(number, sizeof(number), "%u", (unsigned int)uid);

	if (io_read_file(AT_FDCWD, file, SUBIDS_MAX, &text, NULL) < 0)
		return false;
	for (const char *p = buf_str(&text); p && *p; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (user && strncmp(p, user, strlen(user)) == 0 && p[strlen(user)] == ':')
			return true;
		if (strncmp(p, number, (size_t)n) == 0 && p[n] == ':')
			return true;
	}
	return false;
}

static int check_ranges(struct err *e)
{
	const struct passwd *pw = getpwuid(getuid());
	const char *user = pw ? pw->pw_name : NULL;

	if (has_range("/etc/subuid", user, getuid()) && has_range("/etc/subgid", user, getuid()))
		return 0;
	return err_set(e, -EPERM,
		       "user %s has no range of subordinate user and group ids, which the image's "
		       "own users need; add one with: sudo usermod --add-subuids 100000-165535 "
		       "--add-subgids 100000-165535 %s",
		       user ? user : "(unknown)", user ? user : "USER");
}

const char *sandbox_parent(void)
{
	const char *dir = getenv("TMPDIR");

	return dir && *dir == '/' ? dir : "/var/tmp";
}

static int make_name(struct sandbox *s, struct err *e)
{
	const char *dir = sandbox_parent();
	uint64_t rnd;

	if (getrandom(&rnd, sizeof(rnd), 0) != (ssize_t)sizeof(rnd))
		return err_errno(e, -errno, "cannot get random bytes");
	if ((size_t)snprintf(s->path, sizeof(s->path), "%s/contractor-image-%016llx", dir,
			     (unsigned long long)rnd) >= sizeof(s->path))
		return err_errno(e, -ENAMETOOLONG, "%s", dir);
	return 0;
}

/* The beginning of every command line; the count of words. */
static size_t put_unshare(const struct sandbox *s, const char **argv, bool with_pids)
{
	size_t n = 0;

	argv[n++] = "env";
	argv[n++] = s->path_variable;
	argv[n++] = "unshare";
	if (!s->as_root) {
		argv[n++] = "--user";
		argv[n++] = "--map-root-user";
		argv[n++] = "--map-auto";
	}
	argv[n++] = "--mount";
	if (with_pids) {
		argv[n++] = "--pid";
		argv[n++] = "--fork";
		argv[n++] = "--kill-child";
	}
	argv[n++] = "--";
	return n;
}

/* setsid --fork leaves a grandchild that nothing ends but its own script. */
static int start_keeper(struct sandbox *s, const char *const *unlink, int lock_fd, struct err *e)
{
	const char *argv[ARGV_MAX] = {"setsid", "--fork"};
	_cleanup_close_ int in_rd = -1, out_wr = -1;
	struct child_fd fds[3];
	struct child_spec spec = {.path = "setsid", .argv = argv, .fds = fds, .n_fds = 2};
	size_t n = 2 + put_unshare(s, argv + 2, false);
	int in[2], out[2], status;
	pid_t pid;

	if (pipe2(in, O_CLOEXEC) < 0)
		return err_errno(e, -errno, "cannot make a pipe");
	in_rd = in[0];
	s->keeper = in[1];
	if (pipe2(out, O_CLOEXEC) < 0)
		return err_errno(e, -errno, "cannot make a pipe");
	s->done = out[0];
	out_wr = out[1];
	fds[0] = (struct child_fd){.fd = in_rd, .as = STDIN_FILENO};
	fds[1] = (struct child_fd){.fd = out_wr, .as = STDOUT_FILENO};
	if (lock_fd >= 0)
		fds[spec.n_fds++] = (struct child_fd){.fd = lock_fd, .as = 3};
	argv[n++] = "sh";
	argv[n++] = "-c";
	argv[n++] = keeper_script;
	argv[n++] = "keeper";
	argv[n++] = s->path;
	for (; *unlink && n < ARGV_MAX - 1; unlink++)
		argv[n++] = *unlink;
	pid = child_spawn(&spec, e);
	if (pid < 0)
		return (int)pid;
	(void)child_wait(pid, &status);
	return status == 0 ? 0 : err_set(e, -ECHILD, "setsid: cannot start the keeper");
}

int sandbox_new(const char *const *unlink, int lock_fd, int log_fd, struct sandbox **ret,
		struct err *e)
{
	static const char *const probe[] = {"true", NULL};
	_cleanup_(sandbox_free_p) struct sandbox *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return err_oom(e);
	s->keeper = s->done = -1;
	s->log_fd = log_fd;
	s->as_root = geteuid() == 0;
	if (asprintf(&s->path_variable, "PATH=%s:/usr/sbin:/usr/bin:/sbin:/bin",
		     getenv("PATH") ? getenv("PATH") : "") < 0) {
		s->path_variable = NULL;
		return err_oom(e);
	}
	if (!s->as_root && (r = check_ranges(e)) < 0)
		return r;
	if ((r = make_name(s, e)) < 0 || (r = start_keeper(s, unlink, lock_fd, e)) < 0)
		return r;
	if (mkdir(s->path, 0700) < 0)
		return err_errno(e, -errno, "%s: cannot make a temporary folder; set TMPDIR",
				 s->path);
	r = sandbox_run(s, probe, -1, NULL, 0, e);
	if (r < 0 && !s->as_root)
		return err_set(e, -EPERM,
			       "unshare: cannot make a user namespace; install uidmap (apt install "
			       "uidmap) and allow user namespaces, or run this as root");
	if (r < 0)
		return err_wrap(e, "cannot make mount and pid namespaces");
	*ret = take_ptr(&s);
	return 0;
}

const char *sandbox_path(const struct sandbox *s)
{
	return s->path;
}

/* In the child: what the tools make is not to depend on the user's mask. */
static int set_umask(void *user_data, struct err *e)
{
	(void)umask(022);
	return 0;
}

/* The program's name in messages: env's own arguments are none. */
static const char *tool_name(const char *const *argv)
{
	if (strcmp(argv[0], "env") == 0) {
		for (size_t i = 1; argv[i]; i++) {
			if (!strchr(argv[i], '='))
				return argv[i];
		}
	}
	return argv[0];
}

int sandbox_run(struct sandbox *s, const char *const *argv, int fd, struct buf *out, size_t max,
		struct err *e)
{
	const char *full[ARGV_MAX] = {NULL};
	_cleanup_close_ int rd = -1, wr = -1;
	struct child_fd fds[3];
	struct child_spec spec = {
		.path = "env",
		.argv = full,
		.fds = fds,
		.n_fds = 2,
		.prepare = set_umask,
	};
	size_t n = put_unshare(s, full, true);
	pid_t pid;

	for (size_t i = 0; argv[i]; i++) {
		if (n == ARGV_MAX - 1)
			return err_errno(e, -E2BIG, "%s", argv[0]);
		full[n++] = argv[i];
	}
	if (out) {
		int p[2];

		if (pipe2(p, O_CLOEXEC) < 0)
			return err_errno(e, -errno, "cannot make a pipe");
		rd = p[0];
		wr = p[1];
	}
	fds[0] = (struct child_fd){.fd = out ? wr : s->log_fd, .as = STDOUT_FILENO};
	fds[1] = (struct child_fd){.fd = s->log_fd, .as = STDERR_FILENO};
	if (fd >= 0)
		fds[spec.n_fds++] = (struct child_fd){.fd = fd, .as = 3};
	pid = child_spawn(&spec, e);
	if (pid < 0)
		return (int)pid;
	fd_close(&wr);
	return child_finish(pid, tool_name(argv), take_fd(&rd), out, max, STEP_S, e);
}

uint64_t sandbox_space(const char *path)
{
	struct statvfs fs;

	return statvfs(path, &fs) == 0 ? (uint64_t)fs.f_bavail * fs.f_frsize : UINT64_MAX;
}

struct sandbox *sandbox_free(struct sandbox *s)
{
	char c;

	if (!s)
		return NULL;
	fd_close(&s->keeper);
	/* its end of the other pipe is closed when it has removed everything */
	if (s->done >= 0)
		(void)io_read_full(s->done, &c, 1);
	fd_close(&s->done);
	free(s->path_variable);
	free(s);
	return NULL;
}
