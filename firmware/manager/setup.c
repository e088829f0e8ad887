/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Setting up the manager VM; disks and port are told apart by serial and name, never by order. */
#include "setup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/io.h"

#define LIST_MAX	   (64 * KIB)
#define DEVICE_DEADLINE_MS 10000
#define DEVICE_POLL_MS	   5
#define UEVENT_LOST_MS	   1000 /* looks again, should one have been lost */
#define NAME_LEN	   64
#define BLOCKS		   "/sys/block"

int setup_mounts(struct err *e)
{
	static const struct {
		const char *type, *where, *options;
		unsigned long flags;
	} mounts[] = {
		{"proc", "/proc", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC},
		{"sysfs", "/sys", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC},
		{"devtmpfs", "/dev", "mode=755", MS_NOSUID | MS_NOEXEC},
		{"tmpfs", "/tmp", "mode=1777", MS_NOSUID | MS_NODEV},
		{"tmpfs", "/run", "mode=755", MS_NOSUID | MS_NODEV},
	};

	/* the same files by a mount that, unlike the first one, has a parent */
	if (mount("/", "/tmp", NULL, MS_BIND, NULL) < 0 || chdir("/tmp") < 0 ||
	    mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
		return err_errno(e, -errno, "cannot move the root");
	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++) {
		if (mount(mounts[i].type, mounts[i].where, mounts[i].type, mounts[i].flags,
			  mounts[i].options) < 0)
			return err_errno(e, -errno, "cannot mount %s", mounts[i].where);
	}
	return 0;
}

static int load_module(const char *name, bool optional, struct err *e)
{
	_cleanup_close_ int fd = -1;
	char path[NAME_LEN + 16];

	(void)snprintf(path, sizeof(path), "/modules/%s.ko", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(e, -errno, "%s: cannot open", path);
	if (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST && !optional)
		return err_errno(e, -errno, "the kernel module %s does not load", name);
	return 0;
}

/* Of use, and worth the 1.3 s that they take under emulation, where the host says it has them. */
static bool is_unused(const char *name, bool kvm)
{
	return strncmp(name, "kvm", 3) == 0 && !kvm;
}

/* What the host says by a word on the kernel's command line. */
static int was_given(const char *word, bool *ret, struct err *e)
{
	_cleanup_buf_ struct buf cmdline = {0};
	int r = io_read_file(AT_FDCWD, "/proc/cmdline", LIST_MAX, &cmdline, e);

	if (r == 0)
		*ret = strstr(buf_str(&cmdline), word) != NULL;
	return r;
}

int setup_modules(struct err *e)
{
	_cleanup_buf_ struct buf list = {0};
	int r = io_read_file(AT_FDCWD, "/modules/order", LIST_MAX, &list, e);
	char *at = list.data, *line;
	bool kvm = false;

	if (r == 0)
		r = was_given("contractor.kvm", &kvm, e);
	while (r == 0 && (line = strsep(&at, "\n"))) {
		bool optional = *line == '?';

		if (line[optional] && !is_unused(line + optional, kvm))
			r = load_module(line + optional, optional, e);
	}
	return r;
}

int setup_processors(struct err *e)
{
	for (unsigned i = 1;; i++) {
		_cleanup_close_ int fd = -1;
		char path[NAME_LEN];

		(void)snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/online", i);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0 && errno == ENOENT)
			return 0;
		if (fd < 0 || write(fd, "1", 1) < 0)
			return err_errno(e, -errno, "%s: cannot bring the processor up", path);
	}
}

/* The first line of a file below folder `dir`; "" where it cannot be read. */
static void read_line(int dir, const char *path, char out[NAME_LEN])
{
	_cleanup_close_ int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : io_read_full(fd, out, NAME_LEN - 1);

	out[n > 0 ? n : 0] = '\0';
	out[strcspn(out, "\n")] = '\0';
}

/* The device in /dev of the entry of `class` whose file `key` says `value`; -ENOENT: none. */
static int open_device(const char *class, const char *key, const char *value, int flags)
{
	DIR *d = opendir(class);
	struct dirent *ent;
	int fd = -ENOENT;

	while (d && fd == -ENOENT && (ent = readdir(d))) {
		char path[NAME_LEN * 2], text[NAME_LEN];

		if (ent->d_name[0] == '.' || strlen(ent->d_name) >= NAME_LEN)
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", ent->d_name, key);
		read_line(dirfd(d), path, text);
		if (strcmp(text, value) != 0)
			continue;
		(void)snprintf(path, sizeof(path), "/dev/%s", ent->d_name);
		fd = open(path, flags | O_CLOEXEC | O_NOCTTY);
		if (fd < 0) /* of a disk that is only just coming the node leads nowhere */
			fd = errno == ENXIO ? -ENOENT : -errno;
	}
	if (d)
		(void)closedir(d);
	return fd;
}

static int wait_device(const char *class, const char *key, const char *value, int flags,
		       uint64_t end, int *ret, struct err *e)
{
	int fd;

	/* the kernel makes the node a little after the entry in sysfs: ENOENT all the same */
	while ((fd = open_device(class, key, value, flags)) == -ENOENT && io_now_ms() < end)
		(void)poll(NULL, 0, DEVICE_POLL_MS);
	if (fd == -ENOENT)
		return err_set(e, fd, "no %s with the %s \"%s\" within %d s",
			       flags & O_NONBLOCK ? "port" : "disk", key, value,
			       DEVICE_DEADLINE_MS / 1000);
	if (fd < 0)
		return err_errno(e, fd, "cannot open the device \"%s\"", value);
	*ret = fd;
	return 0;
}

/* The port counts as hung up until the host's word that it is open has come through. */
int setup_wait_host(int port, struct err *e)
{
	uint64_t end = io_now_ms() + DEVICE_DEADLINE_MS;
	struct pollfd p = {.fd = port};

	while (poll(&p, 1, 0) < 0 || (p.revents & POLLHUP)) {
		if (io_now_ms() >= end)
			return err_set(e, -ETIMEDOUT, "the host does not listen to the port");
		(void)poll(NULL, 0, DEVICE_POLL_MS);
	}
	return 0;
}

int setup_loopback(struct err *e)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq rq = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &rq) < 0)
		return err_errno(e, -errno, "cannot set the loopback interface up");
	return 0;
}

