/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The run of one build: the conversation with the command line, deadlines and the end. */
/*
 * What the CLI says and hears:
 *
 *	manager: hello               version and program
 *	CLI:     build {...}         the order (order.h); QEMU starts
 *	manager: accelerator {name, why}
 *	manager: phase {name, at-ms} boot, ready, copy-in, build, copy-out, done;
 *				     or boot, ready, prepare, done
 *	CLI:     go {input}          the input disk is complete, and ends here; or {layers}: where
 *	                             on it the layers of the workspace are
 *	manager: held                instead of waiting for `go`: the machine around manager and
 *				     worker may be saved now, and whoever restores it says
 *	CLI:     go {input, time, seed, own-seed, time-ms, cpu-time-ms, log, rules}
 *	manager: LOG frames          build output
 *	CLI:     LOG frames          what is typed in phase shell
 *	CLI:     size {rows, cols}   of the terminal, in phase shell
 *	manager: denied {id, ...}    an attempt, when new and at the end
 *	manager: exit {code}         of the build commands
 *	manager: sample {...}        once a second
 *	manager: CONSOLE frame       its last bytes, when the worker broke
 *	manager: end {outcome, ...}  done, limit or broken; or, of a template,
 *				     saved: it is complete; template: broken,
 *				     before the worker has read its input
 *	CLI:     cancel              at any time: no end message comes
 *
 * Every wait has a deadline: the order, the boot, the whole, each QMP command, and the stop.
 */
#include <errno.h>
#include <stdarg.h>

#include "base/io.h"
#include "base/log.h"
#include "base/num.h"
#include "qmp/state.h"
#include "run-state.h"

#define ORDER_DEADLINE_MS 30000

uint64_t run_now(const struct run *r)
{
	return io_now_ms() - r->started_ms;
}

cJSON *run_message(const char *type)
{
	cJSON *j = cJSON_CreateObject();

	if (j && !cJSON_AddStringToObject(j, "type", type))
		j = json_free(j);
	return j;
}

void run_say_phase(struct run *r, const char *name)
{
	cJSON *j = run_message("phase");

	if (j &&
	    (!cJSON_AddStringToObject(j, "name", name) || json_add_u64(j, "at-ms", run_now(r)) < 0))
		j = json_free(j);
	(void)proto_send_json(r->conn, j);
}

static void say_denial(struct run *r, size_t id, const struct denial *d)
{
	cJSON *j = run_message("denied");

	if (j) {
		(void)json_add_u64(j, "id", id);
		(void)cJSON_AddStringToObject(j, "protocol", d->protocol);
		(void)cJSON_AddStringToObject(j, "host", d->host);
		(void)cJSON_AddStringToObject(j, "address", d->address);
		(void)json_add_u64(j, "port", d->port);
		(void)cJSON_AddStringToObject(j, "phase", net_phase_text(d->phase));
		(void)cJSON_AddStringToObject(j, "reason", d->reason);
		(void)cJSON_AddStringToObject(j, "remedy", d->remedy);
		(void)json_add_u64(j, "count", d->count);
	}
	(void)proto_send_json(r->conn, j);
}

void run_say_denied(struct run *r, bool all)
{
	struct denials *t = r->net ? run_net_denials(r->net) : NULL;

	for (size_t i = 0; t && i < t->n && !r->held; i++) {
		if (all || !t->list[i].told)
			say_denial(r, i, &t->list[i]);
		t->list[i].told = true;
	}
}

