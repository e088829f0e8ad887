/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Starting and ending the two homes: one process, or one virtual machine. */
#include "home.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "base/child.h"
#include "base/io.h"
#include "manager/order.h"
#include "pool.h"
#include "vm/kernel.h"
#include "vm/vm.h"
#include "vm/walls.h"

#define QMP_DEADLINE_MS 10000

struct home {
	pid_t pid; /* of the manager in namespaces; -1: none */
	struct loop_source *child;
	struct vm *vm;		 /* or the manager VM */
	struct qmp_state *state; /* on the way between it and a template */
	int pool;		 /* or the socket of the pool that has the VM; -1: none */
	struct loop_source *pool_source;
	struct buf console; /* as the pool tells it */
	bool ended;
	struct home_callbacks cb;
};

enum vm_io home_io(enum spec_io io)
{
	static const enum vm_io all[_SPEC_IO_MAX] = {
		[SPEC_IO_LOW] = VM_IO_LOW,
		[SPEC_IO_IDLE] = VM_IO_IDLE,
		[SPEC_IO_NORMAL] = VM_IO_NORMAL,
	};

	return all[io];
}

static void tell_end(struct home *h, const char *text)
{
	if (h->ended)
		return;
	h->ended = true;
	h->cb.ended(text, h->cb.user_data);
}

static void on_child(struct loop_source *s, const siginfo_t *info, void *user_data)
{
	struct home *h = user_data;
	char text[96];

	h->pid = -1;
	h->child = NULL;
	if (info->si_code == CLD_EXITED)
		(void)snprintf(text, sizeof(text), "the manager ended early, with exit status %d",
			       info->si_status);
	else
		(void)snprintf(text, sizeof(text), "the manager was killed by signal %d",
			       info->si_status);
	tell_end(h, text);
}

static int home_new(const struct home_callbacks *cb, struct home **ret, struct err *e)
{
	struct home *h = calloc(1, sizeof(*h));

	if (!h)
		return err_oom(e);
	h->pid = -1;
	h->pool = -1;
	h->cb = *cb;
	*ret = h;
	return 0;
}

int home_start_single(struct loop *l, const struct launch_files *files, bool debug,
		      const struct home_callbacks *cb, struct home **ret, int *ret_control,
		      struct err *e)
{
	_cleanup_(home_free_p) struct home *h = NULL;
	_cleanup_close_ int control = -1;
	int r = home_new(cb, &h, e);

	if (r < 0)
		return r;
	h->pid = launch_single(files, debug, &control, e);
	if (h->pid < 0)
		return (int)h->pid;
	r = loop_add_child(l, h->pid, on_child, h, &h->child);
	if (r < 0)
		return err_errno(e, r, "cannot watch the manager");
	*ret_control = take_fd(&control);
	*ret = take_ptr(&h);
	return 0;
}

/* With what the console said last, when it said anything. */
static void tell_vm_end(struct home *h, const char *how)
{
	const struct buf *console = vm_console(h->vm);
	char words[512], text[1280];

	(void)nested_last_words(console->data, console->len, words, sizeof(words));
	(void)snprintf(text, sizeof(text), "the manager VM %s%s%s", how, words[0] ? ": " : "",
		       words);
	tell_end(h, text);
}

/* By itself it would only pause, and hold the manager's stream open. */
static void end_vm(struct home *h, const char *how)
{
	tell_vm_end(h, how);
	(void)qmp_command(vm_qmp(h->vm), "quit", NULL, QMP_DEADLINE_MS, NULL, NULL);
}

static void on_vm_event(const char *name, const cJSON *data, void *user_data)
{
	const char *reason = json_str(data, "reason");
	struct home *h = user_data;
	char how[160];

	qmp_state_event(h->state, name, data);
	if (strcmp(name, "SHUTDOWN") == 0) {
		(void)snprintf(how, sizeof(how), "ended early (%.64s)", reason ? reason : "?");
		end_vm(h, how);
	} else if (strcmp(name, "GUEST_PANICKED") == 0) {
		end_vm(h, "has crashed");
	} else if (strcmp(name, "BLOCK_IO_ERROR") == 0) {
		end_vm(h, json_bool_or(data, "nospace", false)
				  ? "has no space left on the host for its disks"
				  : "cannot read or write its disks");
	}
}

