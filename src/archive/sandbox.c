/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The walls around the process that reads a hostile archive. */
#include "sandbox.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#if defined(__SANITIZE_ADDRESS__)
#define SANDBOX_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define SANDBOX_SANITIZER 1
#endif
#endif
#ifndef SANDBOX_SANITIZER
#define SANDBOX_SANITIZER 0
#endif

#define SANDBOX_MEMORY (256 * MIB)
#define SANDBOX_FDS    128

/* Rights that older headers do not name; the kernel's ABI number says which ones it knows. */
#define RIGHT_REFER	(1ULL << 13)
#define RIGHT_TRUNCATE	(1ULL << 14)
#define RIGHT_IOCTL_DEV (1ULL << 15)

#if defined(__x86_64__)
#define SANDBOX_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define SANDBOX_ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define SANDBOX_ARCH AUDIT_ARCH_RISCV64
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define SANDBOX_ARCH AUDIT_ARCH_PPC64LE
#endif

static int set_limits(uint64_t max_file, uint64_t memory, struct err *e)
{
	const struct {
		int resource;
		rlim_t value;
	} limits[] = {
		{RLIMIT_FSIZE, (rlim_t)MIN(max_file, (uint64_t)INT64_MAX)},
		{RLIMIT_CORE, 0},
		{RLIMIT_NPROC, 0},
		{RLIMIT_NOFILE, SANDBOX_FDS},
		/* a sanitizer's shadow memory is terabytes of it */
		{RLIMIT_DATA, SANDBOX_SANITIZER ? RLIM_INFINITY : SANDBOX_MEMORY + memory},
	};
	struct sigaction ign = {.sa_handler = SIG_IGN};

	(void)sigaction(SIGXFSZ, &ign, NULL); /* EFBIG instead */
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		struct rlimit rl;

		if (getrlimit((__rlimit_resource_t)limits[i].resource, &rl) < 0)
			return err_errno(e, -errno, "cannot read a resource limit");
		rl.rlim_max = MIN(rl.rlim_max, limits[i].value);
		rl.rlim_cur = rl.rlim_max;
		/* valgrind keeps descriptors for itself and does not let go of them */
		if (setrlimit((__rlimit_resource_t)limits[i].resource, &rl) < 0 &&
		    (limits[i].resource != RLIMIT_NOFILE || errno != EPERM))
			return err_errno(e, -errno, "cannot set a resource limit");
	}
	return 0;
}

static int drop_capabilities(struct err *e)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capset, &header, none) < 0)
		return err_errno(e, -errno, "cannot give up capabilities");
	return 0;
}

/*
 * Landlock before ABI 2 (Linux 5.19) forbids every hard link between two folders, which would
 * refuse honest archives: such a kernel counts as one without Landlock.
 */
static int restrict_files(int root_fd, struct err *e)
{
	const uint64_t given = LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_WRITE_FILE |
			       LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR |
			       LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REMOVE_FILE |
			       LANDLOCK_ACCESS_FS_REMOVE_DIR | RIGHT_REFER;
	struct landlock_ruleset_attr attr = {.handled_access_fs = (RIGHT_REFER << 1) - 1};
	struct landlock_path_beneath_attr beneath = {.parent_fd = root_fd};
	_cleanup_close_ int fd = -1;
	long abi;

	abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < 2)
		return 0;
	beneath.allowed_access = given;
	if (abi >= 3) {
		attr.handled_access_fs |= RIGHT_TRUNCATE;
		beneath.allowed_access |= RIGHT_TRUNCATE;
	}
	if (abi >= 5)
		attr.handled_access_fs |= RIGHT_IOCTL_DEV;
	fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr.handled_access_fs), 0);
	if (fd < 0)
		return err_errno(e, -errno, "cannot make a Landlock ruleset");
	if (syscall(SYS_landlock_add_rule, fd, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) < 0)
		return err_errno(e, -errno, "cannot add a Landlock rule");
	if (syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		return err_errno(e, -errno, "cannot enter the Landlock domain");
	return 0;
}

#ifdef SANDBOX_ARCH
/* What unpacking, the C library and its exit need; anything else is EPERM. */
static const unsigned int allowed_calls[] = {
	__NR_read,	   __NR_pread64,	__NR_write,
	__NR_pwrite64,	   __NR_lseek,		__NR_close,
	__NR_openat,	   __NR_openat2,	__NR_mkdirat,
	__NR_symlinkat,	   __NR_linkat,		__NR_unlinkat,
	__NR_fchmod,	   __NR_ftruncate,	__NR_utimensat,
	__NR_fstat,	   __NR_statx,		__NR_readlinkat,
	__NR_getdents64,
#ifdef __NR_newfstatat
	__NR_newfstatat,
#endif
	__NR_mmap,	   __NR_munmap,		__NR_mremap,
	__NR_mprotect,	   __NR_madvise,	__NR_brk,
	__NR_futex,	   __NR_getpid,		__NR_gettid,
	__NR_getrandom,	   __NR_clock_gettime,	__NR_gettimeofday,
	__NR_rt_sigaction, __NR_rt_sigprocmask, __NR_rt_sigreturn,
	__NR_sigaltstack,  __NR_sched_yield,	__NR_exit,
	__NR_exit_group,
};

static int restrict_calls(struct err *e)
{
	struct sock_filter code[2 * ARRAY_SIZE(allowed_calls) + 16];
	struct sock_fprog prog = {.filter = code};
	unsigned short n = 0;
	const uint32_t allow = SECCOMP_RET_ALLOW, deny = SECCOMP_RET_ERRNO | EPERM;

	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						 offsetof(struct seccomp_data, arch));
	code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SANDBOX_ARCH, 1, 0);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						 offsetof(struct seccomp_data, nr));
	/* abort() signals this very process; no other may be signalled (little endian: low word) */
	code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_tgkill, 0, 4);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						 offsetof(struct seccomp_data, args[0]));
	code[n++] =
		(struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)getpid(), 0, 1);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, allow);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, deny);
	for (size_t i = 0; i < ARRAY_SIZE(allowed_calls); i++) {
		code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							 allowed_calls[i], 0, 1);
		code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, allow);
	}
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, deny);
	prog.len = n;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) == 0)
		return 0;
	if (errno == ENOSYS || errno == EINVAL) /* a kernel without filters, or an emulated one */
		return 0;
	return err_errno(e, -errno, "cannot restrict system calls");
}
#else
static int restrict_calls(struct err *e)
{
	return 0;
}
#endif

int sandbox_enter(int root_fd, uint64_t max_file, uint64_t memory, struct err *e)
{
	int r;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_errno(e, -errno, "cannot give up new privileges");
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* no core, and nobody traces it */
	r = set_limits(max_file, memory, e);
	if (r == 0)
		r = drop_capabilities(e);
	if (r == 0)
		r = restrict_files(root_fd, e);
	if (r == 0)
		r = restrict_calls(e);
	return r;
}
