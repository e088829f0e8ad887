/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The session's manager: its home, what may go out of it, and its order. */
#include <errno.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>

#include "base/num.h"
#include "base/text.h"
#include "events.h"
#include "job.h"
#include "manager-home.h"
#include "net/rule-json.h"
#include "session-private.h"

static void say_making(const char *text, void *user_data)
{
	ui_say(user_data, "%s; this is done once", text);
}

static void on_port_ended(struct loop_source *src, const siginfo_t *info, void *user_data)
{
	struct session *s = user_data;
	const struct mux_host_counts *c = s->port.counts;
	uint64_t granted = s->b->spec->network.total;
	struct verdict v;

	s->port_end = NULL;
	s->port.pid = -1;
	if (info->si_code == CLD_EXITED && info->si_status == MUX_HOST_CLOSED)
		return; /* with the manager VM, of which the home tells more */
	if (info->si_code == CLD_EXITED && info->si_status == MUX_HOST_OVER) {
		v = verdict_limit("bandwidth", granted, c->bytes[METER_UP] + c->bytes[METER_DOWN],
				  build_now(s->b));
		session_end(s, &v);
	} else if (info->si_code == CLD_EXITED && info->si_status == MUX_HOST_NONSENSE) {
		session_end_broken(
			s, "the manager VM does not keep to the protocol of its network port");
	} else {
		session_end_broken(s, "the dialer of the manager VM has ended");
	}
}

/* What the manager VM may have of the network; without rules its port leads nowhere. */
static int start_port(struct session *s, int port, struct err *e)
{
	const struct spec_network *net = &s->b->spec->network;
	const struct session_job *job = s->job;
	int r;

	if (job->n_rules == 0)
		return 0;
	r = dial_port_start(job->rules, job->n_rules, net->rate, job_total(s->b), port, &s->port,
			    e);
	if (r < 0)
		return r;
	r = loop_add_child(s->loop, s->port.pid, on_port_ended, s, &s->port_end);
	return r < 0 ? err_errno(e, r, "cannot watch the dialer") : 0;
}

int session_manager_image(struct build *b, struct err *e)
{
	const struct manager_home_options o = {.say = say_making, .user_data = &b->ui};

	return b->manager_fd >= 0 ? 0 : manager_home_image(&o, &b->manager, &b->manager_fd, e);
}

static int start_nested(struct session *s, const struct launch_files *files,
			const struct home_callbacks *cb, int *ret_control, struct err *e)
{
	struct home_ports ports = {-1, -1};
	struct build *b = s->b;
	const struct nested_plan *p = &b->plan;
	struct err none = ERR_INIT;
	char all[NUM_TEXT_MAX], own[NUM_TEXT_MAX];
	int r = session_manager_image(b, e);

	if (r < 0)
		return r;
	b->plan.kept = job_keeps_home(s->b, s->job) ? s->job->template == ORDER_TEMPLATE_USE
							      ? VM_MEMORY_TEMPLATE
							      : VM_MEMORY_SHARED
						    : VM_MEMORY_OWN;
	b->plan.pooled =
		p->kept == VM_MEMORY_OWN && home_take(s->loop, files, p, &b->manager, cb, &s->home,
						      &ports, &b->plan.pool_memory, &none) == 0;
	if (b->plan.pooled)
		build_cgroup_leave(b, "the manager VM was there before this build");
	else if (p->kept == VM_MEMORY_OWN && none.code != -ENOENT)
		ui_say(&b->ui, "no waiting manager is used: %s", none.text);
	ui_say(&b->ui,
	       "manager VM: %s%s, %u processors (%u for the worker), %s of memory (%s for the "
	       "worker)",
	       p->pooled		       ? "one that waited, "
	       : p->kept == VM_MEMORY_TEMPLATE ? "restored, "
					       : "",
	       p->kvm ? "kvm" : "tcg", p->cpus, p->worker_cpus,
	       format_size(p->pooled ? p->pool_memory : p->memory, all),
	       format_size(b->spec->limits.memory, own));
	if (!s->home)
		r = home_start_nested(s->loop, files, p, &b->manager, b->manager_fd, cb, &s->home,
				      &ports, e);
	if (r == 0)
		r = start_port(s, ports.dial, e);
	fd_close(&ports.dial);
	if (r < 0)
		fd_close(&ports.control);
	else
		*ret_control = ports.control;
	return r;
}

static int start_home(struct session *s, const struct launch_files *files, int *ret_control,
		      struct err *e)
{
	const struct home_callbacks cb = {.ended = session_home_ended, .user_data = s};

