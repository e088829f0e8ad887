/* SPDX-License-Identifier: GPL-3.0-or-later */
/* renew INPUT SECONDS SEED: makes a restored worker one of its own.
 *
 * All workers of a template have the same past. This takes the files of the worker's own input disk
 * to /run, sets the clock, gives the kernel's random numbers a seed that no other worker has, and
 * makes a machine id from them.
 *
 * It comes with each build, into images of any age, so it needs nothing of them: no libc, no
 * dynamic linker, a few system calls. And it is one program: after a restore every instruction has
 * to be translated anew under emulation, where a shell with tar, date and rm took 0.3 s of it.
 */
#include "sys.h"

#include <linux/random.h>

#define SEED_SIZE 32
#define HEAD_MAX  (1024 * 1024) /* of the input disk: the files for the driver */
#define BLOCK	  512
#define ID_SIZE	  16

#define CLOCK_REALTIME 0

static char head[HEAD_MAX];

/* The archive's header fields (ustar, POSIX.1-2017 pax): name 100, mode 8, ..., size 12 at 124. */
static long octal(const char *p, int n)
{
	long v = 0;

	for (int i = 0; i < n && p[i] >= '0' && p[i] <= '7'; i++)
		v = v * 8 + (p[i] - '0');
	return v;
}

static int write_file(const char *name, long mode, const char *data, long size)
{
	char path[5 + 100 + 1] = "/run/";
	long fd, done;

	for (int i = 0; i < 100; i++)
		path[5 + i] = name[i];
	/* these are what runs now, and part of what a template is known by */
	if (same(path, "/run/contractor/driver") || same(path, "/run/contractor/renew") ||
	    same(path, "/run/contractor/changes"))
		return 0;
	fd = open_file(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
	if (fd < 0)
		return -1;
	for (long at = 0; at < size; at += done) {
		done = call(__NR_write, fd, (long)(data + at), size - at, 0);
		if (done <= 0)
			return -1;
	}
	return (int)call(__NR_close, fd, 0, 0, 0);
}

/* Reads on while a header or the data behind it is not complete: most heads are a few KiB. */
static int unpack(const char *disk)
{
	long fd = open_file(disk, O_RDONLY, 0), have = 0, at = 0, size, n;

	if (fd < 0)
		return -1;
	for (;;) {
		const char *h = head + at;

		size = have >= at + BLOCK ? octal(h + 124, 12) : 0;
		if (have < at + BLOCK || have < at + BLOCK + size) {
			if (have == HEAD_MAX)
				return -1;
			n = HEAD_MAX - have < 16384 ? HEAD_MAX - have : 16384;
			n = call(__NR_read, fd, (long)(head + have), n, 0);
			if (n <= 0)
				return -1;
			have += n;
			continue;
		}
		if (!h[0])
			return (int)call(__NR_close, fd, 0, 0, 0);
		if ((h[156] == '0' || !h[156]) &&
		    write_file(h, octal(h + 100, 8), h + BLOCK, size) < 0)
			return -1;
		at += BLOCK + (size + BLOCK - 1) / BLOCK * BLOCK;
	}
}

static int set_clock(const char *text)
{
	long now[2] = {0, 0};

	for (; *text >= '0' && *text <= '9'; text++)
		now[0] = now[0] * 10 + (*text - '0');
	return *text || !now[0] ? -1
				: (int)call(__NR_clock_settime, CLOCK_REALTIME, (long)now, 0, 0);
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* As rand_pool_info, whose last member has no size. */
static struct {
	int entropy_count, buf_size;
	unsigned char buf[SEED_SIZE];
} pool = {SEED_SIZE * 8, SEED_SIZE, {0}};

/*
 * To write to /dev/urandom would not do: the kernel mixes that in, and goes on with the old key
 * until it is time for the next (random(4)). RNDADDENTROPY credits the seed; RNDRESEEDCRNG takes a
 * new key at once, and with it every buffered number is void.
 */
static int reseed(const char *hex)
{
	long fd;

	for (int i = 0; i < SEED_SIZE; i++) {
		int high = digit(hex[2 * i]), low = high < 0 ? -1 : digit(hex[2 * i + 1]);

		if (low < 0)
			return -1;
		pool.buf[i] = (unsigned char)(high << 4 | low);
	}
	fd = open_file("/dev/urandom", O_RDWR, 0);
	if (fd < 0 || call(__NR_ioctl, fd, (long)RNDADDENTROPY, (long)&pool, 0) < 0 ||
	    call(__NR_ioctl, fd, (long)RNDRESEEDCRNG, 0, 0) < 0)
		return -1;
	return (int)call(__NR_close, fd, 0, 0, 0);
}

static int machine_id(void)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char id[ID_SIZE] = {0};
	char text[2 * ID_SIZE + 1];
	long fd;

	if (call(__NR_getrandom, (long)id, ID_SIZE, 0, 0) != ID_SIZE)
		return -1;
	for (int i = 0; i < ID_SIZE; i++) {
		text[2 * i] = digits[id[i] >> 4];
		text[2 * i + 1] = digits[id[i] & 15];
	}
	text[2 * ID_SIZE] = '\n';
	fd = open_file("/etc/machine-id", O_WRONLY | O_CREAT | O_TRUNC, 0444);
	if (fd < 0 || call(__NR_write, fd, (long)text, sizeof(text), 0) != (long)sizeof(text))
		return -1;
	return (int)call(__NR_close, fd, 0, 0, 0);
}

static int renew(long argc, const char *const *argv)
{
	if (argc != 4)
		return fail("three arguments are needed\n");
	if (unpack(argv[1]) < 0)
		return fail("the head of the input disk cannot be unpacked\n");
	if (set_clock(argv[2]) < 0)
		return fail("the clock cannot be set\n");
	if (reseed(argv[3]) < 0)
		return fail("the random numbers cannot be reseeded\n");
	if (machine_id() < 0)
		return fail("/etc/machine-id cannot be written\n");
	return 0;
}

SYS_START(renew);
