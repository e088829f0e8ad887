/* SPDX-License-Identifier: GPL-3.0-or-later */
/* QEMU's empty root and lost privileges.
 *
 * The tmpfs is built on /proc: that folder is there wherever this can run at all (the user map is
 * written through it), and nothing in it is needed any more once the map is written.
 */
#include "jail.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/io.h"
#include "filter.h"
#include "memory.h"
#include "walls.h"

#define NEW_ROOT "/proc"
#define INNER_ID 1000 /* not 0: exec then gives no capability, whatever else is forgotten */

#define IOPRIO_WHO_PROCESS 1
/* class and level; see ioprio_set(2) */
static const int ioprio[_VM_IO_MAX] = {
	[VM_IO_LOW] = 2 << 13 | 7,
	[VM_IO_IDLE] = 3 << 13,
	[VM_IO_NORMAL] = 0,
};

/* glibc 2.36 has them in sys/mount.h, which clashes with linux/mount.h in 2.35 and before. */
static int set_attr(const char *path, unsigned flags, uint64_t attr)
{
	struct mount_attr ma = {.attr_set = attr};

	return (int)syscall(SYS_mount_setattr, AT_FDCWD, path, flags, &ma, sizeof(ma));
}

static int write_text(const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return io_write_full(fd, text, strlen(text));
}

static int map_ids(const struct jail *s, unsigned inside, struct err *e)
{
	char text[64];
	int r;

	(void)snprintf(text, sizeof(text), "%u %u 1\n", inside, s->uid);
	r = write_text("/proc/self/uid_map", text);
	if (r < 0)
		return err_set(e, r, "cannot write its user map in /proc/self/uid_map");
	/* the kernel wants the groups frozen before an unprivileged process maps one */
	r = write_text("/proc/self/setgroups", "deny");
	if (r < 0)
		return err_set(e, r, "cannot write /proc/self/setgroups");
	(void)snprintf(text, sizeof(text), "%u %u 1\n", inside, s->gid);
	r = write_text("/proc/self/gid_map", text);
	if (r < 0)
		return err_set(e, r, "cannot write its group map in /proc/self/gid_map");
	return 0;
}

/*
 * No user namespace below this one: in one of its own a QEMU that is taken over would have every
 * capability over it, and with them much more of the kernel to attack. Where /proc/sys is
 * read-only, as in some containers, this cannot be had.
 */
static void forbid_namespaces(void)
{
	(void)write_text("/proc/sys/user/max_user_namespaces", "0\n");
}

static int mount_root(const struct jail *s, struct err *e)
{
	char options[96];

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_set(e, -errno, "cannot make its mounts private");
	(void)snprintf(options, sizeof(options), "mode=0755,nr_inodes=4096,size=%" PRIu64,
		       s->kernel.size + s->initrd.size + 4 * (uint64_t)MIB);
	if (mount("tmpfs", NEW_ROOT, "tmpfs", MS_NOSUID | MS_NODEV, options) < 0)
		return err_set(e, -errno, "cannot mount a tmpfs as its root");
	return 0;
}

