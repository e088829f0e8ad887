/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Saving a worker that waits for go as a template, and starting one from there. */
/*
 * A template's memory is a file that QEMU maps: shared while it is made, private ever after. Its
 * devices' state is in another stretch of that file. Until the worker has begun to read its input,
 * all that goes wrong is the template's fault: the build has not begun, and can be started cold.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/random.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "base/io.h"
#include "base/text.h"
#include "net/rule-json.h"
#include "qmp/state.h"
#include "run-state.h"
#include "vm/walls.h"

#define RESTORE_DEADLINE_MS \
	60000 /* to the worker's first word; alone on a machine it takes 0.3 s */

bool run_on_trial(const struct run *r)
{
	return r->order.template != ORDER_TEMPLATE_NONE && r->ctl.phase <= CTL_READY;
}

void run_describe_template(const struct run *r, struct vm_start *s)
{
	const uint64_t state_end = r->order.memory + ORDER_STATE_MAX;

	if (r->order.template == ORDER_TEMPLATE_NONE || r->order.template == ORDER_TEMPLATE_HOLD)
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

void run_hold(struct run *r)
{
	r->stage = STAGE_GUEST;
	r->held = true;
	(void)loop_timer_set(r->deadline, UINT64_MAX, 0);
	(void)loop_timer_set(r->wall, UINT64_MAX, 0);
	(void)loop_timer_set(r->poll, UINT64_MAX, 0);
	(void)proto_send_json(r->conn, run_message("held"));
}

static int take_seed(const cJSON *msg, const char *name, unsigned char out[ORDER_SEED_SIZE])
{
	const char *hex = json_str(msg, name);

	if (!hex || strlen(hex) != 2 * ORDER_SEED_SIZE)
		return -EBADMSG;
	for (size_t i = 0; i < ORDER_SEED_SIZE; i++) {
		static const char digits[] = "0123456789abcdef";
		const char *high = strchr(digits, hex[2 * i]),
			   *low = strchr(digits, hex[2 * i + 1]);

		if (!high || !low)
			return -EBADMSG;
		out[i] = (unsigned char)((high - digits) << 4 | (low - digits));
	}
	return 0;
}

/* What the kernel of this machine, whose past is that of others, says to QEMU from now on. */
static int reseed(const unsigned char seed[ORDER_SEED_SIZE])
{
	struct {
		int entropy_count, buf_size;
		unsigned char buf[ORDER_SEED_SIZE];
	} pool = {ORDER_SEED_SIZE * 8, ORDER_SEED_SIZE, {0}};
	_cleanup_close_ int fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);

	memcpy(pool.buf, seed, ORDER_SEED_SIZE);
	if (fd < 0 || ioctl(fd, RNDADDENTROPY, &pool) < 0 || ioctl(fd, RNDRESEEDCRNG) < 0)
		return -errno;
	return 0;
}

/* The wall stands from here on as from a boot, for this build's limit. */
static int move_wall(const struct run *r)
{
	const rlim_t wall = r->cpu_before / 1000 + vm_cpu_wall(r->order.cpu_time_ms);
	const struct rlimit cpu = {wall, wall};
	pid_t pid = vm_pid(r->vm);

	if (pid <= 0)
		return -ESRCH;
	return prlimit(pid, RLIMIT_CPU, &cpu, NULL) < 0 ? -errno : 0;
}

/* They allow the same, and may stand on other lines of the spec, which denials name. */
static int place_rules(struct run *r, const cJSON *list)
{
	struct order_network *net = &r->order.network;
	_cleanup_free_ struct net_rule *rules = NULL;
	size_t n_rules;
	int n = net_rules_from_json(list, &rules, &n_rules, NULL);

	if (n < 0)
		return n;
	if (n_rules != net->n_rules)
		return -EBADMSG;
	for (size_t i = 0; i < n_rules; i++) {
		net->rules[i].line = rules[i].line;
		net->rules[i].column = rules[i].column;
	}
	return 0;
}

int run_resume(struct run *r, const cJSON *msg)
{
	const struct timespec now = {.tv_sec = (time_t)json_u64_or(msg, "time", 0)};
	unsigned char own[ORDER_SEED_SIZE];
	int n = take_seed(msg, "seed", r->seed);

	if (n == 0)
		n = take_seed(msg, "own-seed", own);
	if (n == 0)
		n = place_rules(r, json_get(msg, "rules"));
	if (n == 0)
		n = reseed(own);
	if (n == 0 && clock_settime(CLOCK_REALTIME, &now) < 0)
		n = -errno;
	if (n < 0)
		return n;
	/* those of the order are of the build that made the template */
	if (json_u64(msg, "time-ms", &r->order.time_ms) < 0 ||
	    json_u64(msg, "cpu-time-ms", &r->order.cpu_time_ms) < 0 ||
	    json_u64(msg, "log", &r->order.log) < 0)
		return -EBADMSG;
	r->now.cpu_ms = 0;
	r->cpu_before = run_cpu_ms(r);
	n = move_wall(r);
	if (n < 0)
		return n;
	r->now = r->peak = (struct limits_sample){.n_vcpus = r->now.n_vcpus};
	r->started_ms = io_now_ms();
	r->sampled_ms = r->asked_ms = 0;
	r->held = false;
	n = loop_timer_set(r->wall, r->order.time_ms, 0);
	return n < 0 ? n : loop_timer_set(r->poll, LIMITS_POLL_MS, 0);
}

int run_go_line(const struct run *r, char out[RUN_GO_MAX])
{
	unsigned char seed[ORDER_SEED_SIZE];
	char hex[2 * ORDER_SEED_SIZE + 1] = "", end[32];

	memcpy(seed, r->seed, sizeof(seed));
	if (r->order.template == ORDER_TEMPLATE_USE &&
	    getrandom(seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		return -EIO;
	if (r->order.template != ORDER_TEMPLATE_NONE)
		(void)text_hex(seed, sizeof(seed), hex);
	(void)snprintf(end, sizeof(end), "%" PRIu64, r->input_end);
	return snprintf(out, RUN_GO_MAX, "go %" PRId64 " %s%s%s\n", (int64_t)time(NULL),
			r->layers[0] ? r->layers : end, hex[0] ? " " : "", hex);
}