	if (s->b->nested)
		return start_nested(s, files, &cb, ret_control, e);
	return home_start_single(s->loop, files, s->b->opt.debug, &cb, &s->home, ret_control, e);
}

static void on_saved(int code, const struct err *e, void *user_data)
{
	struct session *s = user_data;
	struct verdict v = verdict_make(VERDICT_BUILT, "%s", "");

	if (code == -ECONNRESET)
		return; /* the VM's end is still to come, and tells more */
	if (code < 0) {
		session_end_broken(s, e->text);
		return;
	}
	s->home = home_free(s->home); /* before anybody looks at the file */
	session_end(s, &v);
}

void session_save_home(struct session *s)
{
	if (s->job->template != ORDER_TEMPLATE_SAVE ||
	    home_save(s->home, s->job->state, on_saved, s) < 0)
		session_end_broken(s, "QEMU cannot be asked to save the manager VM");
}

static void on_restored(int code, const struct err *e, void *user_data)
{
	struct session *s = user_data;

	if (code == -ECONNRESET)
		return;
	if (code < 0) {
		session_end_broken(s, e->text);
		return;
	}
	s->restored = true;
	build_phase(s->b, "ready"); /* it had said so before it was saved */
	session_go(s);
}

/* What a restored manager cannot know: the time, and how it is to differ from its like. */
static int add_present(const struct build *b, const struct session_job *job, cJSON *go)
{
	static const char *const names[] = {"seed", "own-seed"};
	cJSON *rules = net_rules_to_json(job->rules, job->n_rules);
	struct order o;

	if (!cJSON_AddItemToObject(go, "rules", rules)) {
		cJSON_Delete(rules);
		return -ENOMEM;
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		unsigned char seed[ORDER_SEED_SIZE];
		char hex[2 * sizeof(seed) + 1];

		if (getrandom(seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
			return -EIO;
		if (!cJSON_AddStringToObject(go, names[i], text_hex(seed, sizeof(seed), hex)))
			return -ENOMEM;
	}
	job_limits_left(b, &o);
	return json_add_u64(go, "time", (uint64_t)time(NULL)) < 0 ||
			       json_add_u64(go, "time-ms", o.time_ms) < 0 ||
			       json_add_u64(go, "cpu-time-ms", o.cpu_time_ms) < 0 ||
			       json_add_u64(go, "log", o.log) < 0
		       ? -ENOMEM
		       : 0;
}

void session_go(struct session *s)
{
	bool keeps = job_keeps_home(s->b, s->job);

	if (!s->go || (keeps && !s->restored))
		return;
	if ((keeps && add_present(s->b, s->job, s->go) < 0) ||
	    proto_send_json(s->conn, take_ptr(&s->go)) < 0)
		session_end_broken(s, "cannot tell the manager to go");
}

int session_start_manager(struct session *s, const struct proto_callbacks *cb, struct err *e)
{
	const struct session_job *job = s->job;
	_cleanup_close_ int dialer = -1;
	struct launch_files files = {
		.image = s->b->image_fd,
		.input = job->input,
		.output = job->output,
		.scratch = job->scratch,
		.layer = job->layer,
		.dialer = -1,
		.cgroup = s->b->cgroup.procs,
		.memory = job->template == ORDER_TEMPLATE_NONE ? -1 : job->memory,
		.state = job->template == ORDER_TEMPLATE_NONE ? -1 : job->state,
	};
	struct order order;
	int control = -1, r;

	if (job->n_rules > 0 && !s->b->nested) {
		s->dialer = dial_process_start(job->rules, job->n_rules, &dialer, e);
		if (s->dialer < 0)
			return (int)s->dialer;
		files.dialer = dialer;
	}
	r = start_home(s, &files, &control, e);
	if (r < 0)
		return r;
	r = proto_conn_new(s->loop, control, cb, &s->conn);
	if (r < 0)
		return err_errno(e, r, "cannot watch the manager");
	if (job_keeps_home(s->b, s->job) && job->template == ORDER_TEMPLATE_USE) {
		/* it has had its order, which was part of what the template is known by */
		build_phase(s->b, "restore");
		(void)snprintf(s->b->accel, sizeof(s->b->accel), "tcg");
		events_worker(s->b);
		r = home_restore(s->home, job->state, on_restored, s);
		return r < 0 ? err_errno(e, r, "cannot restore the manager VM") : 0;
	}
	job_order(s->b, job, &order);
	r = proto_send_json(s->conn, order_to_json(&order));
	return r < 0 ? err_errno(e, r, "cannot send the order") : 0;
}
