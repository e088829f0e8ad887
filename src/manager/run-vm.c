/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The run's QEMU: what it is given, and what its events mean. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/child.h"
#include "base/io.h"
#include "base/text.h"
#include "qmp/state.h"
#include "run-state.h"
#include "vm/kernel.h"
#include "vm/walls.h"

/* What was translated once is too dear to throw away there; see src/cli/nested.c. */
#define NESTED_TB_SIZE (160 * MIB)

static void on_vm_event(const char *name, const cJSON *data, void *user_data)
{
	struct run *r = user_data;
	const char *reason = json_str(data, "reason");
	const char *phase = ctl_phase_name(r->ctl.phase);

	if (r->stage == STAGE_STOP || r->stage == STAGE_END)
		return;
	qmp_state_event(r->state, name, data);
	if (r->stage == STAGE_END)
		return;
	if (strcmp(name, "GUEST_PANICKED") == 0) {
		run_finish(r, "broken", "the worker's kernel panicked in phase %s", phase);
	} else if (strcmp(name, "SHUTDOWN") == 0 || strcmp(name, "RESET") == 0) {
		const struct buf *c = vm_console(r->vm);
		bool panic = c->len && memmem(c->data, c->len, "Kernel panic", 12);

		(void)run_drain_log(r, true);
		if (panic)
			run_finish(r, "broken", "the worker's kernel panicked in phase %s", phase);
		else if (reason && strcmp(reason, "guest-reset") == 0)
			run_finish(r, "broken", "the worker rebooted in phase %s", phase);
		else
			run_finish(r, "broken", "the worker powered off in phase %s (%s)", phase,
				   reason ? reason : "no reason given");
	} else if (strcmp(name, "BLOCK_IO_ERROR") == 0) {
		bool nospace = json_bool_or(data, "nospace", false);
		const char *node = json_str(data, "node-name");
		char text[128];

		reason = reason ? reason : "?";
		(void)text_escape_line(reason, strlen(reason), text, sizeof(text));
		run_finish(r, "broken",
			   nospace ? "no space left on the host for the worker's %s disk: %s"
				   : "the host cannot read or write the worker's %s disk: %s",
			   node ? node : "?", text);
	}
}

static void on_vm_exited(int status, void *user_data)
{
	struct run *r = user_data;
	char text[512];

	/* the last figures, which nobody can change any more: RLIMIT_CPU's kill is a limit here */
	if (!run_check(r))
		return;
	if (r->stage == STAGE_STOP) {
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			run_finish(r, "done", "%s", "");
		else
			run_finish(r, "broken", "QEMU ended badly after the build: %s",
				   vm_end_text(r->vm, text, sizeof(text)));
		return;
	}
	(void)run_drain_log(r, true);
	run_finish(r, "broken", "QEMU died in phase %s: %s", ctl_phase_name(r->ctl.phase),
		   vm_end_text(r->vm, text, sizeof(text)));
}

/* A stream socket pair: ours, non-blocking, watched; the other end for QEMU. */
static int make_port(struct run *r, loop_fd_fn fn, int *ret_ours, int *ret_qemu,
		     struct loop_source **ret_source)
{
	int fds[2], n;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	*ret_ours = fds[0];
	*ret_qemu = fds[1];
	n = io_set_nonblock(fds[0], 1);
	return n < 0 ? n : loop_add_fd(r->loop, fds[0], EPOLLIN, fn, r, ret_source);
}

static bool boots_by_firmware(const struct order *o)
{
	return o->kernel.size == 0;
}

/* In a manager VM the files are disks. */
static bool in_manager_vm(const struct run *r)
{
	struct stat st;

	return fstat(r->files.scratch, &st) == 0 && S_ISBLK(st.st_mode);
}

static void add_disk(struct vm_desc *d, const char *serial, int fd, bool read_only,
		     struct order_part part)
{
	d->disks[d->n_disks++] = (struct vm_disk){.serial = serial,
						  .fd = fd,
						  .read_only = read_only,
						  .offset = part.offset,
						  .size = part.size};
}

static void add_disks(const struct run *r, struct vm_desc *d)
{
	const struct run_files *f = &r->files;
	const struct order *o = &r->order;
	const struct order_part scratch = {0, o->disk}, output = {0, o->output}, all = {0, 0};

	/* the firmware boots from the first one */
	if (boots_by_firmware(o))
		add_disk(d, "scratch", f->scratch, false, scratch);
	else
		add_disk(d, "root", f->image, true, o->root);
	add_disk(d, "input", f->input, true, all);
	add_disk(d, "output", f->output, false, output);
	if (!boots_by_firmware(o))
		add_disk(d, "scratch", f->scratch, false, scratch);
	else if (o->seed.size)
		add_disk(d, "seed", f->image, true, o->seed);
	if (f->layer >= 0)
		add_disk(d, "layer", f->layer, true, all);
}

