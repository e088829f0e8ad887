/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Threads by /proc: QEMU tells ids of its own process namespace, which are small numbers. */
#include "threads.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/io.h"
#include "base/num.h"

#define FILE_MAX_SIZE (16 * KIB)
#define THREADS_MAX   4096
#define UTIME_FIELD                                                                   \
	11 /* of those behind the name, which may hold anything: proc(5) has it as 14 \
	    */

static const char *number(const char *p, uint64_t *ret)
{
	uint64_t v = 0;

	while (*p == ' ' || *p == '\t')
		p++;
	for (; *p >= '0' && *p <= '9'; p++)
		v = v > UINT64_MAX / 16 ? v : v * 10 + (uint64_t)(*p - '0');
	*ret = v;
	return p;
}

uint64_t vm_threads_inner_id(const char *status)
{
	const char *p = strstr(status, "\nNSpid:");
	uint64_t id = 0;

	if (!p)
		return 0;
	for (p += 7; *p && *p != '\n';) {
		const char *before = p;

		p = number(p, &id);
		if (p == before)
			return 0;
	}
	return id;
}

uint64_t vm_threads_ticks(const char *stat)
{
	const char *p = strrchr(stat, ')');
	uint64_t user, kernel;

	if (!p)
		return 0;
	p++;
	for (int i = 0; i < UTIME_FIELD; i++) {
		p += strspn(p, " ");
		p += strcspn(p, " ");
	}
	p = number(p, &user);
	(void)number(p, &kernel);
	return user + kernel;
}

static int read_task(pid_t pid, const char *tid, const char *file, struct buf *out)
{
	char path[96];

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%s/%s", (int)pid, tid, file);
	return io_read_file(AT_FDCWD, path, FILE_MAX_SIZE, out, NULL);
}

void vm_threads_find(pid_t pid, const uint64_t *inner, size_t n, pid_t *ret)
{
	char path[64];
	struct dirent *d;
	DIR *dir;

	memset(ret, 0, n * sizeof(*ret));
	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	for (int i = 0; dir && i < THREADS_MAX && (d = readdir(dir)); i++) {
		_cleanup_buf_ struct buf b = {0};
		uint64_t tid, id;

		if (parse_u64(d->d_name, &tid) < 0 || read_task(pid, d->d_name, "status", &b) < 0)
			continue;
		id = vm_threads_inner_id(buf_str(&b));
		for (size_t k = 0; id != 0 && k < n; k++) {
			if (inner[k] == id)
				ret[k] = (pid_t)tid;
		}
	}
	if (dir)
		(void)closedir(dir);
}

uint64_t vm_threads_cpu_ms(pid_t pid, pid_t tid, uint64_t otherwise)
{
	_cleanup_buf_ struct buf b = {0};
	long hz = sysconf(_SC_CLK_TCK);
	char name[16];

	(void)snprintf(name, sizeof(name), "%d", (int)tid);
	if (hz <= 0 || read_task(pid, name, "stat", &b) < 0)
		return otherwise;
	return vm_threads_ticks(buf_str(&b)) * 1000 / (uint64_t)hz;
}
