/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Starting QEMU in its jail, watching its end, and keeping the console's last bytes. */
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>

#include "base/child.h"
#include "base/io.h"
#include "jail.h"

#define CONSOLE_KEEP 16384
#define FIRST_FD     10 /* descriptors in QEMU: 10, 11, ... in the order of the description */
#define FDS_MAX	     (VM_DISKS_MAX + VM_PORTS_MAX + 3)

struct vm {
	pid_t pid;
	struct qmp *qmp;
	int console_fd;
	struct loop_source *console_source, *child;
	struct buf console;
	struct vm_callbacks cb;
};

/* The child's table: each descriptor of the description gets a number of its own. */
struct table {
	struct child_fd fds[FDS_MAX];
	size_t n;
};

static int place(struct table *t, int fd)
{
	t->fds[t->n] = (struct child_fd){fd, FIRST_FD + (int)t->n};
	return t->fds[t->n++].as;
}

static void place_all(struct vm_desc *d, struct table *t)
{
	d->qmp_fd = place(t, d->qmp_fd);
	d->console_fd = place(t, d->console_fd);
	for (size_t i = 0; i < d->n_disks; i++)
		d->disks[i].fd = place(t, d->disks[i].fd);
	for (size_t i = 0; i < d->n_ports; i++)
		d->ports[i].fd = place(t, d->ports[i].fd);
	if (d->tap_fd >= 0)
		d->tap_fd = place(t, d->tap_fd);
}

/* The absolute path of QEMU: $CONTRACTOR_QEMU, or qemu-system-ARCH in PATH. */
static int find_qemu(const char *arch, char out[PATH_MAX], struct err *e)
{
	const char *forced = getenv("CONTRACTOR_QEMU"), *path = getenv("PATH");

	if (forced) {
		if (forced[0] != '/' || access(forced, X_OK) < 0)
			return err_set(e, -ENOENT,
				       "CONTRACTOR_QEMU=%s: is not the absolute path of a program",
				       forced);
		(void)snprintf(out, PATH_MAX, "%s", forced);
		return 0;
	}
	if (!path || !*path)
		path = "/usr/local/bin:/usr/bin:/bin";
	while (*path) {
		size_t n = strcspn(path, ":");

		if (path[0] == '/' &&
		    (size_t)snprintf(out, PATH_MAX, "%.*s/qemu-system-%s", (int)n, path, arch) <
			    PATH_MAX &&
		    access(out, X_OK) == 0)
			return 0;
		path += n + (path[n] == ':');
	}
	return err_set(e, -ENOENT, "qemu-system-%s is not installed; on Debian: apt install %s",
		       arch, strcmp(arch, "x86_64") == 0 ? "qemu-system-x86" : "qemu-system");
}

static void on_console(struct loop_source *s, uint32_t events, void *user_data)
{
	struct vm *v = user_data;
	char chunk[4096];
	ssize_t n = recv(v->console_fd, chunk, sizeof(chunk), MSG_DONTWAIT);

	if (n <= 0) {
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			v->console_source = loop_remove(v->console_source);
		return;
	}
	if (v->console.len + (size_t)n > CONSOLE_KEEP)
		buf_drop(&v->console, v->console.len + (size_t)n - CONSOLE_KEEP);
	(void)buf_put(&v->console, chunk, (size_t)n);
	if (v->cb.console)
		v->cb.console(chunk, (size_t)n, v->cb.user_data);
}

static void on_exited(struct loop_source *s, const siginfo_t *info, void *user_data)
{
	struct vm *v = user_data;

	v->pid = -1;
	v->child = NULL;
	while (v->console_source)
		on_console(v->console_source, EPOLLIN, v); /* up to the end of file */
	if (v->cb.exited)
		v->cb.exited(info->si_code == CLD_EXITED ? info->si_status << 8 : info->si_status,
			     v->cb.user_data);
}

static void on_event(const char *name, const cJSON *data, void *user_data)
{
	struct vm *v = user_data;

	if (v->cb.event)
		v->cb.event(name, data, v->cb.user_data);
}

static void on_qmp_closed(const struct err *why, void *user_data)
{
	/* pending commands have their -ECONNRESET, and the end of QEMU is told by on_exited */
}

