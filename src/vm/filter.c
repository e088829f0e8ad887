/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The seccomp filter that QEMU inherits: written out as classic BPF. */
/*
 * RLIMIT_CPU and RLIMIT_AS count one process and its mappings. What would escape them is denied
 * here: other processes, and memory that is not mapped (memfd, System V, message queues). With it
 * go the calls that a QEMU never makes and that kernels have most often been attacked by.
 *
 *	load architecture      not ours: kill
 *	load number            x32: ENOSYS
 *	on the list            EPERM
 *	clone3                 ENOSYS: its arguments are out of reach, and libc then uses clone
 *	clone                  EPERM without CLONE_THREAD
 *	socket                 EPERM for other families than AF_UNIX
 *	openat                 with O_RDWR as its only flag, where the guest's memory is a file:
 *	                       asked of the listener
 *	anything else          allowed
 */
#include "filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/macro.h"

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#define X32_BIT	 0x40000000U
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#endif

/* Numbers that are younger than the headers of Debian 11; the same on all architectures. */
#define NR_MEMFD_SECRET 447

static const int denied[] = {
#ifdef SYS_fork
	SYS_fork,
	SYS_vfork,
#endif
#ifdef SYS_modify_ldt
	SYS_modify_ldt,
#endif
	SYS_memfd_create,
	NR_MEMFD_SECRET,
	SYS_shmget,
	SYS_msgget,
	SYS_semget,
	SYS_mq_open,
	SYS_io_uring_setup,
	SYS_userfaultfd,
	SYS_bpf,
	SYS_perf_event_open,
	SYS_add_key,
	SYS_request_key,
	SYS_keyctl,
	SYS_ptrace,
	SYS_process_vm_readv,
	SYS_process_vm_writev,
	SYS_kcmp,
	SYS_pidfd_getfd,
	SYS_unshare,
	SYS_setns,
	SYS_mount,
	SYS_umount2,
	SYS_move_mount,
	SYS_open_tree,
	SYS_fsopen,
	SYS_fspick,
	SYS_pivot_root,
	SYS_chroot,
	SYS_name_to_handle_at,
	SYS_open_by_handle_at,
	SYS_quotactl,
	SYS_fanotify_init,
	SYS_personality,
};

#ifdef OUR_ARCH
/* One more instruction; a full program is found by its length at the end. */
static void put(struct sock_filter *p, size_t max, size_t *n, struct sock_filter one)
{
	if (*n < max)
		p[*n] = one;
	(*n)++;
}

#define PUT_STMT(code, k) put(prog, ARRAY_SIZE(prog), &n, (struct sock_filter)BPF_STMT(code, k))
#define PUT_JUMP(code, k, yes, no) \
	put(prog, ARRAY_SIZE(prog), &n, (struct sock_filter)BPF_JUMP(code, k, yes, no))
#define LOAD(member) \
	PUT_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, member))
#define RETURN(what) PUT_STMT(BPF_RET | BPF_K, what)
#define EQUAL	     (BPF_JMP | BPF_JEQ | BPF_K)

int vm_filter(bool memory)
{
	const uint32_t no = SECCOMP_RET_ERRNO | EPERM, unknown = SECCOMP_RET_ERRNO | ENOSYS;
	struct sock_filter prog[2 * ARRAY_SIZE(denied) + 32];
	struct sock_fprog fprog = {.filter = prog};
	size_t n = 0;
	int r;

	LOAD(arch);
	PUT_JUMP(EQUAL, OUR_ARCH, 1, 0);
	RETURN(SECCOMP_RET_KILL_PROCESS);
	LOAD(nr);
#ifdef X32_BIT
	PUT_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1);
	RETURN(unknown);
#endif
	for (size_t i = 0; i < ARRAY_SIZE(denied); i++) {
		PUT_JUMP(EQUAL, (uint32_t)denied[i], 0, 1);
		RETURN(no);
	}
	PUT_JUMP(EQUAL, SYS_clone3, 0, 1);
	RETURN(unknown);
	/* the low halves of the arguments: both architectures are little-endian */
	PUT_JUMP(EQUAL, SYS_clone, 0, 3);
	LOAD(args[0]);
	PUT_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 1, 0);
	RETURN(no);
	LOAD(nr);
	PUT_JUMP(EQUAL, SYS_socket, 0, 3);
	LOAD(args[0]);
	PUT_JUMP(EQUAL, AF_UNIX, 1, 0);
	RETURN(no);
	if (memory) {
		LOAD(nr);
		PUT_JUMP(EQUAL, SYS_openat, 0, 3);
		LOAD(args[2]);
		PUT_JUMP(EQUAL, O_RDWR, 0, 1);
		RETURN(SECCOMP_RET_USER_NOTIF);
	}
	RETURN(SECCOMP_RET_ALLOW);
	if (n > ARRAY_SIZE(prog))
		return -E2BIG;
	fprog.len = (unsigned short)n;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	r = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			 memory ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0, &fprog);
	return r < 0 ? -errno : r;
}
#else
int vm_filter(bool memory)
{
	if (memory)
		return -EOPNOTSUPP;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}
#endif
