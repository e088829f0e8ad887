/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The archive's format (POSIX.1-2017 pax, with GNU's sparse files 1.0), and the buffer before it.
 */
/*
 * ustar header, 512 bytes; numbers in octal:
 *   0 name 100 | 100 mode 8 | 108 uid 8 | 116 gid 8 | 124 size 12 | 136 mtime 12 | 148 checksum 8
 *   156 typeflag | 157 linkname 100 | 257 "ustar\0" "00" | 329 devmajor 8 | 337 devminor 8
 * What does not fit is in a header 'x' before it, whose content are records "LENGTH KEY=VALUE\n".
 * A sparse file's content begins with its map, in decimal: the number of extents, then offset and
 * size of each, a number a line, filled up to a whole block.
 */
#include "tar.h"

#include "sys.h"

#define BLOCK	   512
#define NAME_LEN   100
#define CHUNK	   (1024 * 1024) /* written at once: whole pages of the disk's cache */
#define SLACK	   (128 * 1024)	 /* more than the headers of the longest path and target take */
#define OCTAL_MAX  077777777777L /* of 11 digits */
#define NUMBER_LEN 20

static char buffer[CHUNK + SLACK] __attribute__((aligned(4096)));
static long used;

/* Block devices take a part when they are full, and then nothing. */
static void write_out(long n)
{
	long done;

	for (long at = 0; at < n; at += done) {
		done = call(__NR_write, 1, (long)(buffer + at), n - at, 0);
		if (done == -EINTR)
			done = 0;
		else if (done == 0 || done == -ENOSPC)
			leave(fail("the archive cannot be written: No space left on device\n"));
		else if (done < 0)
			leave(fail("the archive cannot be written\n"));
	}
}

/*
 * A disk is written without the kernel's cache, whose pages cost a third of all: what is written is
 * whole pages, from a whole page on.
 */
void tar_begin(void)
{
	struct stat st = {0};

	if (call(__NR_fstat, 1, (long)&st, 0, 0) == 0 && S_ISBLK(st.st_mode))
		(void)call(__NR_fcntl, 1, F_SETFL, O_WRONLY | O_DIRECT, 0);
}

/* After this there is room for SLACK bytes. */
static void flush(void)
{
	if (used < CHUNK)
		return;
	write_out(CHUNK);
	used -= CHUNK;
	copy(buffer, buffer + CHUNK, used);
}

char *tar_room(long *ret_size)
{
	*ret_size = CHUNK - used;
	return buffer + used;
}

void tar_took(long size)
{
	used += size;
	flush();
}

void tar_pad(void)
{
	long n = -used & (BLOCK - 1);

	zero(buffer + used, n);
	tar_took(n);
}

void tar_end(void)
{
	zero(buffer + used, 2L * BLOCK);
	tar_took(2L * BLOCK);
	/* a part of a page would have to be read from the disk first */
	zero(buffer + used, -used & 4095);
	used += -used & 4095;
	write_out(used);
	used = 0;
}

/* Decimal digits of v >= 0; how many. */
static long decimal(char *to, long v)
{
	char text[NUMBER_LEN];
	long n = 0;

	do
		text[n++] = (char)('0' + v % 10);
	while ((v /= 10) > 0);
	for (long i = 0; i < n; i++)
		to[i] = text[n - 1 - i];
	return n;
}

static long digits(long v)
{
	long n = 1;

	while ((v /= 10) > 0)
		n++;
	return n;
}

static void octal(char *to, int n, long v)
{
	to[n - 1] = 0;
	for (int i = n - 2; i >= 0; i--, v >>= 3)
		to[i] = (char)('0' + (v & 7));
}

/* Appends a record at `to`; its length counts itself. */
static long record(char *to, const char *key, const char *value, long value_len)
{
	long key_len = length(key), n = key_len + value_len + 3, all = n + digits(n), at;

	all = n + digits(all);
	at = decimal(to, all);
	to[at++] = ' ';
	copy(to + at, key, key_len);
	at += key_len;
	to[at++] = '=';
	copy(to + at, value, value_len);
	to[at + value_len] = '\n';
	return all;
}

static long number_record(char *to, const char *key, long v)
{
	char text[NUMBER_LEN];

	return record(to, key, text, decimal(text, v));
}

static long time_record(char *to, long seconds, long nanoseconds)
{
	char text[2 * NUMBER_LEN];
	long n = 0;

	if (seconds < 0) {
		/* -1.25 is two seconds before and 0.75 s after */
		text[n++] = '-';
		seconds = -seconds - (nanoseconds > 0);
		nanoseconds = nanoseconds > 0 ? 1000000000 - nanoseconds : 0;
	}
	n += decimal(text + n, seconds);
	text[n++] = '.';
	for (long i = 8; i >= 0; i--, nanoseconds /= 10)
		text[n + i] = (char)('0' + nanoseconds % 10);
	return record(to, "mtime", text, n + 9);
}

