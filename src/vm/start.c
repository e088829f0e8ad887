/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The life of one QEMU: start in the jail, console, QMP, and its end. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/child.h"
#include "base/io.h"
#include "base/text.h"
#include "find.h"
#include "jail.h"
#include "memory.h"
#include "vm.h"
#include "walls.h"

#define CONSOLE_KEEP  (16 * KIB)
#define MESSAGES_KEEP (4 * KIB)
#define FIRST_FD      3	   /* the descriptors for QEMU, without a gap */
#define LEAVE_MS      2000 /* for QEMU to end by itself once its QMP connection has */
#define REAP_MS	      5000

/* A stream of bytes from QEMU, of which the last are kept. */
struct stream {
	struct vm *vm;
	int fd;
	struct loop_source *source;
	struct buf last;
	size_t keep;
	bool console;
};

struct vm {
	struct loop *loop;
	struct vm_callbacks cb;
	pid_t pid;
	struct loop_source *child, *leave;
	struct stream console, messages;
	int listener, memory_fd; /* until QEMU has the guest's memory */
	struct loop_source *memory;
	struct qmp *qmp;
	struct err qmp_end; /* why the connection ended */
	bool qmp_closed, reaped, told;
	int status;
	int depth; /* our frames that use the vm after a callback */
	bool freed;
};

static void release(struct vm *v)
{
	if (--v->depth == 0 && v->freed)
		free(v);
}

static void keep_last(struct stream *s, const char *data, size_t n)
{
	if (n > s->keep) {
		data += n - s->keep;
		n = s->keep;
	}
	if (s->last.len + n > s->keep)
		buf_drop(&s->last, s->last.len + n - s->keep);
	(void)buf_put(&s->last, data, n); /* out of memory: the console is a comfort only */
}

/* One read. False when there is nothing more now, or ever. The caller holds v->depth. */
static bool stream_read(struct stream *s)
{
	char data[4096];
	ssize_t n = s->fd < 0 ? 0 : read(s->fd, data, sizeof(data));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		s->source = loop_remove(s->source);
		fd_close(&s->fd);
		return false;
	}
	keep_last(s, data, (size_t)n);
	if (s->console && s->vm->cb.console)
		s->vm->cb.console(data, (size_t)n, s->vm->cb.user_data);
	return !s->vm->freed;
}

static void on_stream(struct loop_source *source, uint32_t events, void *user_data)
{
	struct stream *s = user_data;
	struct vm *v = s->vm;

	v->depth++;
	(void)stream_read(s);
	release(v);
}

static int stream_open(struct stream *s, struct vm *v, int consume_fd, size_t keep, bool console)
{
	int r;

	s->vm = v;
	s->fd = consume_fd;
	s->keep = keep;
	s->console = console;
	r = io_set_nonblock(s->fd, 1);
	return r < 0 ? r : loop_add_fd(v->loop, s->fd, EPOLLIN, on_stream, s, &s->source);
}

static void stream_close(struct stream *s)
{
	s->source = loop_remove(s->source);
	fd_close(&s->fd);
	buf_done(&s->last);
}

/*
 * Tells the owner of the end, once the process is reaped and the last events are delivered: the
 * socket's end comes with the process, but in no fixed order.
 */
static void tell_if_over(struct vm *v)
{
	if (!v->reaped || !v->qmp_closed || v->told || v->freed)
		return;
	v->told = true;
	v->depth++;
	/* at most what the socket buffers hold: the writer is dead */
	while (stream_read(&v->messages))
		;
	while (!v->freed && stream_read(&v->console))
		;
	if (!v->freed && v->cb.exited)
		v->cb.exited(v->status, v->cb.user_data);
	release(v);
}

static void on_child(struct loop_source *s, const siginfo_t *info, void *user_data)
{
	struct vm *v = user_data;

	v->child = NULL; /* the loop removes it */
	v->reaped = true;
	v->pid = -1;
	v->status = info->si_code == CLD_EXITED ? (info->si_status & 0xff) << 8 : info->si_status;
	tell_if_over(v);
}