static void describe(const struct run *r, int ctl_qemu, int log_qemu, enum vm_accel accel,
		     char *cmdline, size_t size, struct vm_start *s)
{
	const struct order *o = &r->order;
	struct vm_desc *d = &s->desc;
	/* emulated inside an emulated machine; with KVM in here it makes no difference */
	bool nested = in_manager_vm(r);
	struct vm_share share = {o->memory, 0};
	char parameters[VM_KERNEL_PARAMETERS_MAX];

	if (accel == VM_ACCEL_TCG && nested)
		share.tb_size = NESTED_TB_SIZE;
	else if (accel == VM_ACCEL_TCG)
		share = vm_share_memory(o->memory);
	*s = (struct vm_start){
		.kernel = {r->files.image, o->kernel.offset, o->kernel.size},
		.initrd = {r->files.image, o->initrd.offset, o->initrd.size},
		.cpu_time_ms = o->cpu_time_ms,
		.file_size = MAX(o->disk, o->output),
		.nice = o->nice,
		.io = o->io,
		.cgroup_fd = r->files.cgroup,
		.qmp_deadline_ms = RUN_QMP_DEADLINE_MS,
	};
	*d = (struct vm_desc){
		.arch = o->arch,
		.machine = o->machine,
		.accel = accel,
		.cpus = o->cpus,
		.memory = share.guest,
		.cmdline = cmdline,
		.console_fd = -1,
		.qmp_fd = -1,
		.tap_fd = r->net ? run_net_tap(r->net) : -1,
		.mac = RUN_NET_WORKER_MAC,
		.tb_size = share.tb_size,
		.virtual_clock = nested,
	};
	add_disks(r, d);
	if (boots_by_firmware(o)) {
		s->kernel.fd = s->initrd.fd = -1;
		d->cmdline = NULL;
	} else {
		vm_kernel_parameters(d, parameters, sizeof(parameters));
		(void)snprintf(cmdline, size, "%s%s", o->cmdline, parameters);
	}
	d->ports[d->n_ports++] = (struct vm_port){"contractor.ctl", ctl_qemu};
	d->ports[d->n_ports++] = (struct vm_port){"contractor.log", log_qemu};
}

static void on_denied(size_t index, void *user_data)
{
	run_say_denied(user_data, false);
}

static void on_net_over(uint64_t granted, uint64_t used, void *user_data)
{
	run_finish_limit(user_data, &(struct limits_hit){"bandwidth", granted, used});
}

static void on_net_broken(const char *why, void *user_data)
{
	run_finish(user_data, "broken", "the worker's network: %s", why);
}

int run_start_net(struct run *r, struct err *e)
{
	const struct run_net_callbacks cb = {.denied = on_denied,
					     .over = on_net_over,
					     .broken = on_net_broken,
					     .user_data = r};

	if (!r->order.network.enabled)
		return 0;
	if (r->files.dialer < 0)
		return err_set(e, -EINVAL, "the order has a network, but there is no dialer");
	return run_net_new(r->loop, &r->order.network, r->files.dialer, &cb, &r->net, e);
}

int run_start_vm(struct run *r, struct err *e)
{
	const struct vm_callbacks cb = {.event = on_vm_event,
					.exited = on_vm_exited,
					.user_data = r};
	_cleanup_close_ int ctl_qemu = -1, log_qemu = -1;
	enum vm_accel accel = VM_ACCEL_TCG;
	char why[256] = "", cmdline[sizeof(r->order.cmdline) + VM_KERNEL_PARAMETERS_MAX];
	struct vm_start s;
	cJSON *note;
	int n;

	if (!r->order.force_tcg)
		accel = vm_probe_accel(r->order.arch, why, sizeof(why));
	n = make_port(r, run_on_ctl, &r->ctl_fd, &ctl_qemu, &r->ctl_source);
	if (n == 0)
		n = make_port(r, run_on_log, &r->log_fd, &log_qemu, &r->log_source);
	if (n < 0)
		return err_errno(e, n, "cannot make the worker's ports");
	describe(r, ctl_qemu, log_qemu, accel, cmdline, sizeof(cmdline), &s);
	run_describe_template(r, &s);
	n = vm_start(r->loop, &s, &cb, &r->vm, e);
	if (n < 0)
		return n;
	if (clock_getcpuclockid(vm_pid(r->vm), &r->cpu_clock) != 0)
		return err_set(e, -EIO, "cannot read QEMU's CPU time");
	r->kvm = accel == VM_ACCEL_KVM;
	note = run_message("accelerator");
	if (note) {
		(void)cJSON_AddStringToObject(note, "name", accel == VM_ACCEL_KVM ? "kvm" : "tcg");
		(void)cJSON_AddStringToObject(note, "why", why);
	}
	return proto_send_json(r->conn, note);
}
