/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Looking at the machine: what can be tried is tried, not guessed from settings. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <pwd.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>

#include "base/child.h"
#include "base/io.h"
#include "base/num.h"
#include "base/text.h"
#include "doctor.h"
#include "launch.h"
#include "paths.h"
#include "vm/find.h"

#define FILE_MAX (1 * MIB)
#define TRIAL_S	 30

/* A file's content as text, "" where it cannot be read. */
static void read_text(const char *path, struct buf *out)
{
	if (io_read_file(AT_FDCWD, path, FILE_MAX, out, NULL) < 0)
		buf_done(out);
}

static void probe_qemu(struct doctor_facts *f)
{
	char path[PATH_MAX];
	const char *argv[] = {path, "--version", NULL};
	_cleanup_buf_ struct buf out = {0};
	struct err e = ERR_INIT;

	if (vm_find_qemu("x86_64", path, &e) < 0) {
		(void)snprintf(f->qemu_why, sizeof(f->qemu_why), "%s", e.text);
		return;
	}
	(void)text_escape_line(path, strlen(path), f->qemu, sizeof(f->qemu));
	if (child_run(argv, &out, FILE_MAX, TRIAL_S, NULL) == 0)
		(void)text_escape_line(buf_str(&out), strcspn(buf_str(&out), "\n"), f->qemu_version,
				       sizeof(f->qemu_version));
}

/* In the namespaces of a trial. */
static int make_tap(struct err *e)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return err_set(e, -errno, "/dev/net/tun cannot be opened");
	if (ioctl(fd, TUNSETIFF, &ifr) < 0)
		return err_set(e, -errno, "/dev/net/tun makes no tap");
	return 0;
}

static bool try_home(int (*inside)(struct err *e), char *why, size_t size)
{
	struct err e = ERR_INIT;

	if (launch_try(inside, &e) == 0)
		return true;
	(void)snprintf(why, size, "%s", e.text);
	return false;
}

/* The sizes of the user's ranges: lines NAME-OR-ID:START:COUNT. */
static uint64_t count_ids(const char *path)
{
	const struct passwd *pw = getpwuid(geteuid());
	_cleanup_buf_ struct buf text = {0};
	char uid[NUM_TEXT_MAX], *at, *line;
	uint64_t sum = 0, n;

	read_text(path, &text);
	(void)snprintf(uid, sizeof(uid), "%u", (unsigned)geteuid());
	at = text.data;
	while ((line = strsep(&at, "\n"))) {
		char *who = strsep(&line, ":"), *start = strsep(&line, ":");

		if (start && line && parse_u64(line, &n) == 0 && n <= UINT32_MAX &&
		    (strcmp(who, uid) == 0 || (pw && strcmp(who, pw->pw_name) == 0)))
			sum += n;
	}
	return sum;
}

static void probe_ids(struct doctor_facts *f)
{
	_cleanup_free_ char *u = paths_program("newuidmap"), *g = paths_program("newgidmap");

	f->root = geteuid() == 0;
	f->subuids = count_ids("/etc/subuid");
	f->subgids = count_ids("/etc/subgid");
	f->id_tools = u && g;
}

/* Controllers that this user could hand out below its own group: "0::/user.slice/..." names it. */
static void probe_cgroup(struct doctor_facts *f)
{
	_cleanup_buf_ struct buf own = {0}, controllers = {0};
	_cleanup_free_ char *dir = NULL, *file = NULL;
	const char *at;

	read_text("/proc/self/cgroup", &own);
	at = strncmp(buf_str(&own), "0::/", 4) == 0 ? own.data : strstr(buf_str(&own), "\n0::/");
	at = at ? strchr(at, '/') : NULL;
	if (!at || asprintf(&dir, "/sys/fs/cgroup%.*s", (int)strcspn(at, "\n"), at) < 0) {
		dir = NULL;
		return;
	}
	if (access(dir, W_OK) < 0 || asprintf(&file, "%s/cgroup.controllers", dir) < 0) {
		file = NULL;
		return;
	}
	read_text(file, &controllers);
	(void)text_escape_line(buf_str(&controllers), strcspn(buf_str(&controllers), "\n"),
			       f->cgroup, sizeof(f->cgroup));
}

static void probe_room(struct doctor_facts *f)
{
	_cleanup_free_ char *cache = NULL;
	_cleanup_buf_ struct buf text = {0};
	struct err e = ERR_INIT;
	char kib[NUM_TEXT_MAX];
	struct statvfs st;
	const char *at;
	uint64_t n;

	if (paths_cache(&cache, &e) < 0) {
		(void)snprintf(f->cache, sizeof(f->cache), "%s", e.text);
	} else {
		(void)text_escape_line(cache, strlen(cache), f->cache, sizeof(f->cache));
		if (statvfs(cache, &st) == 0)
			f->cache_free = (uint64_t)st.f_bavail * st.f_frsize;
	}
	read_text("/proc/meminfo", &text);
	at = strstr(buf_str(&text), "MemAvailable:");
	if (!at)
		return;
	at += strcspn(at, " ");
	at += strspn(at, " ");
	(void)snprintf(kib, sizeof(kib), "%.*s", (int)strspn(at, "0123456789"), at);
	if (parse_u64(kib, &n) == 0)
		f->memory = n * KIB;
}

static bool have(const char *program)
{
	_cleanup_free_ char *path = paths_program(program);

	return path != NULL;
}

void doctor_probe(struct doctor_facts *ret)
{
	*ret = (struct doctor_facts){0};
	isolation_probe("x86_64", &ret->isolation);
	probe_qemu(ret);
	ret->userns = try_home(NULL, ret->userns_why, sizeof(ret->userns_why));
	if (ret->userns)
		ret->tun = try_home(make_tap, ret->tun_why, sizeof(ret->tun_why));
	else
		(void)snprintf(ret->tun_why, sizeof(ret->tun_why), "no user namespace");
	probe_ids(ret);
	probe_cgroup(ret);
	probe_room(ret);
	ret->mke2fs = have("mke2fs");
	ret->mmdebstrap = have("mmdebstrap");
	ret->apt = have("apt-get") && have("dpkg-deb");
}