static void on_leave(struct loop_source *s, void *user_data)
{
	struct vm *v = user_data;

	if (v->pid > 0)
		(void)kill(v->pid, SIGKILL);
}

/* QEMU has asked for the guest's memory, or has ended. What goes wrong it tells by its end. */
static void on_memory(struct loop_source *s, uint32_t events, void *user_data)
{
	struct vm *v = user_data;

	if (events & EPOLLIN)
		(void)vm_memory_answer(v->listener, v->memory_fd);
	v->memory = loop_remove(v->memory);
	fd_close(&v->listener);
	fd_close(&v->memory_fd);
}

static void on_qmp_event(const char *name, const cJSON *data, void *user_data)
{
	struct vm *v = user_data;

	if (v->cb.event)
		v->cb.event(name, data, v->cb.user_data);
}

/* A QEMU that cannot be talked to is ended: at once if it broke the protocol. */
static void on_qmp_closed(const struct err *why, void *user_data)
{
	struct vm *v = user_data;

	v->qmp_end = *why;
	v->qmp_closed = true;
	if (why->code != -ECONNRESET || loop_timer_set(v->leave, LEAVE_MS, 0) < 0)
		on_leave(NULL, v);
	tell_if_over(v);
}

/* Both ends of QEMU's connections: ours, and the ones that go. */
struct ends {
	int qmp[2], console[2], messages[2], memory[2];
};

#define ENDS_NONE                             \
	{                                     \
		{-1, -1}, {-1, -1}, {-1, -1}, \
		{                             \
			-1, -1                \
		}                             \
	}

static void ends_done(struct ends *n)
{
	int *all[] = {n->qmp, n->console, n->messages, n->memory};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		fd_close(&all[i][0]);
		fd_close(&all[i][1]);
	}
}

static int ends_make(struct ends *n, struct err *e)
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, n->qmp) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, n->console) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, n->memory) < 0 ||
	    pipe2(n->messages, O_CLOEXEC) < 0) {
		int r = -errno;

		ends_done(n);
		return err_errno(e, r, "cannot make the sockets for QEMU");
	}
	return 0;
}

/* QEMU opens a disk's descriptor again by its access mode, and fails without a clear word. */
static int check_access(const struct vm_desc *d, struct err *e)
{
	for (size_t i = 0; i < d->n_disks; i++) {
		int flags = fcntl(d->disks[i].fd, F_GETFL);
		int want = d->disks[i].read_only ? O_RDONLY : O_RDWR;

		if (flags < 0)
			return err_errno(e, -errno, "disk %s", d->disks[i].serial);
		if ((flags & O_ACCMODE) != want)
			return err_set(e, -EINVAL, "disk %s: its descriptor must be open for %s",
				       d->disks[i].serial,
				       want == O_RDONLY ? "reading only" : "reading and writing");
	}
	return 0;
}

/* Gives each descriptor of the description its number in QEMU. */
struct fd_table {
	struct child_fd fds[2 + 3 + VM_DISKS_MAX + VM_PORTS_MAX];
	size_t n;
	int next;
};

static int place(struct fd_table *t, int fd)
{
	if (fd < 0)
		return -1;
	t->fds[t->n++] = (struct child_fd){fd, t->next};
	return t->next++;
}

static void place_all(struct fd_table *t, struct vm_desc *d, const struct ends *n)
{
	t->n = 0;
	t->next = FIRST_FD;
	t->fds[t->n++] = (struct child_fd){n->messages[1], STDOUT_FILENO};
	t->fds[t->n++] = (struct child_fd){n->messages[1], STDERR_FILENO};
	d->qmp_fd = place(t, n->qmp[1]);
	d->console_fd = place(t, n->console[1]);
	d->tap_fd = place(t, d->tap_fd);
	for (size_t i = 0; i < d->n_disks; i++) {
		struct stat st;

		d->disks[i].block = fstat(d->disks[i].fd, &st) == 0 && S_ISBLK(st.st_mode);
		d->disks[i].fd = place(t, d->disks[i].fd);
	}
	for (size_t i = 0; i < d->n_ports; i++)
		d->ports[i].fd = place(t, d->ports[i].fd);
}