/* The last message; what is queued is flushed by run_serve. */
static void send_end(struct run *r)
{
	cJSON *j = run_message("end"), *peak;

	r->stage = STAGE_END;
	vm_kill(r->vm); /* whoever is slow to hear of it, the worker does nothing more */
	if (r->net)
		run_net_drain(r->net);
	run_say_denied(r, true);
	if (j) {
		(void)cJSON_AddStringToObject(j, "outcome", r->outcome);
		(void)cJSON_AddStringToObject(j, "reason", r->reason);
		(void)cJSON_AddStringToObject(j, "phase", ctl_phase_name(r->ctl.phase));
		if (r->ctl.has_exit)
			(void)json_add_u64(j, "exit", (uint64_t)r->ctl.exit_code);
		if (r->ctl.prepare && r->ctl.error_word[0]) {
			(void)cJSON_AddStringToObject(j, "failed", r->ctl.error_word);
			(void)cJSON_AddStringToObject(j, "failed-task", r->ctl.error_text);
		}
		if (r->hit.name) {
			(void)cJSON_AddStringToObject(j, "limit", r->hit.name);
			(void)json_add_u64(j, "granted", r->hit.granted);
			(void)json_add_u64(j, "used", r->hit.used);
		}
		(void)json_add_u64(j, "at-ms", r->ended_ms);
		peak = cJSON_AddObjectToObject(j, "peak");
		if (peak)
			limits_sample_to_json(&r->peak, peak);
	}
	if ((strcmp(r->outcome, "broken") == 0 || strcmp(r->outcome, "template") == 0) && r->vm &&
	    vm_console(r->vm)->len > 0)
		(void)proto_send(r->conn, PROTO_CONSOLE, vm_console(r->vm)->data,
				 vm_console(r->vm)->len);
	(void)proto_send_json(r->conn, j);
	loop_quit(r->loop, 0);
}

/* Ends the run for the first cause given; later ones are its consequences. */
void run_finish(struct run *r, const char *outcome, const char *fmt, ...)
{
	va_list ap;

	if (r->stage == STAGE_END)
		return;
	if (!r->outcome) {
		r->outcome =
			run_on_trial(r) && strcmp(outcome, "broken") == 0 ? "template" : outcome;
		r->ended_ms = r->ended_ms ? r->ended_ms : run_now(r);
		va_start(ap, fmt);
		(void)vsnprintf(r->reason, sizeof(r->reason), fmt, ap);
		va_end(ap);
	}
	send_end(r);
}

void run_finish_limit(struct run *r, const struct limits_hit *hit)
{
	if (r->outcome)
		return;
	r->hit = *hit;
	run_finish(r, "limit", "the build is over its limit of %s", hit->name);
}

static void on_wall(struct loop_source *s, void *user_data)
{
	struct run *r = user_data;

	if (r->stage == STAGE_STOP)
		return; /* the build was in time; QEMU's end has a deadline of its own */
	r->ended_ms = run_now(r);
	vm_kill(r->vm); /* before the log, which may have to wait for the command line */
	(void)run_drain_log(r, true);
	run_finish_limit(r, &(struct limits_hit){"time", r->order.time_ms, r->ended_ms});
}

static void on_deadline(struct loop_source *s, void *user_data)
{
	struct run *r = user_data;
	char text[NUM_TEXT_MAX];

	switch (r->stage) {
	case STAGE_ORDER:
		run_finish(r, "broken", "no order came from the command line within 30 s");
		return;
	case STAGE_BOOT:
		run_finish(r, "broken",
			   "the worker did not get ready within the boot deadline of %s",
			   format_duration(r->order.boot_ms, text));
		return;
	case STAGE_STOP:
		/* the guest is done and its output is on the disk: SIGKILL ends QEMU as well */
		run_finish(r, "done", "QEMU did not quit and was killed");
		return;
	case STAGE_GUEST:
	case STAGE_END:
		return;
	}
}

static void take_order(struct run *r, const cJSON *msg)
{
	struct err e = ERR_INIT;
	int n;

	if (r->stage != STAGE_ORDER) {
		run_finish(r, "broken", "a second order");
		return;
	}
	n = order_from_json(msg, &r->order, &e);
	if (n == 0) {
		r->started_ms = io_now_ms(); /* a manager may have waited for its order */
		r->stage = STAGE_BOOT;
		r->ctl.prepare = r->order.prepare;
		run_say_phase(r, r->order.template == ORDER_TEMPLATE_USE ? "restore" : "boot");
		n = run_start_net(r, &e);
		if (n == 0)
			n = run_start_vm(r, &e);
	}
	if (n == 0)
		n = loop_timer_set(r->deadline, r->order.boot_ms, 0);
	if (n == 0 && r->order.template == ORDER_TEMPLATE_USE)
		n = run_load_template(r);
	if (n == 0)
		n = loop_timer_set(r->wall, r->order.time_ms - MIN(run_now(r), r->order.time_ms),
				   0);
	if (n == 0)
		n = loop_timer_set(r->poll, LIMITS_POLL_MS, 0);
	if (n < 0)
		run_finish(r, "broken", "cannot start the worker: %s",
			   e.text[0] ? e.text : strerror(-n));
}

