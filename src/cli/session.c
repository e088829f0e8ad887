/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The session: one event loop over the manager's socket, the packer, signals and a last deadline.
 */
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/child.h"
#include "base/io.h"
#include "base/num.h"
#include "base/text.h"
#include "events.h"
#include "job.h"
#include "progress.h"
#include "session-private.h"

/* Beyond the worker's own time limit: start, last poll, the stop of QEMU and the last message. */
#define MANAGER_SLACK_MS 60000
#define HELLO_MS	 60000
#define SILENCE_MS	 60000 /* of a manager that speaks once a second */
#define CLOSED_MS	 10000 /* from the stream's end to the home's, and the other way round */
#define STATUS_MS	 200
#define SPACE_MS	 250
#define CONSOLE_MAX	 (64 * KIB)

void session_end(struct session *s, const struct verdict *v)
{
	if (s->ended)
		return;
	s->ended = true;
	s->b->verdict = *v;
	loop_quit(s->loop, 0);
}

void session_end_broken(struct session *s, const char *text)
{
	struct verdict v = verdict_make(VERDICT_INFRASTRUCTURE, "%s", text);

	/* the build has not begun, and can be started cold */
	v.cold = s->job->template == ORDER_TEMPLATE_USE && s->b->nested && !s->greeted;
	session_end(s, &v);
}

static cJSON *message(const char *type)
{
	cJSON *j = cJSON_CreateObject();

	if (j && !cJSON_AddStringToObject(j, "type", type))
		j = json_free(j);
	return j;
}

/* Where the layers are now. */
static void add_layer(struct build *b, const struct kept *k, const struct input_result *res)
{
	size_t n = strlen(k->layers);

	memcpy(b->layers, k->layers, n + 1);
	if (res->layer_size > 0)
		(void)snprintf(b->layers + n, sizeof(b->layers) - n, "%s%llu+%llu", n ? "," : "",
			       (unsigned long long)k->end, (unsigned long long)res->layer_size);
	b->in_moved = res->layer_size;
	if (res->surprises > 0)
		ui_say(&b->ui, "workspace: %llu files were not what was remembered of them",
		       (unsigned long long)res->surprises);
}

static void on_packed(int code, struct input_result *res, uint64_t end_at, const struct err *e,
		      void *user_data)
{
	cJSON *go = message("go");
	struct session *s = user_data;
	struct build *b = s->b;

	if (code < 0) {
		struct verdict v = verdict_make(VERDICT_INFRASTRUCTURE, "%s", e->text);

		cJSON_Delete(go);
		session_end(s, &v);
		return;
	}
	if (res->list.len > 0)
		add_layer(b, s->job->kept, res);
	else if (s->job->kept)
		ui_detail(&b->ui, "workspace: it goes by tar: %s", e->text);
	if (go && (res->list.len > 0 ? !cJSON_AddStringToObject(go, "layers", b->layers)
				     : json_add_u64(go, "input", end_at) < 0))
		go = json_free(go);
	s->go = go;
	session_go(s);
	if (s->job->prepare)
		return;
	b->in_entries = res->entries;
	b->in_bytes = res->bytes;
	b->sources = res->sources;
	b->base = res->list;
	res->sources = res->list = (struct buf){0};
}

