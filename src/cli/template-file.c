/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One file for a template, so that the cache's rules for files hold for all of it at once. */
/*
 *	0        memory          of the worker's size: QEMU maps it, so it comes first
 *	state    64 MiB          its devices, as QEMU has written them; most of it is a hole
 *	scratch  the disk's size  the file system that is mounted in the memory above; mostly a hole
 *	trailer  4 KiB           JSON: {"format", "tsc-khz", "scratch-room", "state-sha256"}, then
 *NULs
 */
#include "template-file.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/json.h"
#include "manager/order.h"

#define FORMAT	     1
#define TRAILER_SIZE 4096
#define BLOCK	     (256 * KIB)

struct template_layout template_layout(uint64_t memory, uint64_t disk)
{
	struct template_layout l = {.memory = 0,
				    .state = memory,
				    .state_size = ORDER_STATE_MAX,
				    .scratch = memory + ORDER_STATE_MAX,
				    .scratch_size = disk};

	l.trailer = (l.scratch + disk + TRAILER_SIZE - 1) / TRAILER_SIZE * TRAILER_SIZE;
	l.total = l.trailer + TRAILER_SIZE;
	return l;
}

/* Calls fn for each stretch of data in [at, end), block by block. */
static int each_block(int fd, uint64_t at, uint64_t end,
		      int (*fn)(uint64_t at, const char *data, size_t n, void *user_data),
		      void *user_data)
{
	_cleanup_free_ char *block = malloc(BLOCK);
	int r = 0;

	if (!block)
		return -ENOMEM;
	while (r == 0 && at < end) {
		off_t data = lseek(fd, (off_t)at, SEEK_DATA), hole;

		if (data < 0 && errno == ENXIO)
			return 0;
		hole = data < 0 ? data : lseek(fd, data, SEEK_HOLE);
		if (hole < 0)
			return -errno;
		for (at = (uint64_t)data; r == 0 && at < MIN((uint64_t)hole, end);) {
			size_t want = MIN(MIN((uint64_t)hole, end) - at, BLOCK);
			ssize_t n = pread(fd, block, want, (off_t)at);

			if (n <= 0)
				return n < 0 ? -errno : -EIO;
			r = fn(at, block, (size_t)n, user_data);
			at += (size_t)n;
		}
	}
	return r;
}

struct copy {
	int to;
	uint64_t from_at, to_at;
};

static int copy_block(uint64_t at, const char *data, size_t n, void *user_data)
{
	const struct copy *c = user_data;

	return io_pwrite_full(c->to, data, n, at - c->from_at + c->to_at);
}

int template_copy(int from, uint64_t from_at, int to, uint64_t to_at, uint64_t size)
{
	struct copy c = {to, from_at, to_at};

	return each_block(from, from_at, from_at + size, copy_block, &c);
}

static int hash_block(uint64_t at, const char *data, size_t n, void *user_data)
{
	sha256_put(user_data, &at, sizeof(at));
	sha256_put(user_data, data, n);
	return 0;
}

static int hash_state(int fd, const struct template_layout *l, char out[SHA256_HEX_SIZE])
{
	unsigned char digest[SHA256_SIZE];
	struct sha256 s;
	int r;

	sha256_init(&s);
	r = each_block(fd, l->state, l->state + l->state_size, hash_block, &s);
	sha256_end(&s, digest);
	(void)sha256_hex(digest, out);
	return r;
}

static char *print_trailer(const struct template_trailer *t)
{
	_cleanup_(json_free_p) cJSON *j = cJSON_CreateObject();

	if (!j || json_add_u64(j, "format", FORMAT) < 0 ||
	    json_add_u64(j, "tsc-khz", t->tsc_khz) < 0 ||
	    json_add_u64(j, "scratch-room", t->scratch_room) < 0 ||
	    !cJSON_AddStringToObject(j, "state-sha256", t->state))
		return NULL;
	return json_print(j);
}

int template_complete(int fd, const struct template_layout *l, int scratch,
		      struct template_trailer *t, struct err *e)
{
	int r = template_copy(scratch, 0, fd, l->scratch, l->scratch_size);
	char block[TRAILER_SIZE] = "";
	_cleanup_free_ char *text = NULL;

	if (r == 0)
		r = hash_state(fd, l, t->state);
	if (r < 0)
		return err_errno(e, r, "cannot copy the template's parts together");
	text = print_trailer(t);
	if (!text || strlen(text) >= sizeof(block))
		return err_oom(e);
	memcpy(block, text, strlen(text));
	if (pwrite(fd, block, sizeof(block), (off_t)l->trailer) != (ssize_t)sizeof(block))
		return err_errno(e, errno ? -errno : -EIO, "cannot write the template's trailer");
	return 0;
}

int template_check(int fd, const struct template_layout *l, struct template_trailer *ret,
		   struct err *e)
{
	_cleanup_(json_free_p) cJSON *j = NULL;
	struct template_trailer t = {0};
	char block[TRAILER_SIZE + 1] = "", hash[SHA256_HEX_SIZE];
	const char *state;
	uint64_t format;
	int r;

	if (pread(fd, block, TRAILER_SIZE, (off_t)l->trailer) != TRAILER_SIZE ||
	    json_parse(block, strlen(block), &j, NULL) < 0)
		return err_set(e, -EBADMSG, "its trailer cannot be read");
	state = json_str(j, "state-sha256");
	if (json_u64(j, "format", &format) < 0 || format != FORMAT || !state ||
	    strlen(state) != SHA256_HEX_SIZE - 1 || json_u64(j, "tsc-khz", &t.tsc_khz) < 0 ||
	    json_u64(j, "scratch-room", &t.scratch_room) < 0)
		return err_set(e, -EBADMSG, "its trailer makes no sense");
	memcpy(t.state, state, sizeof(t.state));
	r = hash_state(fd, l, hash);
	if (r < 0)
		return err_errno(e, -EBADMSG, "its state cannot be read");
	if (strcmp(hash, t.state) != 0)
		return err_set(e, -EBADMSG, "the state of its devices is not what was written");
	*ret = t;
	return 0;
}