/* Adds the bytes from..to, multiples of eight, to four sums of 16 bits: at most 64 * 2 * 255. */
static unsigned long add_bytes(unsigned long sums, const char *h, int from, int to)
{
	unsigned long word;

	for (; from < to; from += 8) {
		__builtin_memcpy(&word, h + from, 8);
		sums += (word & 0x00ff00ff00ff00ffUL) + (word >> 8 & 0x00ff00ff00ff00ffUL);
	}
	return sums;
}

/* Of a header without a prefix and names of owners: there is nothing in between. */
static long checksum(const char *h, int has_link)
{
	unsigned long sums = add_bytes(0, h, 0, 160);
	long sum = 0;

	if (has_link)
		sums = add_bytes(sums, h, 160, 256);
	sums = add_bytes(sums, h, 256, 272);
	sums = add_bytes(sums, h, 328, 352);
	for (; sums; sums >>= 16)
		sum += (long)(sums & 0xffff);
	return sum;
}

static void ustar(char *h, const struct tar_entry *e, long size)
{
	static const char magic[8] = {'u', 's', 't', 'a', 'r', 0, '0', '0'};
	static const char none[8] = {'0', '0', '0', '0', '0', '0', '0', 0};

	zero(h, BLOCK);
	copy(h, e->path, e->path_len < NAME_LEN ? e->path_len : NAME_LEN);
	octal(h + 100, 8, e->mode & 07777);
	__builtin_memcpy(h + 108, none, 8);
	__builtin_memcpy(h + 116, none, 8);
	octal(h + 124, 12, size <= OCTAL_MAX ? size : 0);
	octal(h + 136, 12, e->seconds >= 0 && e->seconds <= OCTAL_MAX ? e->seconds : 0);
	h[156] = e->type;
	copy(h + 157, e->link, e->link_len < NAME_LEN ? e->link_len : NAME_LEN);
	__builtin_memcpy(h + 257, magic, 8);
	__builtin_memcpy(h + 329, none, 8);
	__builtin_memcpy(h + 337, none, 8);
	__builtin_memset(h + 148, ' ', 8);
	octal(h + 148, 7, checksum(h, e->link_len > 0));
}

/* What is stored of a sparse file before its data, without what fills it up. */
static long map_size(const struct tar_entry *e)
{
	long n = digits(e->n_extents) + 1;

	for (long i = 0; i < e->n_extents; i++)
		n += digits(e->extents[i].offset) + digits(e->extents[i].size) + 2;
	return n;
}

static void put_line(long v)
{
	used += decimal(buffer + used, v);
	buffer[used++] = '\n';
	flush();
}

static void put_map(const struct tar_entry *e)
{
	put_line(e->n_extents);
	for (long i = 0; i < e->n_extents; i++) {
		put_line(e->extents[i].offset);
		put_line(e->extents[i].size);
	}
	tar_pad();
}

/* The records at `to`; how many bytes they are. */
static long records(char *to, const struct tar_entry *e, long stored)
{
	long n = 0;

	if (e->extents) {
		n += number_record(to, "GNU.sparse.major", 1);
		n += number_record(to + n, "GNU.sparse.minor", 0);
		n += record(to + n, "GNU.sparse.name", e->path, e->path_len);
		n += number_record(to + n, "GNU.sparse.realsize", e->size);
	}
	if (e->nanoseconds || e->seconds < 0 || e->seconds > OCTAL_MAX)
		n += time_record(to + n, e->seconds, e->nanoseconds);
	if (e->path_len > NAME_LEN)
		n += record(to + n, "path", e->path, e->path_len);
	if (e->link_len > NAME_LEN)
		n += record(to + n, "linkpath", e->link, e->link_len);
	if (stored > OCTAL_MAX)
		n += number_record(to + n, "size", stored);
	return n;
}

/* Most are of a time stamp alone, and the same. */
static void pax_header(char *h, long size)
{
	static const struct tar_entry pax = {'x', .path = "pax", .path_len = 3, .mode = 0644};
	static char last[BLOCK] __attribute__((aligned(8)));
	static long last_size;

	if (size != last_size) {
		ustar(last, &pax, size);
		last_size = size;
	}
	copy(h, last, BLOCK);
}

void tar_header(const struct tar_entry *e)
{
	long stored = e->size, n;

	if (e->extents) {
		stored = (map_size(e) + BLOCK - 1) & -BLOCK;
		for (long i = 0; i < e->n_extents; i++)
			stored += e->extents[i].size;
	}
	n = records(buffer + used + BLOCK, e, stored);
	if (n > 0) {
		pax_header(buffer + used, n);
		used += BLOCK + n;
		tar_pad();
	}
	ustar(buffer + used, e, stored);
	tar_took(BLOCK);
	if (e->extents)
		put_map(e);
}
