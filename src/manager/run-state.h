/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The state of one run, shared by the files that make it up; only a test includes it as well. */
#ifndef CONTRACTOR_MANAGER_RUN_STATE_H
#define CONTRACTOR_MANAGER_RUN_STATE_H

#include <time.h>

#include "ctl.h"
#include "limits.h"
#include "proto.h"
#include "run-net.h"
#include "run.h"
#include "vm/vm.h"

#define RUN_QMP_DEADLINE_MS  10000
#define RUN_STOP_DEADLINE_MS 10000
#define RUN_SEND_DEADLINE_MS 10000

#define RUN_GO_MAX (128 + ORDER_LAYERS_MAX)

enum stage {
	STAGE_ORDER, /* waits for the order */
	STAGE_BOOT,  /* QEMU runs, the guest has said nothing */
	STAGE_GUEST, /* the guest talks */
	STAGE_STOP,  /* QEMU was told to quit */
	STAGE_END,   /* the end message is queued */
};

struct run {
	struct loop *loop;
	struct proto_conn *conn;
	struct run_files files;
	struct order order;
	enum stage stage;
	struct vm *vm;
	struct qmp_state *state; /* on the way between QEMU and a template */
	struct run_net *net;	 /* NULL: the worker has no network */
	struct ctl_state ctl;
	bool held;	    /* nothing is said or counted until then: this machine is saved */
	bool go;	    /* the CLI has said that the input is complete */
	uint64_t input_end; /* where its archive ends on the disk */
	char layers[ORDER_LAYERS_MAX]; /* on it in place of an archive, "" for none */
	bool kvm;		       /* and QEMU has query-stats */
	struct {
		bool blocks, vcpus, kvm;
	} asked; /* and not yet answered */
	pid_t vcpu_tids[LIMITS_VCPUS_MAX];
	int ctl_fd, log_fd;
	struct buf ctl_in, keys; /* keys: for the worker's shell, not yet taken by it */
	struct loop_source *ctl_source, *log_source, *deadline, *poll, *wall;
	uint64_t started_ms, sampled_ms, asked_ms;
	uint64_t cpu_before;		     /* used by QEMU before the build was its own */
	unsigned char seed[ORDER_SEED_SIZE]; /* of the worker of a machine that was restored */
	struct limits_sample now, peak;
	/* the end, fixed by the first cause */
	uint64_t ended_ms;
	const char *outcome;
	struct limits_hit hit;
	char reason[ERR_TEXT_MAX];
	clockid_t cpu_clock;
};

/* Milliseconds since the run began. */
uint64_t run_now(const struct run *r);

/* A control message {"type": type}; NULL: OOM, which proto_send_json takes. */
cJSON *run_message(const char *type);

/* Ends the run for the first cause given; later ones are its consequences. */
void run_finish(struct run *r, const char *outcome, const char *fmt, ...) _printf_(3, 4);
void run_finish_limit(struct run *r, const struct limits_hit *hit);

/* run-vm.c: starts QEMU by the order. 0 or a negative errno. */
int run_start_vm(struct run *r, struct err *e);

/* run-sample.c: takes a sample and judges it. False when the run ended by it, over a limit. */
bool run_check(struct run *r);

/* run-sample.c: what QEMU has counted of its disks, into the present sample. */
struct qmp_blockstats;
void run_take_stats(struct run *r, const struct qmp_blockstats *stats);

/* run-sample.c: the poll timer; counters, limits, the sample for the report. */
void run_poll(struct loop_source *s, void *user_data);

/* run-guest.c: the two ports' callbacks. */
void run_on_ctl(struct loop_source *s, uint32_t events, void *user_data);
void run_on_log(struct loop_source *s, uint32_t events, void *user_data);

/* run-guest.c: the CLI has taken all that was queued; the guest's log may go on. */
void run_on_drained(void *user_data);

/*
 * run-guest.c: passes on what the guest has written to its log: one chunk, or (all) until nothing
 * is left. False when the run ended by it, over the log limit.
 */
bool run_drain_log(struct run *r, bool all);

/* run-guest.c: what was typed for the worker's shell, and the size of the terminal. */
void run_send_keys(struct run *r, const char *data, size_t n);
void run_send_size(struct run *r, uint64_t rows, uint64_t cols);

/* run-guest.c: tells the worker to go, once it is ready and the input disk is complete. */
void run_send_go(struct run *r);

/* run-vm.c: sets the network up by the order. 0 or a negative errno. */
int run_start_net(struct run *r, struct err *e);

/* run-template.c: the build has not begun, and a template is made or used. */
bool run_on_trial(const struct run *r);

/* run-template.c: what the template makes of the machine's description. */
void run_describe_template(const struct run *r, struct vm_start *s);

/* run-template.c: saves the worker, which is ready, and ends the run. */
void run_save_template(struct run *r);

/*
 * run-template.c: the worker is ready, and so is this manager; with the machine around both it may
 * be stopped, and go on any number of times.
 */
void run_hold(struct run *r);

/*
 * run-template.c: one of these times has come: time, seeds and what is left of the limits are in
 * the message.
 */
int run_resume(struct run *r, const cJSON *msg);

/* run-sample.c: the processor time of QEMU so far. */
uint64_t run_cpu_ms(const struct run *r);

/* run-template.c: restores the worker in a QEMU that waits for it. 0 or a negative errno. */
int run_load_template(struct run *r);

/*
 * run-template.c: `go TIME INPUT-END [SEED]`; a worker that is one of several with the same past
 * gets the seed of a future of its own. Its length, or a negative errno.
 */
int run_go_line(const struct run *r, char out[RUN_GO_MAX]);

/* run.c: tells the CLI of refused attempts: new ones, or (all) each with its count so far. */
void run_say_denied(struct run *r, bool all);

/* run.c: tells the CLI where the worker is. */
void run_say_phase(struct run *r, const char *name);

#endif
