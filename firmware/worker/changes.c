/* SPDX-License-Identifier: GPL-3.0-or-later */
/* changes mount DISK LAYERS | changes pack [UPPER MERGED PREFIX]: a workspace in layers.
 *
 * "mount" makes partitions of the input disk where the host has written EROFS images (LAYERS is
 * "OFFSET+SIZE,...", lowest first), and lays them on /workspace, with an overlay's upper folder on
 * the scratch disk above them. All of these are in the folder that /workspace was: from then on the
 * overlay hides them from a build that looks through all folders, or removes them. "pack" writes
 * what the build has changed to stdout; it has that folder as descriptor 6.
 *
 * Like renew it comes with each build, and is one program of few system calls, for what it costs
 * under emulation to begin one and to translate it.
 */
#include <linux/blkpg.h>
#include <linux/fs.h>
#include <stddef.h>

#include "pack.h"
#include "sys.h"

#define LAYERS_MAX 12
#define MERGED	   "/workspace"
#define UPPER	   "upper"
#define WORK	   "work"
#define PLACE	   6
#define PAGE	   4096
#define TEXT_LEN   1024
#define UTIME_OMIT 0x3ffffffeL

struct layer {
	long offset, size;
};

/* Text that grows; the callers' is bounded far below TEXT_LEN. */
static char *append(char *to, const char *s)
{
	while (*s)
		*to++ = *s++;
	*to = 0;
	return to;
}

static char *append_number(char *to, int n)
{
	char text[3] = {(char)('0' + n / 10), (char)('0' + n % 10), 0};

	return append(to, n < 10 ? text + 1 : text);
}

/* Reads a number up to `end`. What is behind it, or NULL where it is none of whole pages. */
static const char *number(const char *p, char end, long *ret)
{
	long v = 0;

	for (; *p >= '0' && *p <= '9' && v < 1L << 56; p++)
		v = v * 10 + (*p - '0');
	*ret = v;
	return v > 0 && v % PAGE == 0 && *p == end ? p + 1 : NULL;
}

/* How many there are, or -1. */
static int parse(const char *text, struct layer *layers)
{
	for (int n = 0; n < LAYERS_MAX; n++) {
		const char *p = number(text, '+', &layers[n].offset), *last;

		if (!p)
			return -1;
		last = number(p, 0, &layers[n].size);
		if (last)
			return n + 1;
		text = number(p, ',', &layers[n].size);
		if (!text)
			return -1;
	}
	return -1;
}

/* No partition table: the kernel is told, and has the device node there when it answers. */
static long add_partition(long disk, int number, const struct layer *l)
{
	struct blkpg_partition p = {.start = l->offset, .length = l->size, .pno = number};
	struct blkpg_ioctl_arg arg = {.op = BLKPG_ADD_PARTITION, .datalen = sizeof(p), .data = &p};

	return call(__NR_ioctl, disk, BLKPG, (long)&arg, 0);
}

static long mount(const char *what, const char *where, const char *type, long flags,
		  const char *options)
{
	return call6(__NR_mount, (long)what, (long)where, (long)type, flags, (long)options, 0);
}

static long make_folder(const char *path, long mode)
{
	return call(__NR_mkdirat, AT_FDCWD, (long)path, mode, 0);
}

static long mount_layer(long disk, const char *name, int n, const struct layer *l)
{
	char node[TEXT_LEN], where[64];
	long r = add_partition(disk, n, l);

	(void)append_number(append(node, name), n);
	(void)append_number(append(where, MERGED "/"), n);
	if (r >= 0)
		r = make_folder(where, 0755);
	return r < 0 ? r : mount(node, where, "erofs", MS_RDONLY, 0);
}

/* Upper is the workspace's folder from now on: with the times and the mode that it has below. */
static long make_upper(const char *below)
{
	struct stat st = {0};
	long r = call(__NR_newfstatat, AT_FDCWD, (long)below, (long)&st, 0), times[4];

	if (r < 0)
		return r;
	times[0] = 0;
	times[1] = UTIME_OMIT;
	times[2] = (long)st.st_mtime;
	times[3] = (long)st.st_mtime_nsec;
	r = make_folder(MERGED "/" UPPER, (long)st.st_mode & 07777);
	return r < 0 ? r : call(__NR_utimensat, AT_FDCWD, (long)(MERGED "/" UPPER), (long)times, 0);
}

static long lay_over(int n)
{
	static const char last[] = ",volatile";
	char options[TEXT_LEN], *p = append(options, "lowerdir="), below[64];
	long r;

	for (int i = n; i > 0; i--) {
		(void)append(append_number(append(below, MERGED "/"), i), MERGED);
		if (i == n && (r = make_upper(below)) < 0)
			return r;
		p = append(append(p, i < n ? ":" : ""), below);
	}
	p = append(p, ",upperdir=" MERGED "/" UPPER ",workdir=" MERGED "/" WORK
		      ",redirect_dir=on,index=off,metacopy=off,xino=off");
	(void)append(p, last);
	r = mount("overlay", MERGED, "overlay", 0, options);
	if (r == -EINVAL) {
		*p = 0;
		r = mount("overlay", MERGED, "overlay", 0, options);
	}
	return r;
}

static int mount_layers(const char *name, const char *text)
{
	struct layer layers[LAYERS_MAX];
	int n = parse(text, layers);
	long disk = open_file(name, O_RDONLY, 0);

	if (n < 0)
		return fail("the layers are not OFFSET+SIZE,... of whole pages\n");
	if (disk < 0 || length(name) > TEXT_LEN / 2)
		return fail("the disk with the layers cannot be opened\n");
	(void)call(__NR_umask, 0, 0, 0, 0);
	for (int i = 0; i < n; i++) {
		if (mount_layer(disk, name, i + 1, &layers[i]) < 0)
			return fail("a layer of the workspace cannot be mounted\n");
	}
	if (make_folder(MERGED "/" WORK, 0700) < 0 || lay_over(n) < 0)
		return fail("the workspace's overlay cannot be mounted\n");
	return 0;
}

static int changes(long argc, const char *const *argv)
{
	if (argc == 4 && same(argv[1], "mount"))
		return mount_layers(argv[2], argv[3]);
	if (argc == 2 && same(argv[1], "pack"))
		return pack(PLACE, UPPER, MERGED, "trusted.overlay.");
	if (argc == 5 && same(argv[1], "pack"))
		return pack(AT_FDCWD, argv[2], argv[3], argv[4]);
	return fail("usage: changes mount DISK LAYERS | changes pack [UPPER MERGED PREFIX]\n");
}

SYS_START(changes);