/* Starts the process; its pid, or a negative errno. */
static pid_t launch(const struct vm_start *s, const struct ends *n, struct err *e)
{
	char program[PATH_MAX];
	const struct vm_walls walls = vm_walls(s);
	struct vm_desc d = s->desc;
	struct jail jail = {.uid = geteuid(),
			    .gid = getegid(),
			    .program = program,
			    .kernel = s->kernel,
			    .initrd = s->initrd,
			    .kvm = d.accel == VM_ACCEL_KVM,
			    .memory = d.memory_kind != VM_MEMORY_OWN,
			    .listener_to = n->memory[1],
			    .nice = s->nice,
			    .io = s->io,
			    .cgroup = s->cgroup_fd,
			    .threads = walls.threads};
	/* an arena for each thread would be memory that no limit foresees */
	static const char *const env[] = {"PATH=/usr/bin", "LC_ALL=C", "MALLOC_ARENA_MAX=2", NULL};
	struct fd_table table;
	struct child_spec spec = {.path = program,
				  .envp = env,
				  .clone_flags = JAIL_CLONE,
				  .fds = table.fds,
				  .limits = walls.v,
				  .n_limits = walls.n,
				  .no_new_privs = 1,
				  .new_session = 1,
				  .prepare = jail_enter,
				  .user_data = &jail};
	_cleanup_(vm_argv_done) struct vm_argv argv = {0};
	pid_t pid;
	int r;

	r = check_access(&d, e);
	if (r == 0)
		r = vm_find_qemu(d.arch, program, e);
	if (r < 0)
		return r;
	if (s->kernel.fd >= 0)
		d.kernel = JAIL_KERNEL;
	if (s->initrd.fd >= 0)
		d.initrd = JAIL_INITRD;
	place_all(&table, &d, n);
	spec.n_fds = table.n;
	r = vm_argv(&d, &argv, e);
	if (r < 0)
		return r;
	/* without /proc QEMU finds its modules and firmware by the path in argv[0] */
	free(argv.v[0]);
	argv.v[0] = strdup(program);
	if (!argv.v[0])
		return err_oom(e);
	spec.argv = (const char *const *)argv.v;
	pid = child_spawn(&spec, e);
	if (pid == -EPERM || pid == -ENOSPC || pid == -EUSERS || pid == -EACCES)
		(void)err_wrap(e, "QEMU needs user namespaces, which this system may forbid "
				  "(sysctl user.max_user_namespaces, "
				  "kernel.unprivileged_userns_clone, "
				  "kernel.apparmor_restrict_unprivileged_userns)");
	return pid;
}

static int watch(struct vm *v, struct ends *n, uint64_t qmp_deadline_ms, struct err *e)
{
	struct qmp_callbacks cb = {on_qmp_event, on_qmp_closed, v};
	int r;

	r = loop_add_timer(v->loop, on_leave, v, &v->leave);
	if (r == 0)
		r = loop_add_child(v->loop, v->pid, on_child, v, &v->child);
	if (r == 0)
		r = stream_open(&v->console, v, take_fd(&n->console[0]), CONSOLE_KEEP, true);
	if (r == 0)
		r = stream_open(&v->messages, v, take_fd(&n->messages[0]), MESSAGES_KEEP, false);
	if (r < 0)
		return err_errno(e, r, "cannot watch QEMU");
	return qmp_new(v->loop, take_fd(&n->qmp[0]), qmp_deadline_ms, &cb, &v->qmp, e);
}

