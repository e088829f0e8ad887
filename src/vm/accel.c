/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whether KVM is really there: a tiny guest is run, for some devices open and then run nothing. */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/io.h"
#include "vm.h"

#define PROBE_DEADLINE_MS 500
#define CPUID_MAX	  256

#if defined(__x86_64__)
#define HOST_ARCH "x86_64"
#elif defined(__aarch64__)
#define HOST_ARCH "aarch64"
#else
#define HOST_ARCH "none"
#endif

#if defined(__x86_64__)
/* SSE3 (CPUID 1, ECX bit 0) is in every x86-64 that has hardware virtualisation. */
static bool has_sse3(int kvm)
{
	struct kvm_cpuid2 *c = calloc(1, sizeof(*c) + CPUID_MAX * sizeof(c->entries[0]));
	bool found = false;

	if (!c)
		return false;
	c->nent = CPUID_MAX;
	if (ioctl(kvm, KVM_GET_SUPPORTED_CPUID, c) == 0) {
		for (unsigned i = 0; i < c->nent; i++) {
			if (c->entries[i].function == 1)
				found = c->entries[i].ecx & 1;
		}
	}
	free(c);
	return found;
}

/* One page of real-mode code, `out %al, $0x10; hlt`, must come back to us with the port access. */
static bool runs_code(int vm, size_t run_size)
{
	static const unsigned char code[] = {0xe6, 0x10, 0xf4};
	struct kvm_userspace_memory_region region = {.memory_size = 4096};
	struct kvm_sregs sregs;
	struct kvm_regs regs = {.rflags = 2};
	struct kvm_run *run;
	void *page;
	int cpu;

	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return false;
	memcpy(page, code, sizeof(code));
	region.userspace_addr = (uint64_t)(uintptr_t)page;
	cpu = ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) < 0 ? -1
								 : ioctl(vm, KVM_CREATE_VCPU, 0);
	if (cpu < 0)
		return false;
	run = mmap(NULL, run_size, PROT_READ | PROT_WRITE, MAP_SHARED, cpu, 0);
	if (run == MAP_FAILED || ioctl(cpu, KVM_GET_SREGS, &sregs) < 0)
		return false;
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	if (ioctl(cpu, KVM_SET_SREGS, &sregs) < 0 || ioctl(cpu, KVM_SET_REGS, &regs) < 0)
		return false;
	return ioctl(cpu, KVM_RUN, 0) == 0 && run->exit_reason == KVM_EXIT_IO &&
	       run->io.port == 0x10;
}
#endif

/* What is wrong with it, or NULL. Runs in a process of its own: the last step may never return. */
static const char *try_kvm(int kvm)
{
	int size, vm;

	if (ioctl(kvm, KVM_GET_API_VERSION, 0) != 12)
		return "/dev/kvm speaks another version";
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (vm < 0 || size < 0)
		return "/dev/kvm makes no virtual machine";
#if defined(__x86_64__)
	if (!has_sse3(kvm))
		return "/dev/kvm lacks processor features that every guest needs";
	if (!runs_code(vm, (size_t)size))
		return "/dev/kvm runs no code";
#endif
	return NULL;
}

/*
 * The child's answer into why ("" when all is well). The child is killed and not waited for when
 * none comes: one that hangs in the kernel would take us with it. It is reaped by whoever adopts
 * it.
 */
static void probe(int kvm, char *why, size_t size)
{
	struct pollfd p = {.events = POLLIN};
	ssize_t n = -1;
	int fds[2];
	pid_t pid;

	(void)snprintf(why, size, "/dev/kvm did not run a first instruction in time");
	if (pipe2(fds, O_CLOEXEC) < 0)
		return;
	pid = fork();
	if (pid == 0) {
		const char *wrong = try_kvm(kvm);

		(void)io_write_full(fds[1], wrong ? wrong : "", wrong ? strlen(wrong) + 1 : 1);
		_exit(0);
	}
	(void)close(fds[1]);
	p.fd = fds[0];
	if (pid > 0 && poll(&p, 1, PROBE_DEADLINE_MS) == 1) {
		n = read(fds[0], why, size - 1);
		if (n > 0)
			why[n] = '\0';
	}
	(void)close(fds[0]);
	if (pid > 0) {
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, n > 0 ? 0 : WNOHANG);
	}
}

enum vm_accel vm_probe_accel(const char *arch, char *why, size_t why_size)
{
	const char *forced = getenv("CONTRACTOR_ACCEL");
	_cleanup_close_ int kvm = -1;

	if (forced && strcmp(forced, "kvm") == 0) {
		(void)snprintf(why, why_size, "CONTRACTOR_ACCEL says so");
		return VM_ACCEL_KVM;
	}
	if (forced && strcmp(forced, "tcg") == 0) {
		(void)snprintf(why, why_size, "CONTRACTOR_ACCEL says so");
		return VM_ACCEL_TCG;
	}
	if (strcmp(arch, HOST_ARCH) != 0) {
		(void)snprintf(why, why_size, "the image is for %s, this machine is %s", arch,
			       HOST_ARCH);
		return VM_ACCEL_TCG;
	}
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0) {
		(void)snprintf(why, why_size, "/dev/kvm: %s", strerror(errno));
		return VM_ACCEL_TCG;
	}
	probe(kvm, why, why_size);
	return why[0] ? VM_ACCEL_TCG : VM_ACCEL_KVM;
}
