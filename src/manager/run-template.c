/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Saving a worker that waits for go as a template, and starting one from there. */
/*
 * A template's memory is a file that QEMU maps: shared while it is made, private ever after. Its
 * devices' state is in another stretch of that file. Until the worker has begun to read its input,
 * all that goes wrong is the template's fault: the build has not begun, and can be started cold.
 */
#include <errno.h>
#include <inttypes.h>
#include <sys/random.h>

#include "qmp/state.h"
#include "run-state.h"

#define RESTORE_DEADLINE_MS \
	60000 /* to the worker's first word; alone on a machine it takes 0.3 s */
#define SEED_SIZE 32

bool run_on_trial(const struct run *r)
{
	return r->order.template != ORDER_TEMPLATE_NONE && r->ctl.phase <= CTL_READY;
}

void run_describe_template(const struct run *r, struct vm_start *s)
{
	const uint64_t state_end = r->order.memory + ORDER_STATE_MAX;

	if (r->order.template == ORDER_TEMPLATE_NONE)
		return;
	s->desc.memory_fd = r->files.memory;
	if (r->order.template == ORDER_TEMPLATE_SAVE) {
		s->desc.memory_kind = VM_MEMORY_SHARED;
		s->file_size = MAX(s->file_size, state_end);
		return;
	}
	s->desc.memory_kind = VM_MEMORY_TEMPLATE;
	/* they are in the memory; a machine with firmware of another make may want to see them */
	if (s->desc.machine == VM_MACHINE_MICROVM) {
		s->kernel.fd = s->initrd.fd = -1;
		s->desc.cmdline = NULL;
	}
}

static void on_saved(int code, const struct err *e, void *user_data)
{
	struct run *r = user_data;

	if (code == -ECONNRESET)
		return; /* QEMU's end is still to come, and tells more */
	if (code < 0) {
		run_finish(r, "broken", "QEMU cannot save the worker: %s", e->text);
		return;
	}
	if (!run_check(r))
		return;
	r->vm = vm_free(r->vm); /* before anybody looks at the file */
	run_finish(r, "saved", "%s", "");
}

void run_save_template(struct run *r)
{
	int n = qmp_state_save(vm_qmp(r->vm), r->files.state, RUN_QMP_DEADLINE_MS, on_saved, r,
			       &r->state);

	if (n < 0)
		run_finish(r, "broken", "QEMU cannot be asked to save the worker: %s",
			   strerror(-n));
}

static void on_loaded(int code, const struct err *e, void *user_data)
{
	struct run *r = user_data;

	if (code == -ECONNRESET)
		return;
	if (code < 0) {
		run_finish(r, "broken", "QEMU cannot restore the worker: %s", e->text);
		return;
	}
	/* it had said so before it was saved */
	r->ctl.phase = CTL_READY;
	run_say_phase(r, ctl_phase_name(CTL_READY));
	run_send_go(r);
}

int run_load_template(struct run *r)
{
	int n = loop_timer_set(r->deadline, MIN(RESTORE_DEADLINE_MS, r->order.boot_ms), 0);

	return n < 0 ? n
		     : qmp_state_load(vm_qmp(r->vm), r->files.state, RUN_QMP_DEADLINE_MS, on_loaded,
				      r, &r->state);
}

int run_go_line(const struct run *r, char out[RUN_GO_MAX])
{
	unsigned char seed[SEED_SIZE];
	char hex[2 * SEED_SIZE + 1] = "";

	if (r->order.template == ORDER_TEMPLATE_USE) {
		if (getrandom(seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
			return -EIO;
		for (size_t i = 0; i < sizeof(seed); i++)
			(void)snprintf(hex + 2 * i, 3, "%02x", seed[i]);
	}
	return snprintf(out, RUN_GO_MAX, "go %" PRId64 " %" PRIu64 "%s%s\n", (int64_t)time(NULL),
			r->input_end, hex[0] ? " " : "", hex);
}
