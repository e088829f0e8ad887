/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The real manager, with somebody beside it in the manager VM who kills it, or its QEMU. */
/*
 * Whom and when the priority of the worker's QEMU says (contractor build --nice N): an odd one the
 * manager, an even one QEMU, N / 2 times 12 s after QEMU has started. 19: one of the two, 3.5 to
 * 12.5 s after they were restored, by the numbers that the manager VM was reseeded with.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/timerfd.h>

#include "base/io.h"
#include "base/num.h"

#undef main
int manager_main(int argc, char **argv);

#define STEP_MS	     12000
#define RESTORED     19
#define RESTORED_MS  3500 /* until the worker has begun: before, another would be booted */
#define RESTORED_MAX 9000

static pid_t find_qemu(void)
{
	DIR *d = opendir("/proc");
	struct dirent *ent;
	pid_t found = 0;

	while (d && !found && (ent = readdir(d))) {
		_cleanup_close_ int fd = -1;
		char path[300], name[64] = "";
		uint64_t pid;

		if (parse_u64(ent->d_name, &pid) < 0)
			continue;
		(void)snprintf(path, sizeof(path), "/proc/%s/comm", ent->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0 && read(fd, name, sizeof(name) - 1) > 0 &&
		    strncmp(name, "qemu-system", 11) == 0)
			found = (pid_t)pid;
	}
	if (d)
		(void)closedir(d);
	return found;
}

/* The clock is set when a restored manager goes on, and never else. */
static void wait_for_restore(void)
{
	const struct itimerspec never = {.it_value = {.tv_sec = INT32_MAX}};
	_cleanup_close_ int fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC);
	uint64_t n;

	if (fd < 0 ||
	    timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL) < 0 ||
	    read(fd, &n, sizeof(n)) >= 0 || errno != ECANCELED)
		_exit(1);
}

static _Noreturn void kill_later(pid_t manager)
{
	uint32_t random = 0;
	pid_t qemu;
	int nice;

	while ((qemu = find_qemu()) == 0)
		(void)poll(NULL, 0, 100);
	nice = getpriority(PRIO_PROCESS, (id_t)qemu);
	if (nice == RESTORED) {
		wait_for_restore();
		if (getrandom(&random, sizeof(random), 0) < 0)
			_exit(1);
		(void)poll(NULL, 0, RESTORED_MS + (int)(random / 2 % RESTORED_MAX));
	} else {
		random = (uint32_t)nice;
		(void)poll(NULL, 0, nice / 2 * STEP_MS);
	}
	(void)kill(random % 2 ? manager : qemu, SIGKILL);
	_exit(0);
}

int main(int argc, char **argv)
{
	pid_t manager = getpid();

	if (fork() == 0)
		kill_later(manager);
	return manager_main(argc, argv);
}
