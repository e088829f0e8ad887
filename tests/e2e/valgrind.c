/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Preloaded under valgrind: older calls in the place of those that Debian 12's valgrind refuses.
 *
 * It stands for the kernel, not for the program: what is looked for there are leaks, bad reads and
 * open descriptors of the CLI, and the walls are shown by other tests.
 */
#include <dlfcn.h>
#include <errno.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define REMOUNT_BIND (32 | 4096) /* MS_REMOUNT | MS_BIND of sys/mount.h, which clashes */
#define N_ARGS	     6
#define LOOK_NS	     50000000

/* The attributes of one mount; ST_* of statvfs and MS_* of mount have the same values. */
static int remount(const char *path, const struct mount_attr *ma)
{
	struct statvfs v;
	unsigned long flags;

	if (statvfs(path, &v) < 0)
		return -1;
	flags = v.f_flag & (ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC | ST_NOATIME |
			    ST_NODIRATIME | ST_RELATIME);
	if (ma->attr_set & MOUNT_ATTR_RDONLY)
		flags |= ST_RDONLY;
	if (ma->attr_set & MOUNT_ATTR_NOSUID)
		flags |= ST_NOSUID;
	if (ma->attr_set & MOUNT_ATTR_NODEV)
		flags |= ST_NODEV;
	return (int)syscall(SYS_mount, NULL, path, NULL, flags | REMOUNT_BIND, NULL);
}

/* Readable every now and then, when a pidfd would be at the child's end: its user looks, and waits
 * again. For its own pid there is none, as on a kernel without.
 */
static int watch(pid_t pid)
{
	const struct itimerspec often = {{0, LOOK_NS}, {0, LOOK_NS}};
	int fd;

	if (pid == getpid()) {
		errno = ENOSYS;
		return -1;
	}
	fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	if (fd >= 0)
		(void)timerfd_settime(fd, 0, &often, NULL);
	return fd;
}

/* The programs that it starts run without valgrind, and without this. */
__attribute__((constructor)) static void begin(void)
{
	if (strcmp(program_invocation_short_name, "contractor") == 0)
		(void)unsetenv("LD_PRELOAD");
}

/* libc's own name for the parameter is not for us: NOLINTNEXTLINE(readability-inconsistent*) */
long syscall(long number, ...)
{
	long (*next)(long, ...) = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
	const struct clone_args *ca;
	long a[N_ARGS];
	va_list ap;

	va_start(ap, number);
	for (size_t i = 0; i < N_ARGS; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	switch (number) {
	case SYS_clone3:
		ca = (const struct clone_args *)a[0];
		return next(SYS_clone, ca->flags | ca->exit_signal, 0L, 0L, 0L, 0L);
	case SYS_pidfd_open:
		return watch((pid_t)a[0]);
	case SYS_mount_setattr:
		return remount((const char *)a[1], (const struct mount_attr *)a[3]);
	default:
		return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
	}
}