static void on_vm_exited(int status, void *user_data)
{
	struct home *h = user_data;
	char how[512], text[600];

	(void)snprintf(text, sizeof(text), "died: %s", vm_end_text(h->vm, how, sizeof(how)));
	tell_vm_end(h, text);
}

static void make_cmdline(const struct launch_files *files, const struct nested_plan *p,
			 const struct manager_image *image, const struct vm_desc *d, char *out,
			 size_t size)
{
	char parameters[VM_KERNEL_PARAMETERS_MAX];

	vm_kernel_parameters(d, parameters, sizeof(parameters));
	(void)snprintf(out, size, "%s%s%s%s%s", image->cmdline, parameters,
		       p->worker_kvm ? " contractor.kvm" : "",
		       files->image < 0 ? " contractor.wait" : "",
		       files->layer >= 0 ? " contractor.layer" : "");
}

/* Two stream sockets, our ends and QEMU's. */
static int make_ports(struct home_ports *ours, struct home_ports *theirs)
{
	int control[2], dial[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, control) < 0)
		return -errno;
	*ours = (struct home_ports){control[0], -1};
	*theirs = (struct home_ports){control[1], -1};
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, dial) < 0)
		return -errno;
	ours->dial = dial[0];
	theirs->dial = dial[1];
	return 0;
}

static void close_ports(struct home_ports *p)
{
	fd_close(&p->control);
	fd_close(&p->dial);
}

static int start_vm(struct loop *l, const struct launch_files *files,
		    const struct nested_plan *plan, const struct manager_image *image, int image_fd,
		    const struct home_ports *theirs, struct home *h, struct err *e)
{
	const struct vm_callbacks cb = {.event = on_vm_event,
					.exited = on_vm_exited,
					.user_data = h};
	struct vm_start s = {
		.kernel = {image_fd, image->kernel.offset, image->kernel.size},
		.initrd = {image_fd, image->initrd.offset, image->initrd.size},
		.cpu_time_ms = plan->cpu_time_ms,
		.file_size = plan->file_size,
		.nice = plan->priority.nice,
		.io = home_io(plan->priority.io),
		.cgroup_fd = files->cgroup,
		.qmp_deadline_ms = QMP_DEADLINE_MS,
	};
	char cmdline[512];
	int r;

	if (plan->kept == VM_MEMORY_SHARED)
		s.file_size = MAX(s.file_size, plan->memory + ORDER_STATE_MAX);
	nested_describe(files, plan, theirs, &s.desc);
	s.desc.cmdline = cmdline;
	make_cmdline(files, plan, image, &s.desc, cmdline, sizeof(cmdline));
	r = vm_start(l, &s, &cb, &h->vm, e);
	return r < 0 ? err_wrap(e, "the manager VM") : 0;
}

int home_start_nested(struct loop *l, const struct launch_files *files,
		      const struct nested_plan *plan, const struct manager_image *image,
		      int image_fd, const struct home_callbacks *cb, struct home **ret,
		      struct home_ports *ret_ports, struct err *e)
{
	_cleanup_(close_ports) struct home_ports ours = {-1, -1}, theirs = {-1, -1};
	_cleanup_(home_free_p) struct home *h = NULL;
	int r = home_new(cb, &h, e);

	if (r < 0)
		return r;
	r = make_ports(&ours, &theirs);
	if (r < 0)
		return err_errno(e, r, "cannot make the manager's ports");
	r = start_vm(l, files, plan, image, image_fd, &theirs, h, e);
	if (r < 0)
		return r;
	*ret_ports = (struct home_ports){take_fd(&ours.control), take_fd(&ours.dial)};
	*ret = take_ptr(&h);
	return 0;
}

int home_start_waiting(struct loop *l, const struct nested_plan *plan,
		       const struct manager_image *image, int image_fd,
		       const struct home_callbacks *cb, struct home **ret,
		       struct home_ports *ret_ports, struct err *e)
{
	const struct launch_files none = {-1, -1, -1, -1, -1, -1, -1, -1, -1};
	struct nested_plan unheld = *plan;

	unheld.cpu_time_ms = unheld.file_size = 0;
	return home_start_nested(l, &none, &unheld, image, image_fd, cb, ret, ret_ports, e);
}