/* Until the image comes, however long that is; its serial says whether a layer comes too. */
static int wait_build(struct devices *d, bool *ret_layer, struct err *e)
{
	struct sockaddr_nl a = {.nl_family = AF_NETLINK, .nl_groups = 1};
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
					NETLINK_KOBJECT_UEVENT);
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char event[4096];

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return err_errno(e, -errno, "cannot watch for disks");
	(void)dprintf(STDERR_FILENO, "%s\n", SETUP_WAITS);
	for (;;) {
		d->image = open_device(BLOCKS, "serial", "image", O_RDONLY);
		*ret_layer = d->image == -ENOENT;
		if (*ret_layer)
			d->image = open_device(BLOCKS, "serial", "image-below", O_RDONLY);
		if (d->image != -ENOENT)
			break;
		/* the kernel tells of new devices */
		(void)poll(&p, 1, UEVENT_LOST_MS);
		while (recv(fd, event, sizeof(event), 0) > 0)
			;
	}
	return d->image < 0 ? err_errno(e, d->image, "cannot open the image") : 0;
}

int setup_devices(struct devices *ret, struct err *e)
{
	uint64_t end = io_now_ms() + DEVICE_DEADLINE_MS;
	bool layer = false, waits = false;
	int r = wait_device("/sys/class/virtio-ports", "name", "contractor.manager",
			    O_RDWR | O_NONBLOCK, end, &ret->port, e);

	if (r == 0)
		r = setup_wait_host(ret->port, e);
	if (r == 0)
		r = wait_device("/sys/class/virtio-ports", "name", "contractor.dial",
				O_RDWR | O_NONBLOCK, end, &ret->dial, e);
	if (r == 0)
		r = was_given("contractor.layer", &layer, e);
	if (r == 0)
		r = was_given(SETUP_WAIT, &waits, e);
	if (r == 0 && waits) {
		r = wait_build(ret, &layer, e);
		end = io_now_ms() + DEVICE_DEADLINE_MS;
	} else if (r == 0) {
		r = wait_device(BLOCKS, "serial", "image", O_RDONLY, end, &ret->image, e);
	}
	if (r == 0)
		r = wait_device(BLOCKS, "serial", "input", O_RDONLY, end, &ret->input, e);
	if (r == 0)
		r = wait_device(BLOCKS, "serial", "output", O_RDWR, end, &ret->output, e);
	if (r == 0)
		r = wait_device(BLOCKS, "serial", "scratch", O_RDWR, end, &ret->scratch, e);
	if (r == 0 && layer)
		r = wait_device(BLOCKS, "serial", "layer", O_RDONLY, end, &ret->layer, e);
	return r;
}