static uint64_t allocated(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

/*
 * A manager VM sees disks where there are files here, and cannot tell how much of them is written:
 * so this side looks, and holds the build to its disk.
 */
static void check_disks(struct session *s, struct limits_sample *sample)
{
	struct build *b = s->b;
	struct verdict v;

	if (!b->nested)
		return;
	sample->disk = allocated(s->job->scratch);
	sample->output = allocated(s->job->output);
	if (sample->disk < s->job->scratch_full_at)
		return;
	v = verdict_limit("disk", b->spec->limits.disk, MAX(sample->disk, b->spec->limits.disk),
			  build_now(b));
	session_end(s, &v);
}

static void copy_name(char *out, size_t size, const char *from)
{
	(void)text_escape_line(from ? from : "", from ? strlen(from) : 0, out, size);
}

/* The entry of this number, perhaps a new one; NULL: there can be none, and the session ends. */
static struct build_denied *denied_entry(struct session *s, uint64_t id)
{
	struct build *b = s->b;

	/* an earlier session's stay; where the list is full, the last entry is every other's */
	if (id < BUILD_DENIED_MAX)
		id = MIN(id + s->denied_before, BUILD_DENIED_MAX - 1);
	if (id >= BUILD_DENIED_MAX || id > b->n_denied) {
		session_end_broken(s, "the manager's list of denied attempts makes no sense");
		return NULL;
	}
	if (!b->denied)
		b->denied = calloc(BUILD_DENIED_MAX, sizeof(*b->denied));
	if (!b->denied) {
		session_end_broken(s, "out of memory");
		return NULL;
	}
	return &b->denied[id];
}

static void denied_added(struct session *s, const struct build_denied *d)
{
	s->b->n_denied++;
	ui_say(&s->b->ui, "denied: %s", d->reason);
	events_denied(s->b, d);
}

/* An attempt, told when it is first made and again with its final count; `id` says which. */
static void on_denied(struct session *s, const cJSON *msg)
{
	uint64_t id = json_u64_or(msg, "id", UINT64_MAX);
	struct build_denied *d = denied_entry(s, id);

	if (!d)
		return;
	copy_name(d->protocol, sizeof(d->protocol), json_str(msg, "protocol"));
	copy_name(d->host, sizeof(d->host), json_str(msg, "host"));
	copy_name(d->address, sizeof(d->address), json_str(msg, "address"));
	copy_name(d->phase, sizeof(d->phase), json_str(msg, "phase"));
	copy_name(d->reason, sizeof(d->reason), json_str(msg, "reason"));
	copy_name(d->remedy, sizeof(d->remedy), json_str(msg, "remedy"));
	d->port = json_u64_or(msg, "port", 0);
	d->count = json_u64_or(msg, "count", 1);
	if (d == &s->b->denied[s->b->n_denied])
		denied_added(s, d);
}

/* A manager is believed when it tells what was denied, and not when it tells of nothing. */
static void check_untold(struct session *s)
{
	uint64_t n = s->port.counts ? s->port.counts->denied : 0;
	struct build_denied *d;

	if (n == 0 || s->b->n_denied > s->denied_before)
		return;
	d = denied_entry(s, 0);
	if (!d)
		return;
	copy_name(d->protocol, sizeof(d->protocol), "others");
	copy_name(d->phase, sizeof(d->phase), "build");
	copy_name(d->reason, sizeof(d->reason), "attempts that the manager VM has not told of");
	d->count = n;
	denied_added(s, d);
}

static struct verdict judge_end(const struct session_job *job, const cJSON *msg)
{
	if (job->prepare)
		return verdict_of_play(msg);
	if (job->template != ORDER_TEMPLATE_NONE)
		return verdict_of_template(msg, job->template == ORDER_TEMPLATE_SAVE);
	return verdict_of_end(msg);
}

static void on_end_message(struct session *s, const cJSON *msg)
{
	struct verdict v = judge_end(s->job, msg);
	struct limits_sample peak = {0};

	check_untold(s);
	limits_sample_from_json(json_get(msg, "peak"), &peak);
	job_add_spent(s->b, &peak);
	check_disks(s, &peak);
	limits_peak(&s->b->peak, &peak);
	job_count_spent(s->b, &v);
	session_end(s, &v);
}

/* The manager is there: a new one says hello, a restored one what its worker does. */
static void session_greeted(struct session *s)
{
	if (s->greeted)
		return;
	s->greeted = true;
	(void)loop_timer_set(s->hello, UINT64_MAX, 0);
	(void)loop_timer_set(s->deadline, s->b->spec->limits.time_ms + MANAGER_SLACK_MS, 0);
}

static void on_control(struct session *s, const cJSON *msg)
{
	const char *type = json_str(msg, "type"), *name = json_str(msg, "name");
	struct build *b = s->b;
	struct limits_sample sample = {0};
	char phase[16];
	bool known;

	if (!type) {
		session_end_broken(s, "the manager sent a message without a type");
	} else if (strcmp(type, "hello") == 0) {
		session_greeted(s);
		if (json_u64_or(msg, "version", 0) != PROTO_VERSION)
			session_end_broken(s, "the manager speaks another version of the protocol; "
					      "install contractor anew");
	} else if (strcmp(type, "accelerator") == 0) {
		/* a build may have a worker for its play and one for its template before its own */
		known = b->accel[0] != '\0';
		copy_name(b->accel, sizeof(b->accel), name);
		copy_name(b->accel_why, sizeof(b->accel_why), json_str(msg, "why"));
		if (!known)
			ui_say(&b->ui, "worker: %s, %s%s%s", b->machine, b->accel,
			       b->accel_why[0] ? ": " : "", b->accel_why);
		events_worker(b);
	} else if (strcmp(type, "held") == 0 && job_keeps_home(b, s->job)) {
		session_save_home(s);
	} else if (strcmp(type, "phase") == 0) {
		session_greeted(s);
		copy_name(phase, sizeof(phase), name);
		session_shell_end(s);
		build_phase(b, phase);
		if (strcmp(phase, "shell") == 0)
			session_shell_begin(s);
	} else if (strcmp(type, "sample") == 0) {
		limits_sample_from_json(msg, &sample);
		job_add_spent(b, &sample);
		check_disks(s, &sample);
		limits_peak(&b->peak, &sample);
		build_add_sample(b, &sample);
		events_sample(b, &sample);
	} else if (strcmp(type, "denied") == 0) {
		on_denied(s, msg);
	} else if (strcmp(type, "end") == 0) {
		on_end_message(s, msg);
	}
	/* `exit` comes again in `end`; types of later versions are passed over */
}

static void on_console(struct session *s, const struct proto_frame *f)
{
	if (s->console_fd < 0)
		s->console_fd = open(s->b->record.console_path,
				     O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (s->console_fd >= 0 && f->len <= CONSOLE_MAX - s->console_bytes) {
		s->console_bytes += f->len;
		(void)io_write_full(s->console_fd, f->data, f->len);
	}
}

/* The manager holds the log to its limit; here it is held once more, whoever speaks. */
static void on_log(struct session *s, const struct proto_frame *f)
{
	struct build *b = s->b;
	uint64_t granted = b->spec->limits.log, room = granted - MIN(granted, b->log_bytes);
	struct err e = ERR_INIT;
	struct verdict v;
	int r = io_write_full(b->record.log_fd, f->data, MIN(f->len, room));

	b->log_bytes += f->len;
	if (r < 0) {
		err_errno(&e, r, "%s: cannot write the log", b->record.log_path);
		session_end_broken(s, e.text);
		return;
	}
	ui_output(&b->ui, f->data, MIN(f->len, room));
	if (f->len > room) {
		v = verdict_limit("log", granted, b->log_bytes, build_now(b));
		session_end(s, &v);
	}
}

static void on_frame(const struct proto_frame *f, void *user_data)
{
	struct session *s = user_data;
	_cleanup_(json_free_p) cJSON *msg = NULL;
	struct err e = ERR_INIT;

	if (s->ended)
		return;
	s->heard_ms = io_now_ms();
	switch (f->type) {
	case PROTO_LOG:
		on_log(s, f);
		return;
	case PROTO_CONSOLE:
		on_console(s, f);
		return;
	case PROTO_CONTROL:
		if (json_parse(f->data, f->len, &msg, &e) < 0) {
			session_end_broken(s,
					   "the manager sent a control message that is not JSON");
			return;
		}
		on_control(s, msg);
		return;
	case _PROTO_TYPE_MAX:
		return;
	}
}

/*
 * The home and the manager's stream end in either order, and each tells a part: the home how, the
 * stream perhaps a verdict that is still to be read. So the first waits for the second.
 */
static void on_closed(int code, const struct err *e, void *user_data)
{
	struct session *s = user_data;

	s->closed = true;
	if (code != 0 && code != -ECONNRESET && code != -EPIPE)
		session_end_broken(s, e->text);
	else if (s->gone.text[0])
		session_end_broken(s, s->gone.text);
	else
		(void)loop_timer_set(s->hello, CLOSED_MS, 0);
}

void session_home_ended(const char *text, void *user_data)
{
	struct session *s = user_data;

	(void)err_set(&s->gone, -ECHILD, "%s", text);
	if (s->closed)
		session_end_broken(s, text);
	else
		(void)loop_timer_set(s->hello, CLOSED_MS, 0);
}

static void on_no_hello(struct loop_source *src, void *user_data)
{
	struct session *s = user_data;
	char text[sizeof(s->gone.text) + 32];

	(void)snprintf(text, sizeof(text), "%s; its stream has not ended", s->gone.text);
	session_end_broken(s, s->gone.text[0] ? text : "the manager says nothing");
}

static void on_deadline(struct loop_source *src, void *user_data)
{
	session_end_broken(user_data, "the manager did not end the build within its time");
}

/* A manager that lives tells how its worker is doing, whatever that does. */
static void check_silence(struct session *s)
{
	uint64_t max = s->b->nested ? s->b->plan.silence_ms : SILENCE_MS;
	char text[NUM_TEXT_MAX];
	struct err e = ERR_INIT;

	if (!s->greeted || s->closed || io_now_ms() - s->heard_ms < max)
		return;
	err_set(&e, -ETIMEDOUT, "the manager has said nothing for %s", format_duration(max, text));
	session_end_broken(s, e.text);
}

/* The disks are holes that the build fills: it is stopped before it has filled the host's. */
static void on_space(struct loop_source *src, void *user_data)
{
	struct session *s = user_data;
	struct err e = ERR_INIT;

	check_silence(s);
	space_refresh(&s->b->space);
	if (space_check(&s->b->space, &e) < 0)
		session_end_broken(s, e.text);
}

static void on_status(struct loop_source *src, void *user_data)
{
	struct session *s = user_data;

	progress_tick(s->b, s->job->input_rw, s->job->output);
}

static void on_signal(struct loop_source *src, const struct signalfd_siginfo *info, void *user_data)
{
	struct verdict v = verdict_make(VERDICT_INTERRUPTED, "interrupted by SIG%s",
					sigabbrev_np((int)info->ssi_signo));

	session_end(user_data, &v);
}

static int start_packing(struct session *s, struct err *e)
{
	const struct kept *k = s->job->kept;
	const struct packer_layer layer = {.at = k ? k->end : 0,
					   .below = {.list = k ? buf_str(&k->list) : "",
						     .len = k ? k->list.len : 0,
						     .verify = s->b->opt.verify_workspace}};
	struct input_skip skip[JOB_SKIP_MAX];
	struct input_tree tree = {.skip = skip};

	job_tree(s->b, s->job, &tree, skip);
	return packer_start(s->loop, s->job->input_rw, &tree, k ? &layer : NULL, on_packed, s,
			    &s->pack, e);
}

static int watch(struct session *s, struct err *e)
{
	const struct spec_limits *l = &s->b->spec->limits;
	uint64_t hello = s->b->nested && s->job->template != ORDER_TEMPLATE_USE
				 ? s->b->plan.hello_ms
				 : HELLO_MS;
	sigset_t set;
	int r;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGHUP);
	r = loop_add_signals(s->loop, &set, on_signal, s, &s->signals);
	if (r == 0)
		r = loop_add_timer(s->loop, on_deadline, s, &s->deadline);
	if (r == 0)
		r = loop_timer_set(s->deadline, l->time_ms + hello + MANAGER_SLACK_MS, 0);
	if (r == 0)
		r = loop_add_timer(s->loop, on_no_hello, s, &s->hello);
	if (r == 0)
		r = loop_timer_set(s->hello, hello, 0);
	if (r == 0)
		r = loop_add_timer(s->loop, on_status, s, &s->status);
	if (r == 0)
		r = loop_add_timer(s->loop, on_space, s, &s->space);
	if (r == 0)
		r = loop_timer_set(s->space, SPACE_MS, SPACE_MS);
	if (r == 0 && (s->b->ui.live || s->b->ui.json))
		r = loop_timer_set(s->status, STATUS_MS, STATUS_MS);
	return r < 0 ? err_errno(e, r, "cannot set up the session") : 0;
}

/* The manager VM's console, where the worker's does not tell what went wrong. */
static void keep_home_console(struct session *s)
{
	static const char title[] = "--- the manager VM's console ---\n";
	const struct buf *console = s->home ? home_console(s->home) : NULL;
	struct proto_frame f = {.data = title, .len = sizeof(title) - 1};

	if (s->b->verdict.kind != VERDICT_INFRASTRUCTURE || s->console_bytes > 0 || !console ||
	    console->len == 0)
		return;
	on_console(s, &f);
	f.data = console->data;
	f.len = console->len;
	on_console(s, &f);
}

void session_run(struct build *b, const struct session_job *job)
{
	struct session s = {.b = b,
			    .job = job,
			    .denied_before = b->n_denied,
			    .dialer = -1,
			    .port = DIAL_PORT_INIT,
			    .console_fd = -1};
	struct err e = ERR_INIT;
	const struct proto_callbacks cb = {.frame = on_frame, .closed = on_closed, .user_data = &s};
	int r = loop_new(&s.loop);

	if (r < 0)
		err_errno(&e, r, "cannot make an event loop");
	if (r == 0)
		r = watch(&s, &e);
	if (r == 0)
		r = session_start_manager(&s, &cb, &e);
	if (r == 0 && job->template != ORDER_TEMPLATE_SAVE)
		r = start_packing(&s, &e);
	if (r == 0)
		r = loop_run(s.loop);
	if (r < 0 && !s.ended)
		b->verdict = verdict_make(VERDICT_INFRASTRUCTURE, "%s",
					  e.text[0] ? e.text : strerror(-r));
	session_shell_end(&s);
	s.pack = packer_free(s.pack);
	keep_home_console(&s);
	s.home = home_free(s.home);
	if (s.dialer > 0) {
		(void)kill(s.dialer, SIGKILL);
		(void)child_wait(s.dialer, NULL);
	}
	(void)loop_remove(s.port_end);
	dial_port_done(&s.port);
	(void)proto_conn_free(s.conn);
	cJSON_Delete(s.go);
	(void)loop_free(s.loop);
	fd_close(&s.console_fd);
}
