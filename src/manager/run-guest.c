/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The guest's two ports: its control lines drive the run, its log is passed on under a cap. */
#include <errno.h>
#include <inttypes.h>
#include <sys/socket.h>

#include "qmp/commands.h"
#include "run-state.h"

#define LOG_CHUNK	65536
#define LOG_BACKLOG_MAX (1 * MIB) /* queued for the CLI: above it the guest has to wait */

/* Reads what the guest has written to its log so far. False when the log limit is met. */
bool run_drain_log(struct run *r, bool all)
{
	char chunk[LOG_CHUNK];
	struct limits_hit hit;

	do {
		ssize_t n = recv(r->log_fd, chunk, sizeof(chunk), MSG_DONTWAIT);
		uint64_t room;

		if (n <= 0) {
			if (n == 0 || (errno != EAGAIN && errno != EINTR))
				r->log_source = loop_remove(r->log_source);
			return true;
		}
		room = r->order.log > r->now.log ? r->order.log - r->now.log : 0;
		(void)proto_send(r->conn, PROTO_LOG, chunk, MIN((size_t)n, room));
		r->now.log += (uint64_t)n;
		r->peak.log = r->now.log;
		if (limits_over(&r->order, &r->now, &hit)) {
			run_finish_limit(r, &hit);
			return false;
		}
		if (proto_pending(r->conn) > LOG_BACKLOG_MAX && r->log_source) {
			(void)loop_fd_events(r->log_source, 0);
			if (!all)
				return true;
			if (proto_flush(r->conn, RUN_SEND_DEADLINE_MS) < 0)
				return true;
		}
	} while (all);
	return true;
}

/* As much as the port takes; the rest when it takes more. */
static void flush_keys(struct run *r)
{
	ssize_t n = r->keys.len ? send(r->log_fd, r->keys.data, r->keys.len,
				       MSG_NOSIGNAL | MSG_DONTWAIT)
				: 0;

	if (n > 0)
		buf_drop(&r->keys, (size_t)n);
	if (r->log_source)
		(void)loop_fd_events(r->log_source, EPOLLIN | (r->keys.len ? EPOLLOUT : 0));
}

void run_send_keys(struct run *r, const char *data, size_t n)
{
	/* what was typed before or behind the shell is for nobody */
	if (r->ctl.phase != CTL_SHELL)
		return;
	if (buf_put(&r->keys, data, n) < 0)
		return; /* nobody types that much: a paste into a shell that does not read */
	flush_keys(r);
}

