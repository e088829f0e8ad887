/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whether KVM works: not by its presence, but by a small guest that must run, and fast.
 *
 * A /dev/kvm can open, answer and still be unable to run a stock kernel. On kvm_pvm, a paravirtual
 * one, such a kernel hangs for ever; measured there: SSE3 is not among the features, an OUT in
 * 64-bit mode works, but by emulation, so that ADDPS fails and a loop of 10 million rounds takes
 * over 5 s, which a processor does in 10 ms. A hanging KVM_RUN may not even hear a signal, so the
 * guest runs in a child, which is killed at its deadline and never waited for without one.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "base/io.h"
#include "vm.h"

#define PROBE_MS  1000 /* all of it, making the VM included, which can take 100 ms */
#define PORT	  0x10
#define ANSWER	  0x2a
#define ROUNDS	  10000000
#define GUEST_MEM (2 * MIB)

#ifdef __x86_64__

#define NO(feature) "its processor lacks " feature ", which stock kernels need"

/* Leaf, register (0 to 3: eax to edx), bit: what an x86-64 kernel refuses to start without. */
static const struct {
	uint32_t leaf;
	unsigned reg, bit;
	const char *missing;
} needed[] = {
	{1, 3, 0, NO("FPU")},	       {1, 3, 4, NO("TSC")},	      {1, 3, 5, NO("MSR")},
	{1, 3, 6, NO("PAE")},	       {1, 3, 8, NO("CX8")},	      {1, 3, 9, NO("APIC")},
	{1, 3, 13, NO("PGE")},	       {1, 3, 15, NO("CMOV")},	      {1, 3, 24, NO("FXSR")},
	{1, 3, 25, NO("SSE")},	       {1, 3, 26, NO("SSE2")},	      {1, 2, 0, NO("SSE3")},
	{0x80000001, 3, 20, NO("NX")}, {0x80000001, 3, 29, NO("LM")},
};

static const char *check_cpuid(int kvm, struct kvm_cpuid2 *cpuid)
{
	if (ioctl(kvm, KVM_GET_SUPPORTED_CPUID, cpuid) < 0)
		return "it does not say which processor features it has";
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		bool found = false;

		for (uint32_t j = 0; j < cpuid->nent && !found; j++) {
			const struct kvm_cpuid_entry2 *c = &cpuid->entries[j];
			const uint32_t regs[] = {c->eax, c->ebx, c->ecx, c->edx};

			found = c->function == needed[i].leaf &&
				(regs[needed[i].reg] >> needed[i].bit & 1);
		}
		if (!found)
			return needed[i].missing;
	}
	return NULL;
}

/*
 * One 2 MiB page, mapped onto itself:
 *
 *   0x1000 page map level 4 -> 0x2000 directory pointers -> 0x3000 directory -> 0
 *   0x4000 addps xmm0, xmm1; mov ecx, ROUNDS; 1: dec ecx; jnz 1b; mov al, ANSWER; out PORT, al; hlt
 */
static void lay_out(uint8_t *mem)
{
	static const uint8_t code[] = {
		0x0f,
		0x58,
		0xc1,
		0xb9,
		ROUNDS & 0xff,
		ROUNDS >> 8 & 0xff,
		ROUNDS >> 16 & 0xff,
		ROUNDS >> 24,
		0xff,
		0xc9,
		0x75,
		0xfc,
		0xb0,
		ANSWER,
		0xe6,
		PORT,
		0xf4,
	};
	static const struct {
		uint32_t at;
		uint64_t entry;
	} tables[] = {{0x1000, 0x2003}, {0x2000, 0x3003}, {0x3000, 0x83}};

	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		memcpy(mem + tables[i].at, &tables[i].entry, sizeof(uint64_t));
	memcpy(mem + 0x4000, code, sizeof(code));
}

/* 64-bit mode with paging, as a kernel runs: real mode alone may be emulated and prove nothing. */
static int set_long_mode(int vcpu)
{
	struct kvm_segment code = {.limit = 0xffffffff,
				   .selector = 8,
				   .type = 11,
				   .present = 1,
				   .s = 1,
				   .l = 1,
				   .g = 1};
	struct kvm_regs regs = {.rip = 0x4000, .rsp = 0x8000, .rflags = 2};
	struct kvm_sregs sregs;

	if (ioctl(vcpu, KVM_GET_SREGS, &sregs) < 0)
		return -errno;
	sregs.cs = code;
	code.type = 3;
	code.selector = 16;
	code.l = 0;
	code.db = 1;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = code;
	sregs.cr0 = 0x80000033; /* PG, NE, ET, MP, PE */
	sregs.cr3 = 0x1000;
	sregs.cr4 = 0x620;  /* OSXMMEXCPT, OSFXSR, PAE */
	sregs.efer = 0x500; /* LMA, LME */
	if (ioctl(vcpu, KVM_SET_SREGS, &sregs) < 0 || ioctl(vcpu, KVM_SET_REGS, &regs) < 0)
		return -errno;
	return 0;
}

