/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What this side knows of ext4: mke2fs, and a few members of super block and group descriptors. */
/*
 * Documentation/filesystems/ext4/globals.rst. Numbers are little-endian.
 *
 *	super block, at byte 1024	group descriptor, in the block behind the super block's
 *	0x00  inodes			0x12  flags; 1: no inode was ever used
 *	0x0c  free blocks		0x1c  inodes at the end that were never used
 *	0x14  first data block
 *	0x18  log2(block size) - 10
 *	0x28  inodes in a group
 *	0x38  magic
 *	0x60  incompatible features; 0x80: 64bit, 0x10: meta_bg
 *	0x64  read-only compatible features; 0x10: uninit_bg, 0x400: metadata_csum
 *	0xfe  size of a group descriptor, with 64bit
 *	0x158 free blocks, high
 */
#include "scratch.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "base/child.h"

#define FORMAT_S   300
#define GROUPS_MAX (1U << 20) /* 128 TiB in blocks of 4 KiB */

int scratch_format(int fd, uint64_t size, struct err *e)
{
	static const char *const places[] = {"/sbin/mke2fs", "/usr/sbin/mke2fs", "mke2fs"};
	const struct child_fd fds[] = {{fd, 3}};
	char kib[32];
	const char *argv[] = {"mke2fs", "-q", "-F", "-t", "ext4",
			      /* no journal: the disk is thrown away, a crash loses nothing */
			      "-O", "^has_journal,^resize_inode,^metadata_csum,uninit_bg", "-E",
			      "lazy_itable_init=1,nodiscard,root_owner=0:0", "-m", "0", "-i",
			      "8192", "/proc/self/fd/3", kib, NULL};
	struct child_spec spec = {.argv = argv, .fds = fds, .n_fds = 1, .no_new_privs = 1};
	pid_t pid;
	int r;

	(void)snprintf(kib, sizeof(kib), "%" PRIu64 "k", size / 1024);
	spec.path = places[ARRAY_SIZE(places) - 1];
	for (size_t i = 0; i < ARRAY_SIZE(places) - 1; i++) {
		if (access(places[i], X_OK) == 0) {
			spec.path = places[i];
			break;
		}
	}
	pid = child_spawn(&spec, e);
	if (pid == -ENOENT)
		return err_set(e, -ENOENT, "mke2fs is missing; install e2fsprogs");
	if (pid < 0)
		return (int)pid;
	r = child_finish(pid, "mke2fs", -1, NULL, 0, FORMAT_S, e);
	return r < 0 ? err_wrap(e, "cannot format the scratch disk") : 0;
}

static uint32_t get32(const unsigned char *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof(v));
	return le32toh(v);
}

static uint16_t get16(const unsigned char *at)
{
	uint16_t v;

	memcpy(&v, at, sizeof(v));
	return le16toh(v);
}

static bool read_super(int fd, unsigned char sb[1024])
{
	return pread(fd, sb, 1024, 1024) == 1024 && get16(sb + 0x38) == 0xef53 &&
	       get32(sb + 0x18) <= 6;
}

int scratch_full_mark(int fd, uint64_t *ret, struct err *e)
{
	unsigned char sb[1024];
	uint64_t capacity;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(e, -errno, "cannot read the scratch disk back");
	if (!read_super(fd, sb))
		return err_set(e, -EIO, "mke2fs made something else than an ext4 file system");
	capacity = get32(sb + 0x0c);
	if (get32(sb + 0x60) & 0x80)
		capacity |= (uint64_t)get32(sb + 0x158) << 32;
	capacity <<= 10 + get32(sb + 0x18);
	/*
	 * The last twentieth is left out: the guest may drop what is still dirty in its memory,
	 * and inode tables stay holes when they are unused.
	 */
	*ret = (uint64_t)st.st_blocks * 512 + capacity / 20 * 19;
	return 0;
}

bool scratch_inodes_gone(int fd)
{
	unsigned char sb[1024], group[64];
	uint32_t inodes, in_group, size, n;
	uint64_t at;

	if (!read_super(fd, sb))
		return false;
	inodes = get32(sb);
	in_group = get32(sb + 0x28);
	size = get32(sb + 0x60) & 0x80 ? get16(sb + 0xfe) : 32;
	/* without a checksum of the descriptors the count is not kept, with meta_bg not there */
	if (!(get32(sb + 0x64) & 0x410) || get32(sb + 0x60) & 0x10 || in_group == 0 || size < 32 ||
	    size > sizeof(group))
		return false;
	n = inodes / in_group;
	at = ((uint64_t)get32(sb + 0x14) + 1) << (10 + get32(sb + 0x18));
	if (n == 0 || n > GROUPS_MAX)
		return false;
	for (uint32_t i = 0; i < n; i++, at += size) {
		if (pread(fd, group, size, (off_t)at) != (ssize_t)size || get16(group + 0x12) & 1 ||
		    get16(group + 0x1c) > 0)
			return false;
	}
	return true;
}