static pid_t spawn(const struct vm_start *s, const struct vm_desc *d, const struct table *t,
		   const char *program, struct err *e)
{
	_cleanup_(vm_argv_done) struct vm_argv argv = {0};
	struct child_limit limits[5];
	struct jail jail = {.program = program, .kvm = d->accel == VM_ACCEL_KVM, .nice = s->nice};
	struct child_spec spec = {
		.path = program,
		.envp = (const char *const[]){"PATH=/usr/bin:/bin", NULL},
		.clone_flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET |
			       CLONE_NEWIPC | CLONE_NEWUTS,
		.fds = t->fds,
		.n_fds = t->n,
		.limits = limits,
		.no_new_privs = 1,
		.new_session = 1,
		.prepare = jail_enter,
		.user_data = &jail,
	};
	int r = vm_argv(d, &argv, e);

	if (r < 0)
		return r;
	jail_init(&jail);
	jail.kernel = s->kernel;
	jail.initrd = s->initrd;
	spec.argv = (const char *const *)argv.v;
	limits[spec.n_limits++] = (struct child_limit){RLIMIT_CORE, 0};
	limits[spec.n_limits++] = (struct child_limit){RLIMIT_NOFILE, 256};
	if (s->cpu_time_ms)
		limits[spec.n_limits++] =
			(struct child_limit){RLIMIT_CPU, (s->cpu_time_ms + 999) / 1000 + 1};
	if (s->file_size)
		limits[spec.n_limits++] = (struct child_limit){RLIMIT_FSIZE, s->file_size};
	return child_spawn(&spec, e);
}

static int connect_vm(struct loop *l, struct vm *v, int qmp_fd, uint64_t deadline_ms, struct err *e)
{
	const struct qmp_callbacks cb = {on_event, on_qmp_closed, v};
	int r = qmp_new(l, qmp_fd, deadline_ms, &cb, &v->qmp, e);

	if (r < 0)
		return r;
	r = io_set_nonblock(v->console_fd, 1);
	if (r == 0)
		r = loop_add_fd(l, v->console_fd, EPOLLIN, on_console, v, &v->console_source);
	if (r == 0)
		r = loop_add_child(l, v->pid, on_exited, v, &v->child);
	return r < 0 ? err_errno(e, r, "cannot watch QEMU") : 0;
}

int vm_start(struct loop *l, const struct vm_start *s, const struct vm_callbacks *cb,
	     struct vm **ret, struct err *e)
{
	_cleanup_close_ int qmp_ours = -1, qmp_theirs = -1, console_theirs = -1;
	_cleanup_(vm_free_p) struct vm *v = calloc(1, sizeof(*v));
	struct vm_desc d = s->desc;
	struct table t = {.n = 0};
	char program[PATH_MAX];
	int pair[2], r;

	if (!v)
		return err_oom(e);
	v->pid = v->console_fd = -1;
	v->cb = *cb;
	v->console.cap = 2 * CONSOLE_KEEP;
	r = find_qemu(d.arch, program, e);
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_errno(e, -errno, "cannot make the QMP socket");
	qmp_ours = pair[0];
	qmp_theirs = pair[1];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_errno(e, -errno, "cannot make the console's socket");
	v->console_fd = pair[0];
	console_theirs = pair[1];
	d.qmp_fd = qmp_theirs;
	d.console_fd = console_theirs;
	if (s->kernel.fd >= 0)
		d.kernel = JAIL_KERNEL;
	if (s->initrd.fd >= 0)
		d.initrd = JAIL_INITRD;
	place_all(&d, &t);
	v->pid = spawn(s, &d, &t, program, e);
	if (v->pid < 0)
		return (int)v->pid;
	r = connect_vm(l, v, take_fd(&qmp_ours), s->qmp_deadline_ms, e);
	if (r < 0)
		return r;
	*ret = take_ptr(&v);
	return 0;
}

struct qmp *vm_qmp(struct vm *v)
{
	return v->qmp;
}

pid_t vm_pid(const struct vm *v)
{
	return v->pid;
}

const struct buf *vm_console(const struct vm *v)
{
	return &v->console;
}

struct vm *vm_free(struct vm *v)
{
	if (!v)
		return NULL;
	v->cb = (struct vm_callbacks){0};
	if (v->pid > 0) {
		(void)kill(v->pid, SIGKILL);
		(void)child_wait(v->pid, NULL);
	}
	(void)loop_remove(v->child);
	(void)loop_remove(v->console_source);
	v->qmp = qmp_free(v->qmp);
	fd_close(&v->console_fd);
	buf_done(&v->console);
	free(v);
	return NULL;
}
