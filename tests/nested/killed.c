/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The real manager, with somebody beside it in the manager VM who kills it, or its QEMU. */
/*
 * Whom and when the priority of the worker's QEMU says (contractor build --nice N): an odd one the
 * manager, an even one QEMU, N / 2 times 12 s after QEMU has started.
 */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>

#include "base/io.h"
#include "base/num.h"

#undef main
int manager_main(int argc, char **argv);

#define STEP_MS 12000

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

static _Noreturn void kill_later(pid_t manager)
{
	pid_t qemu;
	int nice;

	while ((qemu = find_qemu()) == 0)
		(void)poll(NULL, 0, 100);
	nice = getpriority(PRIO_PROCESS, (id_t)qemu);
	(void)poll(NULL, 0, nice / 2 * STEP_MS);
	(void)kill(nice % 2 ? manager : qemu, SIGKILL);
	_exit(0);
}

int main(int argc, char **argv)
{
	pid_t manager = getpid();

	if (fork() == 0)
		kill_later(manager);
	return manager_main(argc, argv);
}