/* What is wrong with it the worker will tell. */
static void take_input(struct run *r, const cJSON *msg)
{
	const char *layers = json_str(msg, "layers");

	r->input_end = json_u64_or(msg, "input", 0);
	if (layers && layers[strspn(layers, "0123456789+,")] == '\0')
		(void)snprintf(r->layers, sizeof(r->layers), "%s", layers);
}

static void on_frame(const struct proto_frame *f, void *user_data)
{
	struct run *r = user_data;
	_cleanup_(json_free_p) cJSON *msg = NULL;
	struct err e = ERR_INIT;
	const char *type;

	if (f->type == PROTO_LOG) {
		run_send_keys(r, f->data, f->len);
		return;
	}
	if (f->type != PROTO_CONTROL || json_parse(f->data, f->len, &msg, &e) < 0) {
		run_finish(r, "broken", "the command line sent what is no control message: %s",
			   e.text);
		return;
	}
	type = json_str(msg, "type");
	if (type && strcmp(type, "build") == 0) {
		take_order(r, msg);
	} else if (type && strcmp(type, "go") == 0) {
		take_input(r, msg);
		if (r->held && run_resume(r, msg) < 0) {
			run_finish(r, "broken", "the manager cannot go on from where it was saved");
			return;
		}
		r->go = true;
		run_send_go(r);
	} else if (type && strcmp(type, "size") == 0) {
		run_send_size(r, json_u64_or(msg, "rows", 24), json_u64_or(msg, "cols", 80));
	} else if (type && strcmp(type, "cancel") == 0) {
		loop_quit(r->loop, 0);
	} else {
		run_finish(r, "broken", "the command line sent an unknown control message");
	}
}

static void on_closed(int code, const struct err *e, void *user_data)
{
	struct run *r = user_data;

	log_debug("the command line is gone: %s", e->text);
	r->stage = STAGE_END;
	loop_quit(r->loop, 0);
}

static int run_init(struct run *r, int consume_control)
{
	const struct proto_callbacks cb = {.frame = on_frame,
					   .closed = on_closed,
					   .drained = run_on_drained,
					   .user_data = r};
	cJSON *hello = run_message("hello");
	int n = loop_new(&r->loop);

	if (n < 0) {
		(void)close(consume_control);
		cJSON_Delete(hello);
		return n;
	}
	n = proto_conn_new(r->loop, consume_control, &cb, &r->conn);
	if (n == 0)
		n = loop_add_timer(r->loop, on_deadline, r, &r->deadline);
	if (n == 0)
		n = loop_add_timer(r->loop, on_wall, r, &r->wall);
	if (n == 0)
		n = loop_add_timer(r->loop, run_poll, r, &r->poll);
	if (n == 0)
		n = loop_timer_set(r->deadline, ORDER_DEADLINE_MS, 0);
	if (n < 0) {
		cJSON_Delete(hello);
		return n;
	}
	if (hello) {
		(void)json_add_u64(hello, "version", PROTO_VERSION);
		(void)cJSON_AddStringToObject(hello, "program", CONTRACTOR_VERSION);
	}
	return proto_send_json(r->conn, hello);
}

static void run_done(struct run *r)
{
	r->vm = vm_free(r->vm);
	r->state = qmp_state_free(r->state);
	r->net = run_net_free(r->net);
	r->conn = proto_conn_free(r->conn);
	r->loop = loop_free(r->loop);
	fd_close(&r->ctl_fd);
	fd_close(&r->log_fd);
	buf_done(&r->ctl_in);
	buf_done(&r->keys);
	order_done(&r->order);
}

int run_serve(int consume_control, const struct run_files *files, struct err *e)
{
	struct run r = {
		.files = *files,
		.ctl_fd = -1,
		.log_fd = -1,
		.ctl_in.cap = 64 * KIB,
		.keys.cap = 1 * MIB,
		.started_ms = io_now_ms(),
	};
	int n = run_init(&r, consume_control);

	if (n == 0)
		n = loop_run(r.loop);
	if (n >= 0 && r.outcome)
		n = proto_flush(r.conn, RUN_SEND_DEADLINE_MS);
	run_done(&r);
	return n < 0 ? err_errno(e, n, "the run") : 0;
}