static const char *run_guest(int kvm, struct kvm_cpuid2 *cpuid)
{
	struct kvm_userspace_memory_region region = {.memory_size = GUEST_MEM};
	int vm = ioctl(kvm, KVM_CREATE_VM, 0);
	int vcpu = vm < 0 ? -1 : ioctl(vm, KVM_CREATE_VCPU, 0);
	int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	uint8_t *mem =
		mmap(NULL, GUEST_MEM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct kvm_run *run;

	if (vcpu < 0 || size < (int)sizeof(*run) || mem == MAP_FAILED)
		return "it makes no virtual machine";
	run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	region.userspace_addr = (uint64_t)(uintptr_t)mem;
	lay_out(mem);
	if (run == MAP_FAILED || ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) < 0 ||
	    ioctl(vcpu, KVM_SET_CPUID2, cpuid) < 0 || set_long_mode(vcpu) < 0)
		return "it makes no virtual machine in 64-bit mode";
	if (ioctl(vcpu, KVM_RUN, 0) < 0)
		return "it does not run a guest";
	if (run->exit_reason != KVM_EXIT_IO || run->io.port != PORT ||
	    ((const uint8_t *)run)[run->io.data_offset] != ANSWER)
		return "a guest of eight instructions goes wrong in it";
	return NULL;
}

static const char *probe(int kvm)
{
	static const char *const no = "it makes no virtual machine";
	uint32_t max = 256;
	struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) + max * sizeof(cpuid->entries[0]));
	const char *wrong = no;

	if (cpuid) {
		cpuid->nent = max;
		wrong = check_cpuid(kvm, cpuid);
		if (!wrong)
			wrong = run_guest(kvm, cpuid);
	}
	free(cpuid);
	return wrong;
}

#else

static const char *probe(int kvm)
{
	return ioctl(kvm, KVM_CREATE_VM, 0) < 0 ? "it makes no virtual machine" : NULL;
}

#endif

/* Runs in the child: nothing more than texts goes back. */
static _Noreturn void child(int pipe_fd)
{
	const char *wrong;
	int kvm;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0)
		wrong = strerrordesc_np(errno);
	else if (ioctl(kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		wrong = "it speaks another version than 12";
	else
		wrong = probe(kvm);
	wrong = wrong ? wrong : "";
	(void)io_write_full(pipe_fd, wrong, strlen(wrong) + 1);
	_exit(0);
}

/* Kills the child. One that sits in the kernel is left: it goes when that lets it. */
static void finish(pid_t pid)
{
	struct pollfd p = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};

	(void)kill(pid, SIGKILL);
	if (p.fd >= 0)
		(void)poll(&p, 1, 100);
	(void)waitpid(pid, NULL, WNOHANG);
	fd_close(&p.fd);
}

/* What is wrong with /dev/kvm, into text; an empty text: nothing. */
static void find_out(char *text, size_t size)
{
	_cleanup_close_ int rd = -1, wr = -1;
	struct pollfd p = {.events = POLLIN};
	ssize_t n = 0;
	int fds[2];
	pid_t pid;

	(void)snprintf(text, size, "it cannot be tried");
	if (pipe2(fds, O_CLOEXEC) < 0)
		return;
	p.fd = rd = fds[0];
	wr = fds[1];
	pid = fork();
	if (pid == 0)
		child(wr);
	if (pid < 0)
		return;
	fd_close(&wr);
	if (poll(&p, 1, PROBE_MS) <= 0)
		(void)snprintf(text, size, "a small guest does not end in it within a second");
	else
		n = read(rd, text, size - 1);
	if (n > 0)
		text[n] = '\0';
	finish(pid);
}

enum vm_accel vm_probe_accel(const char *arch, char *why, size_t why_size)
{
	const char *forced = getenv("CONTRACTOR_ACCEL");
	struct utsname host;
	char text[128];

	if (why_size)
		why[0] = '\0';
	if (forced && strcmp(forced, "kvm") == 0)
		return VM_ACCEL_KVM;
	if (forced && strcmp(forced, "tcg") == 0) {
		(void)snprintf(why, why_size, "CONTRACTOR_ACCEL=tcg");
		return VM_ACCEL_TCG;
	}
	if (uname(&host) < 0 || strcmp(host.machine, arch) != 0) {
		(void)snprintf(why, why_size, "this host is no %s", arch);
		return VM_ACCEL_TCG;
	}
	find_out(text, sizeof(text));
	if (!*text)
		return VM_ACCEL_KVM;
	(void)snprintf(why, why_size, "/dev/kvm: %s", text);
	return VM_ACCEL_TCG;
}
