/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the run's QEMU has used: polls, the samples for the report, and the limits. */
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/io.h"
#include "qmp/commands.h"
#include "run-state.h"
#include "vm/threads.h"

#define SAMPLE_MS 1000
#define KVM_STAT  "exits"

/* Of QEMU with all its threads; when it is gone, of the children that have ended: it is the only
 * one.
 */
uint64_t run_cpu_ms(const struct run *r)
{
	struct timespec ts;
	struct rusage ru;
	uint64_t ms = 0;

	if (vm_pid(r->vm) > 0) {
		if (clock_gettime(r->cpu_clock, &ts) == 0)
			ms = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
	} else if (getrusage(RUSAGE_CHILDREN, &ru) == 0) {
		ms = (uint64_t)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1000 +
		     (uint64_t)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1000;
	}
	return MAX(ms - MIN(ms, r->cpu_before), r->now.cpu_ms);
}

static uint64_t allocated(int fd, uint64_t otherwise)
{
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 ? (uint64_t)st.st_blocks * 512 : otherwise;
}

static uint64_t resident(pid_t pid, uint64_t otherwise)
{
	_cleanup_buf_ struct buf b = {0};
	char path[64];
	const char *line;
	uint64_t kib = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	if (io_read_file(AT_FDCWD, path, 64 * KIB, &b, NULL) < 0)
		return otherwise;
	line = strstr(buf_str(&b), "VmRSS:");
	if (!line)
		return otherwise;
	for (line += 6; *line == ' ' || *line == '\t'; line++)
		;
	for (; *line >= '0' && *line <= '9'; line++)
		kib = kib * 10 + (uint64_t)(*line - '0');
	return kib * KIB;
}

static void take_sample(struct run *r)
{
	if (r->stage != STAGE_STOP) /* the build's time ended with its last word */
		r->now.at_ms = run_now(r);
	r->now.cpu_ms = run_cpu_ms(r);
	if (vm_pid(r->vm) > 0)
		r->now.memory = resident(vm_pid(r->vm), r->now.memory);
	r->now.disk = allocated(r->files.scratch, r->now.disk);
	r->now.output = allocated(r->files.output, r->now.output);
	if (r->net)
		run_net_bytes(r->net, &r->now.up, &r->now.down);
	limits_peak(&r->peak, &r->now);
}

bool run_check(struct run *r)
{
	struct limits_hit hit;

	take_sample(r);
	if (r->net)
		run_net_poll(r->net);
	if (r->stage == STAGE_END)
		return false;
	if (!limits_over(&r->order, &r->now, &hit))
		return true;
	run_finish_limit(r, &hit);
	return false;
}

void run_take_stats(struct run *r, const struct qmp_blockstats *stats)
{
	r->now.read = r->now.written = 0;
	for (size_t i = 0; i < stats->n; i++) {
		const struct qmp_node_stats *n = &stats->nodes[i];

		r->now.read += n->rd_bytes;
		r->now.written += n->wr_bytes;
		for (enum limits_disk d = 0; d < _LIMITS_DISK_MAX; d++) {
			if (strcmp(n->node, limits_disk_name(d)) == 0)
				r->now.disks[d] = (struct limits_io){n->rd_bytes, n->wr_bytes};
		}
	}
	limits_peak(&r->peak, &r->now);
}

/* True when the run still wants the answer; a QEMU that gives none in time has ended it. */
static bool answered(struct run *r, int code, bool *asked, const struct err *e)
{
	if (code == -ECANCELED)
		return false;
	*asked = false;
	/* when the connection is gone, QEMU's end is still to come, and tells more */
	if (r->stage == STAGE_STOP || r->stage == STAGE_END || code == -ECONNRESET)
		return false;
	if (code < 0)
		run_finish(r, "broken", "QEMU does not answer: %s", e->text);
	return code == 0;
}

static void on_stats(int code, const struct qmp_blockstats *stats, const struct err *e,
		     void *user_data)
{
	struct run *r = user_data;

	if (answered(r, code, &r->asked.blocks, e))
		run_take_stats(r, stats);
}

/* Which threads are the vCPUs'; they stay the same. */
static void on_vcpus(int code, const cJSON *ret, const struct err *e, void *user_data)
{
	struct run *r = user_data;
	struct err bad = ERR_INIT;
	struct qmp_vcpus v;

	if (!answered(r, code, &r->asked.vcpus, e))
		return;
	if (qmp_parse_vcpus(ret, &v, &bad) < 0) {
		run_finish(r, "broken", "QEMU's answers make no sense: %s", bad.text);
		return;
	}
	r->now.n_vcpus = (uint32_t)MIN(v.n, (size_t)LIMITS_VCPUS_MAX);
	if (vm_pid(r->vm) > 0)
		vm_threads_find(vm_pid(r->vm), v.thread, r->now.n_vcpus, r->vcpu_tids);
}

static void on_kvm_stat(int code, const cJSON *ret, const struct err *e, void *user_data)
{
	struct run *r = user_data;

	/* a QEMU without the command, or a kernel without the counter: there is no such figure */
	if (code == -ENOSYS || code == -EIO) {
		r->asked.kvm = false;
		r->kvm = false;
	} else if (answered(r, code, &r->asked.kvm, e)) {
		r->now.kvm_exits = qmp_parse_stat(ret, KVM_STAT);
	}
}

/* With most polls the disks' counters; with a sample, what only the graph needs. */
static void ask(struct run *r, bool sample)
{
	struct qmp *q = vm_qmp(r->vm);
	/* QEMU is not to be kept busy by the polls that come more often */
	bool due = r->now.at_ms - r->asked_ms >= LIMITS_POLL_MS / 2;

	if (r->stage == STAGE_STOP)
		return;
	if (due && !r->asked.blocks &&
	    qmp_query_blockstats(q, RUN_QMP_DEADLINE_MS, on_stats, r) == 0) {
		r->asked.blocks = true;
		r->asked_ms = r->now.at_ms;
	}
	if (sample && !r->asked.vcpus && r->now.n_vcpus == 0 &&
	    qmp_query_vcpus(q, RUN_QMP_DEADLINE_MS, on_vcpus, r) == 0)
		r->asked.vcpus = true;
	if (sample && r->kvm && !r->asked.kvm &&
	    qmp_query_stat(q, KVM_STAT, RUN_QMP_DEADLINE_MS, on_kvm_stat, r) == 0)
		r->asked.kvm = true;
}

void run_poll(struct loop_source *s, void *user_data)
{
	struct run *r = user_data;
	bool sample;
	cJSON *j;

	if (!run_check(r))
		return;
	sample = r->now.at_ms - r->sampled_ms >= SAMPLE_MS;
	if (sample) {
		r->sampled_ms = r->now.at_ms;
		for (uint32_t i = 0; i < r->now.n_vcpus && vm_pid(r->vm) > 0; i++)
			r->now.vcpu_ms[i] = vm_threads_cpu_ms(vm_pid(r->vm), r->vcpu_tids[i],
							      r->now.vcpu_ms[i]);
		j = run_message("sample");
		if (j)
			limits_sample_to_json(&r->now, j);
		(void)proto_send_json(r->conn, j);
	}
	ask(r, sample);
	(void)loop_timer_set(r->poll, limits_poll_ms(&r->order, &r->now), 0);
}
