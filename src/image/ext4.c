/* SPDX-License-Identifier: GPL-3.0-or-later */
/* mke2fs -d, with a size that is found by measuring the folder and trying. */
#include "ext4.h"

#include <errno.h>

#include "base/num.h"

#define BLOCK	   4096ULL
#define INODE_SIZE 256ULL
#define TRIES	   4

/* Blocks and inodes of the tree, in two lines. */
static int measure(struct sandbox *sandbox, const char *tree, uint64_t *ret_blocks,
		   uint64_t *ret_inodes, struct err *e)
{
	const char *const argv[] = {"sh", "-c",
				    "du -s -B 4096 -- \"$0\" | cut -f 1; du -s --inodes -- \"$0\" "
				    "| cut -f 1",
				    tree, NULL};
	_cleanup_buf_ struct buf out = {0};
	char *second;
	int r = sandbox_run(sandbox, argv, -1, &out, 4096, e);

	if (r < 0)
		return r;
	second = out.data ? strchr(out.data, '\n') : NULL;
	if (!second)
		return err_set(e, -EIO, "du: cannot measure the tree");
	*second++ = '\0';
	second[strcspn(second, "\n")] = '\0';
	if (parse_u64(out.data, ret_blocks) < 0 || parse_u64(second, ret_inodes) < 0)
		return err_set(e, -EIO, "du: cannot measure the tree");
	return 0;
}

static int mke2fs(const struct ext4_request *q, uint64_t blocks, uint64_t inodes, struct err *e)
{
	char n_blocks[24], n_inodes[24];
	const char *const argv[] = {
		"mke2fs",
		"-q",
		"-F",
		"-t",
		"ext4",
		"-b",
		"4096",
		"-I",
		"256",
		"-m",
		"0",
		/* no journal: the worker mounts it read-only */
		"-O",
		"^has_journal,^resize_inode,^metadata_csum",
		"-L",
		"contractor",
		"-E",
		"root_owner=0:0,nodiscard",
		"-N",
		n_inodes,
		"-d",
		q->tree,
		"/proc/self/fd/3",
		n_blocks,
		NULL,
	};

	(void)snprintf(n_blocks, sizeof(n_blocks), "%llu", (unsigned long long)blocks);
	(void)snprintf(n_inodes, sizeof(n_inodes), "%llu", (unsigned long long)inodes);
	if (ftruncate(q->fd, 0) < 0 || ftruncate(q->fd, (off_t)(blocks * BLOCK)) < 0)
		return err_errno(e, -errno, "%s: cannot make a file of that size", q->dir);
	return sandbox_run(q->sandbox, argv, q->fd, NULL, 0, e);
}

/* Finds a size that is large enough: what du counts is near what ext4 takes, but not the same. */
int ext4_make(const struct ext4_request *q, uint64_t *ret_size, struct err *e)
{
	uint64_t used = 0, inodes = 0, blocks, max = q->max_size / BLOCK;
	int r;

	r = measure(q->sandbox, q->tree, &used, &inodes, e);
	if (r < 0)
		return r;
	inodes += inodes / 64 + 64;
	blocks = used + used / 50 + inodes * INODE_SIZE / BLOCK + 2048;
	if (used > max)
		return err_set(e, -ENOSPC,
			       "the packages take %llu MiB, the image may have %llu MiB; give "
			       "--size a larger value",
			       (unsigned long long)(used * BLOCK / MIB),
			       (unsigned long long)(q->max_size / MIB));
	if (sandbox_space(q->dir) < used * BLOCK)
		return err_set(e, -ENOSPC, "%s: %llu MiB are free, the image takes %llu MiB",
			       q->dir, (unsigned long long)(sandbox_space(q->dir) / MIB),
			       (unsigned long long)(used * BLOCK / MIB));
	for (int tries = 0;; tries++) {
		blocks = MIN(blocks, max);
		r = mke2fs(q, blocks, inodes, e);
		if (r != -ECHILD || blocks == max || tries == TRIES)
			break;
		blocks += blocks / 8;
	}
	if (r == 0)
		*ret_size = blocks * BLOCK;
	return r;
}
