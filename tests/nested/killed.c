/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Linked with the real manager: somebody beside it in the manager VM who kills it, or its QEMU. */
/*
 * Whom and when the log's limit says, which is each build's own where a template is all else: its
 * last five digits are milliseconds after a phase has begun, those before them twice the phase's
 * number plus 2, and one more for the manager. The two functions that tell of phases are called by
 * way of those here (ld --wrap).
 */
#include <poll.h>
#include <signal.h>

#include "manager/run-state.h"

int __real_run_start_vm(struct run *r, struct err *e);
int __wrap_run_start_vm(struct run *r, struct err *e);
void __real_run_say_phase(struct run *r, const char *name);
void __wrap_run_say_phase(struct run *r, const char *name);

static void kill_later(const struct run *r)
{
	const uint64_t whom = r->order.log / 100000;
	const pid_t victim = whom % 2 ? getpid() : vm_pid(r->vm);

	if (whom / 2 != (uint64_t)r->ctl.phase + 1 || fork() != 0)
		return;
	(void)poll(NULL, 0, (int)(r->order.log % 100000));
	(void)kill(victim, SIGKILL);
	_exit(0);
}

int __wrap_run_start_vm(struct run *r, struct err *e)
{
	int n = __real_run_start_vm(r, e);

	if (n >= 0)
		kill_later(r);
	return n;
}

void __wrap_run_say_phase(struct run *r, const char *name)
{
	__real_run_say_phase(r, name);
	kill_later(r);
}