static int watch_memory(struct vm *v, int memory_fd, const struct ends *n, struct err *e)
{
	int r;

	v->memory_fd = fcntl(memory_fd, F_DUPFD_CLOEXEC, 3);
	if (v->memory_fd < 0)
		return err_errno(e, -errno, "the guest's memory");
	v->listener = r = vm_memory_take(n->memory[0]);
	if (r >= 0)
		r = loop_add_fd(v->loop, v->listener, EPOLLIN, on_memory, v, &v->memory);
	return r < 0 ? err_errno(e, r, "cannot hand QEMU the guest's memory") : 0;
}

int vm_start(struct loop *l, const struct vm_start *s, const struct vm_callbacks *cb,
	     struct vm **ret, struct err *e)
{
	_cleanup_(vm_free_p) struct vm *v = calloc(1, sizeof(*v));
	_cleanup_(ends_done) struct ends n = ENDS_NONE;
	int r;

	if (!v)
		return err_oom(e);
	v->loop = l;
	v->cb = *cb;
	v->console.fd = v->messages.fd = -1;
	v->listener = v->memory_fd = -1;
	v->pid = -1;
	r = ends_make(&n, e);
	if (r < 0)
		return r;
	v->pid = launch(s, &n, e);
	if (v->pid < 0)
		return (int)v->pid;
	if (s->desc.memory_kind != VM_MEMORY_OWN)
		r = watch_memory(v, s->desc.memory_fd, &n, e);
	if (r == 0)
		r = watch(v, &n, s->qmp_deadline_ms, e);
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
	return &v->console.last;
}

char *vm_end_text(const struct vm *v, char *out, size_t size)
{
	char status[64], line[512];
	const char *text = buf_str(&v->messages.last);
	size_t n = v->messages.last.len;
	size_t from;
	bool full;

	while (n > 0 && text[n - 1] == '\n')
		n--;
	for (from = n; from > 0 && text[from - 1] != '\n'; from--)
		;
	(void)text_escape_line(text + from, n - from, line, sizeof(line));
	if (v->reaped)
		(void)child_status_text(v->status, status, sizeof(status));
	/* SIGBUS is what the kernel does where there is no page behind a mapped file */
	full = v->reaped && WIFSIGNALED(v->status) && WTERMSIG(v->status) == SIGBUS;
	(void)snprintf(out, size, "%s%s%s%s%s%s%s", v->reaped ? status : "it runs",
		       full ? ", no space left for the file behind its memory" : "",
		       v->qmp_end.code && v->qmp_end.code != -ECONNRESET ? "; " : "",
		       v->qmp_end.code != -ECONNRESET ? v->qmp_end.text : "", *line ? " (" : "",
		       line, *line ? ")" : "");
	return out;
}

/* SIGKILL, and at most REAP_MS for the kernel to take the process apart. */
static void kill_and_reap(pid_t pid)
{
	struct pollfd p = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};

	(void)kill(pid, SIGKILL);
	if (p.fd >= 0)
		(void)poll(&p, 1, REAP_MS);
	(void)waitpid(pid, NULL, WNOHANG);
	fd_close(&p.fd);
}

void vm_kill(struct vm *v)
{
	if (v && v->pid > 0)
		(void)kill(v->pid, SIGKILL);
}

struct vm *vm_free(struct vm *v)
{
	if (!v || v->freed)
		return NULL;
	v->depth++;
	v->freed = true;
	v->child = loop_remove(v->child);
	if (v->pid > 0)
		kill_and_reap(v->pid);
	v->pid = -1;
	v->qmp = qmp_free(v->qmp);
	v->memory = loop_remove(v->memory);
	fd_close(&v->listener);
	fd_close(&v->memory_fd);
	v->leave = loop_remove(v->leave);
	stream_close(&v->console);
	stream_close(&v->messages);
	release(v);
	return NULL;
}