/* Makes the folders that lead to path in the new root. */
static int make_parents(const char *path)
{
	char part[PATH_MAX];
	size_t base = strlen(NEW_ROOT);

	if ((size_t)snprintf(part, sizeof(part), NEW_ROOT "%s", path) >= sizeof(part))
		return -ENAMETOOLONG;
	for (char *p = part + base + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	return 0;
}

/* Shows a folder or file of the outside at the same place inside, for reading. */
static int show(const char *path, bool device, struct err *e)
{
	char at[PATH_MAX];
	struct stat st;
	int r = make_parents(path);

	if (r < 0 || (size_t)snprintf(at, sizeof(at), NEW_ROOT "%s", path) >= sizeof(at))
		return err_set(e, r < 0 ? r : -ENAMETOOLONG, "cannot make %s in its root", path);
	if (stat(path, &st) < 0)
		return err_set(e, -errno, "%s", path);
	if (S_ISDIR(st.st_mode)) {
		if (mkdir(at, 0755) < 0 && errno != EEXIST)
			return err_set(e, -errno, "cannot make %s in its root", path);
	} else if (mknod(at, S_IFREG | 0600, 0) < 0) {
		return err_set(e, -errno, "cannot make %s in its root", path);
	}
	/* recursive: the kernel refuses to uncover what a mount of the outside hides */
	if (mount(path, at, NULL, MS_BIND | MS_REC, NULL) < 0)
		return err_set(e, -errno, "cannot show %s in its root", path);
	if (set_attr(at, AT_RECURSIVE,
		     MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | (device ? 0 : MOUNT_ATTR_NODEV)) < 0)
		return err_set(e, -errno, "cannot make %s read-only in its root", path);
	return 0;
}

/* A top folder: the same symlink where it is one (merged /usr), else shown; absent is fine. */
static int show_top(const char *path, struct err *e)
{
	char target[PATH_MAX], at[64];
	ssize_t n = readlink(path, target, sizeof(target) - 1);

	if (n < 0 && errno == ENOENT)
		return 0;
	if (n < 0)
		return show(path, false, e);
	target[n] = '\0';
	(void)snprintf(at, sizeof(at), NEW_ROOT "%s", path);
	return symlink(target, at) < 0 ? err_set(e, -errno, "cannot make %s in its root", path) : 0;
}

static bool under(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	return strncmp(path, folder, n) == 0 && path[n] == '/';
}

/* A program that lives outside /usr brings its folder, and for PREFIX/bin its share and lib too. */
static int show_program(const char *program, struct err *e)
{
	static const char *const beside[] = {"share", "lib", "lib64"};
	char folder[PATH_MAX], path[PATH_MAX + 8];
	char *slash;
	int r;

	if (under(program, "/usr") || under(program, "/bin"))
		return under(program, "/usr") ? 0 : show("/bin", false, e);
	if (under(program, "/opt") || under(program, "/nix"))
		return show(under(program, "/opt") ? "/opt" : "/nix", false, e);
	(void)snprintf(folder, sizeof(folder), "%s", program);
	*strrchr(folder, '/') = '\0';
	r = show(folder, false, e);
	slash = strrchr(folder, '/');
	if (r < 0 || !slash || strcmp(slash, "/bin") != 0)
		return r;
	*slash = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(beside); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", folder, beside[i]);
		if (access(path, F_OK) == 0) {
			r = show(path, false, e);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

static int copy_blob(const struct vm_blob *b, const char *path, struct err *e)
{
	_cleanup_close_ int out = -1;
	off_t at = (off_t)b->offset, end = (off_t)(b->offset + b->size);
	char name[64];

	if (b->fd < 0)
		return 0;
	(void)snprintf(name, sizeof(name), NEW_ROOT "%s", path);
	out = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
	if (out < 0)
		return err_set(e, -errno, "cannot make %s in its root", path);
	while (at < end) {
		ssize_t n = sendfile(out, b->fd, &at, (size_t)(end - at));

		if (n < 0)
			return err_set(e, -errno, "cannot copy %s from the image", path);
		if (n == 0)
			return err_set(e, -ENODATA, "the image ends inside its %s", path + 1);
	}
	return 0;
}

static int fill_root(const struct jail *s, struct err *e)
{
	static const char *const top[] = {"/usr", "/lib", "/lib32", "/lib64", "/libx32"};
	static const char *const dev[] = {"/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(top) && r == 0; i++)
		r = show_top(top[i], e);
	if (r == 0)
		r = show_program(s->program, e);
	if (r == 0 && access("/etc/ld.so.cache", R_OK) == 0)
		r = show("/etc/ld.so.cache", false, e);
	for (size_t i = 0; i < ARRAY_SIZE(dev) && r == 0; i++)
		r = show(dev[i], true, e);
	if (r == 0 && s->kvm && access("/dev/kvm", F_OK) == 0)
		r = show("/dev/kvm", true, e);
	if (r == 0)
		r = copy_blob(&s->kernel, JAIL_KERNEL, e);
	if (r == 0)
		r = copy_blob(&s->initrd, JAIL_INITRD, e);
	return r;
}

static int change_root(struct err *e)
{
	if (set_attr(NEW_ROOT, 0, MOUNT_ATTR_RDONLY) < 0)
		return err_set(e, -errno, "cannot make its root read-only");
	if (chdir(NEW_ROOT) < 0)
		return err_set(e, -errno, "cannot enter its root");
	if (syscall(SYS_pivot_root, ".", ".") == 0) {
		/* the old root now lies on the new one */
		if (umount2(".", MNT_DETACH) < 0)
			return err_set(e, -errno, "cannot take away the old root");
	} else if (errno != EINVAL || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0) {
		/* EINVAL: the old root is an initramfs, which can only be covered */
		return err_set(e, -errno, "cannot change its root");
	}
	if (chdir("/") < 0)
		return err_set(e, -errno, "cannot enter its root");
	return 0;
}

static int drop_capabilities(struct err *e)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

	for (unsigned long cap = 0; prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0; cap++)
		;
	if (errno != EINVAL) /* which says that there is no capability of that number */
		return err_set(e, -errno, "cannot drop the bounding set");
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return err_set(e, -errno, "cannot clear the ambient capabilities");
	if (syscall(SYS_capset, &head, none) < 0)
		return err_set(e, -errno, "cannot drop the capabilities");
	return 0;
}

int jail_enter(void *jail, struct err *e)
{
	const struct jail *s = jail;
	int r = map_ids(s, INNER_ID, e);

	forbid_namespaces();
	if (r == 0)
		r = mount_root(s, e);
	if (r == 0)
		r = fill_root(s, e);
	if (r == 0)
		r = change_root(e);
	if (r == 0 && sethostname("worker", 6) < 0)
		r = err_set(e, -errno, "cannot set its host name");
	/* never up again: the user may have started all of it with a lower one */
	if (r == 0 && getpriority(PRIO_PROCESS, 0) < s->nice &&
	    setpriority(PRIO_PROCESS, 0, s->nice) < 0)
		r = err_set(e, -errno, "cannot set its priority");
	/* only now: the files of the root are none of the worker's memory */
	if (r == 0 && s->cgroup > 0 && write(s->cgroup, "0", 1) != 1)
		r = err_set(e, -errno, "cannot enter its cgroup");
	if (r < 0)
		return r;
	/* a desktop's reads and writes go first; where that cannot be had, they do not */
	(void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, ioprio[s->io]);
	r = s->threads ? vm_limit_threads(s->threads) : 0;
	if (r < 0)
		return err_set(e, r, "cannot limit its threads");
	r = drop_capabilities(e);
	if (r < 0)
		return r;
	r = vm_filter(s->memory);
	if (r >= 0 && s->memory)
		r = vm_memory_send(s->listener_to, r);
	return r < 0 ? err_set(e, r, "cannot filter its system calls") : 0;
}

/* A /proc of our process namespace, for the id maps of QEMU's jail and the memory that QEMU uses.
 */
static int mount_proc(struct err *e)
{
	if (mkdir(NEW_ROOT "/proc", 0555) < 0 ||
	    mount("proc", NEW_ROOT "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return err_set(e, -errno,
			       "cannot mount its /proc (a container that masks its own does not "
			       "allow that)");
	return 0;
}

int jail_home(void *jail, struct err *e)
{
	const struct jail *s = jail;
	int r = map_ids(s, 0, e);

	if (r == 0)
		r = mount_root(s, e);
	if (r == 0)
		r = fill_root(s, e);
	if (r == 0 && s->qemu && !under(s->qemu, "/usr"))
		r = show_program(s->qemu, e);
	if (r == 0 && access("/dev/net/tun", F_OK) == 0)
		r = show("/dev/net/tun", true, e);
	if (r == 0)
		r = mount_proc(e);
	if (r == 0)
		r = change_root(e);
	if (r == 0 && sethostname("manager", 7) < 0)
		r = err_set(e, -errno, "cannot set its host name");
	return r;
}