void run_send_size(struct run *r, uint64_t rows, uint64_t cols)
{
	char line[64];
	int n = snprintf(line, sizeof(line), "size %" PRIu64 " %" PRIu64 "\n",
			 MIN(rows, (uint64_t)9999), MIN(cols, (uint64_t)9999));

	if (r->ctl.phase == CTL_SHELL)
		(void)send(r->ctl_fd, line, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void run_on_log(struct loop_source *s, uint32_t events, void *user_data)
{
	struct run *r = user_data;

	if (events & EPOLLOUT)
		flush_keys(r);
	if (events & ~(uint32_t)EPOLLOUT)
		(void)run_drain_log(r, false);
}

void run_on_drained(void *user_data)
{
	struct run *r = user_data;

	if (r->log_source)
		(void)loop_fd_events(r->log_source, EPOLLIN | (r->keys.len ? EPOLLOUT : 0));
}

void run_send_go(struct run *r)
{
	char line[RUN_GO_MAX];
	int n;

	if (!r->go || r->ctl.phase != CTL_READY)
		return;
	n = run_go_line(r, line);
	if (n < 0 || send(r->ctl_fd, line, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) != n)
		run_finish(r, "broken", "cannot tell the worker to go: its control port is stuck");
}

static void on_quit(int code, const cJSON *ret, const struct err *e, void *user_data)
{
	/* QEMU's end is what counts; STAGE_STOP has its deadline */
}

static void on_last_stats(int code, const struct qmp_blockstats *stats, const struct err *e,
			  void *user_data)
{
	struct run *r = user_data;

	if (code == -ECANCELED || r->stage == STAGE_END)
		return;
	if (code == 0)
		run_take_stats(r, stats);
	(void)qmp_quit(vm_qmp(r->vm), RUN_STOP_DEADLINE_MS, on_quit, r);
}

/* The guest is done, if its use is within the limits: take the rest of the log, the counters, quit.
 */
static void guest_done(struct run *r)
{
	if (!run_drain_log(r, true) || !run_check(r))
		return;
	r->stage = STAGE_STOP;
	(void)loop_timer_set(r->deadline, RUN_STOP_DEADLINE_MS, 0);
	if (qmp_query_blockstats(vm_qmp(r->vm), RUN_QMP_DEADLINE_MS, on_last_stats, r) < 0)
		run_finish(r, "broken", "cannot ask QEMU to quit");
}

static void guest_says(struct run *r, enum ctl_what what)
{
	cJSON *j;

	switch (what) {
	case CTL_SAYS_PHASE:
		run_say_phase(r, ctl_phase_name(r->ctl.phase));
		if (r->ctl.phase == CTL_COPY_IN && r->net)
			run_net_set_phase(r->net, NET_PHASE_BUILD);
		if (r->ctl.phase == CTL_READY && r->order.template == ORDER_TEMPLATE_SAVE) {
			run_save_template(r);
			return;
		}
		if (r->ctl.phase == CTL_READY && r->order.template == ORDER_TEMPLATE_HOLD) {
			run_hold(r);
			return;
		}
		if (r->stage == STAGE_BOOT) {
			r->stage = STAGE_GUEST;
			(void)loop_timer_set(r->deadline, UINT64_MAX, 0);
		}
		if (r->ctl.phase == CTL_READY) {
			run_send_go(r);
		} else if (r->ctl.phase == CTL_DONE) {
			guest_done(r);
		}
		return;
	case CTL_SAYS_EXIT:
		j = run_message("exit");
		if (j)
			(void)json_add_u64(j, "code", (uint64_t)r->ctl.exit_code);
		(void)proto_send_json(r->conn, j);
		return;
	case CTL_SAYS_ERROR:
		(void)run_drain_log(r, true);
		if (strcmp(r->ctl.error_word, "output-full") == 0)
			run_finish_limit(r, &(struct limits_hit){"output", r->order.output,
								 r->order.output});
		else if (strcmp(r->ctl.error_word, "disk-full") == 0)
			run_finish_limit(r, &(struct limits_hit){"disk", r->order.disk,
								 r->order.disk});
		else
			run_finish(r, "broken", "the worker cannot go on in phase %s: %s",
				   ctl_phase_name(r->ctl.phase), r->ctl.error_text);
		return;
	case CTL_SAYS_TASK: /* of interest in the end message, if the play does fail */
	case _CTL_SAYS_MAX:
		return;
	}
}

void run_on_ctl(struct loop_source *s, uint32_t events, void *user_data)
{
	struct run *r = user_data;
	char chunk[4096];
	ssize_t n = recv(r->ctl_fd, chunk, sizeof(chunk), MSG_DONTWAIT);
	char *nl;

	if (n <= 0) {
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			r->ctl_source = loop_remove(r->ctl_source);
		return;
	}
	if (buf_put(&r->ctl_in, chunk, (size_t)n) < 0) {
		run_finish(r, "broken", "the worker floods its control port");
		return;
	}
	while (r->stage != STAGE_END && r->stage != STAGE_STOP &&
	       (nl = memchr(r->ctl_in.data, '\n', r->ctl_in.len))) {
		size_t len = (size_t)(nl - r->ctl_in.data);
		struct err e = ERR_INIT;
		enum ctl_what what;

		if (ctl_line(&r->ctl, r->ctl_in.data, len, &what, &e) < 0) {
			run_finish(r, "broken", "%s", e.text);
			return;
		}
		buf_drop(&r->ctl_in, len + 1);
		guest_says(r, what);
	}
	if (r->ctl_in.len > CTL_LINE_MAX)
		run_finish(r, "broken", "the worker's control line has no end");
}