int home_attach(struct home *h, const struct launch_files *files, qmp_reply_fn fn, void *user_data)
{
	bool layer = files->layer >= 0;
	const struct vm_disk disks[HOME_DISKS] = {
		{layer ? "image-below" : "image", files->image, true, 0, 0, false},
		{"input", files->input, true, 0, 0, false},
		{"output", files->output, false, 0, 0, false},
		{"scratch", files->scratch, false, 0, 0, false},
		{"layer", files->layer, true, 0, 0, false},
	};
	unsigned n = HOME_DISKS - !layer;
	int r = 0;

	for (unsigned i = 0; i < n && r == 0; i++)
		r = vm_attach(h->vm, &disks[i], i + 1, QMP_DEADLINE_MS, fn, user_data);
	return r < 0 ? r : (int)n * VM_ATTACH_COMMANDS;
}

int home_limit(struct home *h, uint64_t cpu_time_ms, uint64_t file_size, struct err *e)
{
	pid_t pid = vm_pid(h->vm);
	struct timespec used = {0};
	struct rlimit cpu, size = {file_size, file_size};
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) == 0)
		(void)clock_gettime(clock, &used);
	cpu.rlim_cur = cpu.rlim_max = (rlim_t)used.tv_sec + 1 + vm_cpu_wall(cpu_time_ms);
	if (prlimit(pid, RLIMIT_CPU, &cpu, NULL) < 0 || prlimit(pid, RLIMIT_FSIZE, &size, NULL) < 0)
		return err_errno(e, -errno, "cannot hold the manager VM to its limits");
	return 0;
}

static void on_pool(struct loop_source *src, uint32_t events, void *user_data)
{
	struct home *h = user_data;
	_cleanup_free_ char *data = malloc(POOL_MESSAGE_MAX + 1);
	enum pool_word word;
	ssize_t n = data ? pool_receive(h->pool, &word, data, NULL, 0) : -ENOMEM;

	if (n == -EAGAIN)
		return;
	if (n >= 0 && word == POOL_CONSOLE) {
		(void)buf_put(&h->console, data, (size_t)n);
		return;
	}
	h->pool_source = loop_remove(h->pool_source);
	tell_end(h,
		 n >= 0 && word == POOL_ENDED ? data : "the process that keeps managers has ended");
}

int home_take(struct loop *l, const struct launch_files *files, const struct nested_plan *plan,
	      const struct manager_image *image, const struct home_callbacks *cb, struct home **ret,
	      struct home_ports *ret_ports, uint64_t *ret_memory, struct err *e)
{
	_cleanup_(close_ports) struct home_ports ports = {-1, -1};
	_cleanup_(home_free_p) struct home *h = NULL;
	int r = home_new(cb, &h, e);

	if (r < 0)
		return r;
	h->pool = pool_take(files, plan, image->path, &ports, ret_memory, e);
	if (h->pool < 0)
		return h->pool;
	r = io_set_nonblock(h->pool, 1);
	if (r == 0)
		r = loop_add_fd(l, h->pool, EPOLLIN, on_pool, h, &h->pool_source);
	if (r < 0)
		return err_errno(e, r, "cannot watch the pool");
	*ret_ports = (struct home_ports){take_fd(&ports.control), take_fd(&ports.dial)};
	*ret = take_ptr(&h);
	return 0;
}

int home_save(struct home *h, int state, qmp_state_fn fn, void *user_data)
{
	return qmp_state_save(vm_qmp(h->vm), state, QMP_DEADLINE_MS, fn, user_data, &h->state);
}

int home_restore(struct home *h, int state, qmp_state_fn fn, void *user_data)
{
	return qmp_state_load(vm_qmp(h->vm), state, QMP_DEADLINE_MS, fn, user_data, &h->state);
}

const struct buf *home_console(const struct home *h)
{
	if (h->pool >= 0)
		return &h->console;
	return h->vm ? vm_console(h->vm) : NULL;
}

struct home *home_free(struct home *h)
{
	if (!h)
		return NULL;
	if (h->pid > 0) {
		/* PID 1 of its namespace: with it goes all that it started */
		(void)kill(h->pid, SIGKILL);
		(void)child_wait(h->pid, NULL);
	}
	(void)loop_remove(h->child);
	(void)vm_free(h->vm);
	(void)qmp_state_free(h->state);
	(void)loop_remove(h->pool_source);
	fd_close(&h->pool); /* with which the pool ends the VM */
	buf_done(&h->console);
	free(h);
	return NULL;
}
