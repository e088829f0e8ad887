/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Working out a manager VM: pure. */
#include "nested.h"

#include "base/macro.h"
#include "base/text.h"

/*
 * Beside the worker's memory: the kernel with its page tables, the unpacked initramfs, the worker's
 * kernel and initrd in QEMU's root, QEMU and the manager; the rest is room for the page cache.
 */
#define MEMORY_BASE (384 * MIB)
/* The worker's QEMU, when it emulates: translated code, and what QEMU knows about it. */
#define MEMORY_EMULATOR (256 * MIB)

/* What is translated twice over is too dear to throw away. */
#define TB_SIZE (512 * MIB)

/* Boot, poll and end of the manager VM itself, over what the worker may use. */
#define CPU_TIME_BASE_MS 120000

struct nested_plan nested_plan(const struct spec_limits *l, bool kvm, bool worker_kvm)
{
	struct nested_plan p = {
		.kvm = kvm,
		.worker_kvm = kvm && worker_kvm,
		/* at least two: QEMU's own thread must not wait for a worker of one processor */
		.cpus = MAX(l->cpus, 2U),
		.file_size = MAX(l->disk, l->output),
		.hello_ms = kvm ? 60000 : 180000,
		/* it speaks once a second; but what is emulated may be starved by a busy host */
		.silence_ms = kvm ? 60000 : 120000,
	};

	/*
	 * With a virtual clock (struct vm_desc) QEMU runs all processors of a worker in turn, so a
	 * second one helps nobody; and with two a boot was not through after nine minutes.
	 */
	p.worker_cpus = p.worker_kvm ? l->cpus : 1;
	p.memory = l->memory + MEMORY_BASE + (p.worker_kvm ? 0 : MEMORY_EMULATOR);
	p.memory = (p.memory + MIB - 1) / MIB * MIB;
	/* the manager counts the worker's; this is the wall behind it, a quarter higher */
	p.cpu_time_ms = l->cpu_time_ms > UINT64_MAX / 2
				? UINT64_MAX / 2
				: l->cpu_time_ms + l->cpu_time_ms / 4 + CPU_TIME_BASE_MS;
	/* emulated by what is emulated itself, a boot takes 60 s on an idle machine */
	p.boot_ms = p.worker_kvm ? 300000 : 1200000;
	return p;
}

void nested_describe(const struct launch_files *files, const struct nested_plan *p,
		     const struct home_ports *ports, struct vm_desc *ret)
{
	bool waits = files->image < 0;

	*ret = (struct vm_desc){
		.arch = "x86_64",
		.machine = VM_MACHINE_Q35,
		.accel = p->kvm ? VM_ACCEL_KVM : VM_ACCEL_TCG,
		.cpus = p->cpus,
		.memory = p->memory,
		.disks = {{"image", files->image, true, 0, 0, false},
			  {"input", files->input, true, 0, 0, false},
			  {"output", files->output, false, 0, 0, false},
			  {"scratch", files->scratch, false, 0, 0, false}},
		.n_disks = waits ? 0 : 4,
		.slots = waits ? HOME_DISKS : 0,
		.ports = {{"contractor.manager", ports->control}, {"contractor.dial", ports->dial}},
		.n_ports = 2,
		.console_fd = -1,
		.qmp_fd = -1,
		.tap_fd = -1,
		.tb_size = TB_SIZE,
		.memory_kind = p->kept,
		.memory_fd = files->memory,
	};
	if (files->layer >= 0)
		ret->disks[ret->n_disks++] =
			(struct vm_disk){"layer", files->layer, true, 0, 0, false};
}

/* The last line of [at, end) that begins with `with`, the firmware's (which paint) left out; NULL:
 * there is none.
 */
static const char *last_line(const char *at, const char *end, const char *with)
{
	const char *found = NULL;

	while (at < end) {
		const char *nl = memchr(at, '\n', (size_t)(end - at));
		size_t n = (size_t)((nl ? nl : end) - at);

		if (n >= strlen(with) && n > 1 && memcmp(at, with, strlen(with)) == 0 &&
		    (*with || !memchr(at, '\x1b', n)))
			found = at;
		at = nl ? nl + 1 : end;
	}
	return found;
}

char *nested_last_words(const char *console, size_t len, char *out, size_t size)
{
	static const char init[] = "contractor: ", last[] = "contractor: powering off",
			  panic[] = "Kernel panic";
	const char *end = console + len, *line;

	out[0] = '\0';
	if (len == 0)
		return out;
	/* it ends every complaint, and tells nothing */
	line = last_line(console, end, last);
	if (line)
		end = line;
	line = last_line(console, end, init);
	if (line)
		line += strlen(init);
	/* of a kernel that has crashed, not the end of its tables */
	if (!line)
		line = memmem(console, (size_t)(end - console), panic, strlen(panic));
	if (!line)
		line = last_line(console, end, "");
	if (line) {
		const char *nl = memchr(line, '\n', (size_t)(end - line));
		size_t n = (size_t)((nl ? nl : end) - line);

		while (n > 0 && line[n - 1] == '\r')
			n--;
		(void)text_escape_line(line, n, out, size);
	}
	return out;
}
