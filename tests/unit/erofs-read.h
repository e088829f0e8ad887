/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A reader of EROFS images for tests, which trusts nothing and shares nothing with the writer. */
#ifndef CONTRACTOR_TESTS_EROFS_READ_H
#define CONTRACTOR_TESTS_EROFS_READ_H

#include <stdint.h>
#include <sys/stat.h>

#include "base/io.h"
#include "unit.h"

/* An image at `at` of fd, `size` bytes long. */
struct image {
	int fd;
	uint64_t at, size;
	uint64_t root;
	uint64_t inodes;
};

struct node {
	uint64_t nid, size, body, inode_at;
	int64_t mtime;
	uint32_t nsec, links, rdev, ino, mode;
	uint64_t body_len;
	uint32_t tail_len;
};

static inline void image_read(const struct image *m, uint64_t at, void *data, size_t n)
{
	ck_assert_msg(at + n <= m->size, "%lu+%zu behind the end %lu", at, n, m->size);
	ck_assert_int_eq(pread(m->fd, data, n, (off_t)(m->at + at)), (ssize_t)n);
}

static inline uint64_t number(const unsigned char *p, int n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | p[n];
	return v;
}

static inline void image_open(struct image *m, int fd, uint64_t at, uint64_t size)
{
	unsigned char s[128];

	*m = (struct image){.fd = fd, .at = at, .size = size};
	ck_assert_uint_eq(size % 4096, 0);
	image_read(m, 1024, s, sizeof(s));
	ck_assert_uint_eq(number(s, 4), 0xE0F5E1E2);
	ck_assert_uint_eq(number(s + 8, 4) & 1, 0); /* no checksum to be verified */
	ck_assert_uint_eq(s[12], 12);
	ck_assert_uint_eq(s[13], 0);
	m->root = number(s + 14, 2);
	m->inodes = number(s + 16, 8);
	ck_assert_uint_eq(number(s + 36, 4) * 4096, size);
	ck_assert_uint_eq(number(s + 40, 4), 0);
	ck_assert_uint_eq(number(s + 80, 4), 0); /* no incompatible feature */
}

static inline void image_node(const struct image *m, uint64_t nid, struct node *n)
{
	unsigned char i[64];
	unsigned int format;

	*n = (struct node){.nid = nid, .inode_at = nid * 32};
	ck_assert_uint_le(n->inode_at % 4096 + 64, 4096);
	image_read(m, n->inode_at, i, sizeof(i));
	format = (unsigned int)number(i, 2);
	ck_assert(format == 1 || format == 5);
	ck_assert_uint_eq(number(i + 2, 2), 0);
	n->mode = (uint32_t)number(i + 4, 2);
	n->size = number(i + 8, 8);
	n->rdev = (uint32_t)number(i + 16, 4);
	n->body = number(i + 16, 4) * 4096;
	n->ino = (uint32_t)number(i + 20, 4);
	ck_assert_uint_eq(number(i + 24, 8), 0); /* owner */
	n->mtime = (int64_t)number(i + 32, 8);
	n->nsec = (uint32_t)number(i + 40, 4);
	n->links = (uint32_t)number(i + 44, 4);
	n->body_len = n->size;
	if (format == 5) {
		n->tail_len = n->size % 4096;
		n->body_len -= n->tail_len;
		ck_assert_uint_gt(n->tail_len, 0);
		ck_assert_uint_le(n->inode_at % 4096 + 64 + n->tail_len, 4096);
	}
	if (S_ISREG(n->mode) || S_ISDIR(n->mode) || S_ISLNK(n->mode))
		ck_assert_uint_le(n->body + n->body_len, m->size);
}

static inline void image_content(const struct image *m, const struct node *n, uint64_t at,
				 void *data, size_t len)
{
	size_t in_body = at < n->body_len ? (size_t)MIN(len, n->body_len - at) : 0;

	ck_assert_uint_le(at + len, n->size);
	if (in_body > 0)
		image_read(m, n->body + at, data, in_body);
	if (len > in_body)
		image_read(m, n->inode_at + 64 + (at + in_body - n->body_len),
			   (char *)data + in_body, len - in_body);
}

/* One entry of a folder; the name is a string. */
typedef void image_entry_fn(const char *name, uint64_t nid, unsigned int type, void *user_data);

/* Calls fn for each entry, "." and ".." too, and checks their order over all blocks. */
static inline void image_folder(const struct image *m, const struct node *n, image_entry_fn *fn,
				void *user_data)
{
	unsigned char block[4097], last[256] = "", first = 1;
	char name[256];

	for (uint64_t at = 0; at < n->size; at += 4096) {
		size_t len = (size_t)MIN(4096, n->size - at), count, from, to = 0;

		image_content(m, n, at, block, len);
		block[len] = '\0';
		from = number(block + 8, 2);
		ck_assert(from >= 12 && from % 12 == 0 && from < len);
		count = from / 12;
		for (size_t i = 0; i < count; i++) {
			from = number(block + 12 * i + 8, 2);
			to = i + 1 < count ? number(block + 12 * (i + 1) + 8, 2)
					   : from + strnlen((char *)block + from, len - from);
			ck_assert(from < to && to <= len && to - from <= 255);
			memcpy(name, block + from, to - from);
			name[to - from] = '\0';
			ck_assert_uint_eq(strlen(name), to - from);
			ck_assert_uint_eq(block[12 * i + 11], 0);
			ck_assert_msg(first || strcmp((char *)last, name) < 0, "%s after %s", name,
				      last);
			first = 0;
			memcpy(last, name, sizeof(last));
			fn(name, number(block + 12 * i, 8), block[12 * i + 10], user_data);
		}
		/* nothing but padding behind the last name, which ends the folder */
		for (size_t i = to; i < len; i++)
			ck_assert_uint_eq(block[i], 0);
		if (at + 4096 >= n->size)
			ck_assert_uint_eq(to, len);
	}
}

#endif
