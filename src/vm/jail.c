/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Building QEMU's root and giving up all rights: a QEMU that is taken over finds nothing to take.
 */
/*
 *	/           tmpfs, read-only at the end
 *	/kernel     copies of the image's stretches
 *	/initrd
 *	/usr, ...   the system's folders, read-only, no devices, no set-user-id
 *	/dev        null, zero, random, urandom, and kvm when it is used
 *	/etc        ld.so.cache
 *
 * No /home, /root, /tmp, /run, /proc, /sys. The network, process and IPC namespaces are empty.
 */
#include "jail.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/capability.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/io.h"

/* Any folder that every system has: the new root is mounted over it in our own namespace. */
#define BUILD_PLACE "/tmp"

#define IOPRIO_WHO_PROCESS  1
#define IOPRIO_BEST_EFFORT7 (2 << 13 | 7)

void jail_init(struct jail *j)
{
	(void)snprintf(j->uid_map, sizeof(j->uid_map), "0 %u 1\n", (unsigned)geteuid());
	(void)snprintf(j->gid_map, sizeof(j->gid_map), "0 %u 1\n", (unsigned)getegid());
	j->kernel.fd = j->initrd.fd = -1;
}

static int write_file(const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return io_write_full(fd, text, strlen(text));
}

static int map_ids(const struct jail *j, struct err *e)
{
	int r = write_file("/proc/self/setgroups", "deny");

	if (r == 0 || r == -ENOENT)
		r = write_file("/proc/self/uid_map", j->uid_map);
	if (r == 0)
		r = write_file("/proc/self/gid_map", j->gid_map);
	return r < 0 ? err_set(e, r, "the user namespace's id maps") : 0;
}

/* Read-only, without devices and set-user-id, for all that is mounted there. */
static int lock_down(const char *path, unsigned flags, uint64_t more)
{
	struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY | more};

	if (syscall(SYS_mount_setattr, AT_FDCWD, path, flags, &attr, sizeof(attr)) < 0)
		return -errno;
	return 0;
}

/* mkdir -p for `path` below the new root, which is the current folder. */
static int make_dirs(const char *path)
{
	char part[PATH_MAX];

	if ((size_t)snprintf(part, sizeof(part), ".%s", path) >= sizeof(part))
		return -ENAMETOOLONG;
	for (char *p = part + 2;; p++) {
		char c = *p;

		if (c != '/' && c != '\0')
			continue;
		*p = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return -errno;
		*p = c;
		if (c == '\0')
			return 0;
	}
}

/* A system folder, or the link that stands for it (/lib -> usr/lib); nothing where it is missing.
 */
static int add_folder(const char *path)
{
	char link[PATH_MAX], inside[PATH_MAX];
	struct stat st;
	ssize_t n;
	int r;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	(void)snprintf(inside, sizeof(inside), ".%s", path);
	if (S_ISLNK(st.st_mode)) {
		n = readlink(path, link, sizeof(link) - 1);
		if (n < 0)
			return -errno;
		link[n] = '\0';
		return symlink(link, inside) < 0 && errno != EEXIST ? -errno : 0;
	}
	if (lstat(inside, &st) == 0)
		return 0; /* below a folder that is there already */
	r = make_dirs(path);
	if (r < 0)
		return r;
	if (mount(path, inside, NULL, MS_BIND | MS_REC, NULL) < 0)
		return -errno;
	return lock_down(inside, AT_RECURSIVE, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
}

/* A single file, bound over an empty one. */
static int add_file(const char *path)
{
	char inside[PATH_MAX];
	int fd;

	if (access(path, F_OK) < 0)
		return 0;
	(void)snprintf(inside, sizeof(inside), ".%s", path);
	fd = open(inside, O_WRONLY | O_CREAT | O_CLOEXEC, 0444);
	if (fd < 0)
		return -errno;
	(void)close(fd);
	return mount(path, inside, NULL, MS_BIND, NULL) < 0 ? -errno : 0;
}

static int add_blob(const char *path, const struct vm_blob *b)
{
	char chunk[65536];
	char inside[32];
	_cleanup_close_ int fd = -1;
	uint64_t at = 0;

	if (b->fd < 0)
		return 0;
	(void)snprintf(inside, sizeof(inside), ".%s", path);
	fd = open(inside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	if (fd < 0)
		return -errno;
	while (at < b->size) {
		ssize_t n = pread(b->fd, chunk, MIN(sizeof(chunk), b->size - at),
				  (off_t)(b->offset + at));
		int r;

		if (n <= 0)
			return n < 0 ? -errno : -ENODATA;
		r = io_write_full(fd, chunk, (size_t)n);
		if (r < 0)
			return r;
		at += (uint64_t)n;
	}
	return 0;
}

static int fill_root(const struct jail *j, struct err *e)
{
	static const char *const folders[] = {"/usr",	"/bin",	   "/sbin", "/lib", "/lib32",
					      "/lib64", "/libx32", "/opt",  "/nix", "/gnu"};
	static const char *const files[] = {"/dev/null", "/dev/zero", "/dev/random", "/dev/urandom",
					    "/etc/ld.so.cache"};
	char dir[PATH_MAX];
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		r = add_folder(folders[i]);
		if (r < 0)
			return err_set(e, r, "QEMU's root: %s", folders[i]);
	}
	(void)snprintf(dir, sizeof(dir), "%s", j->program);
	r = add_folder(dirname(dir));
	if (r < 0)
		return err_set(e, r, "QEMU's root: the folder of %s", j->program);
	r = make_dirs("/dev");
	if (r == 0)
		r = make_dirs("/etc");
	for (size_t i = 0; i < ARRAY_SIZE(files) && r == 0; i++)
		r = add_file(files[i]);
	if (r == 0 && j->kvm)
		r = add_file("/dev/kvm");
	if (r < 0)
		return err_set(e, r, "QEMU's root: devices");
	r = add_blob(JAIL_KERNEL, &j->kernel);
	if (r == 0)
		r = add_blob(JAIL_INITRD, &j->initrd);
	return r < 0 ? err_set(e, r, "QEMU's root: kernel and initrd of the image") : 0;
}

static int change_root(const struct jail *j, struct err *e)
{
	int r;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("qemu", BUILD_PLACE, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=512m") < 0 ||
	    chdir(BUILD_PLACE) < 0)
		return err_set(e, -errno, "QEMU's root: tmpfs");
	r = fill_root(j, e);
	if (r < 0)
		return r;
	/* the old root ends up mounted over the new one, and is then taken off */
	if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return err_set(e, -errno, "QEMU's root: pivot_root");
	r = lock_down("/", 0, MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	return r < 0 ? err_set(e, r, "QEMU's root: read-only") : 0;
}

static int drop_capabilities(struct err *e)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {0};

	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return err_set(e, -errno, "the capability bounding set");
	}
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
	    syscall(SYS_capset, &head, none) < 0)
		return err_set(e, -errno, "capabilities");
	return 0;
}

int jail_enter(void *user_data, struct err *e)
{
	const struct jail *j = user_data;
	int r = map_ids(j, e);

	if (r == 0)
		r = change_root(j, e);
	if (r < 0)
		return r;
	if (setpriority(PRIO_PROCESS, 0, j->nice) < 0 && j->nice > 0)
		return err_set(e, -errno, "priority");
	/* best effort, lowest level: a desktop's reads and writes go first */
	(void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_BEST_EFFORT7);
	return drop_capabilities(e);
}
