/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is remembered of a workspace's disk: list and layers, and when that is not worth it. */
#include "kept.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "archive/beneath.h"
#include "archive/input.h"
#include "archive/layer.h"
#include "archive/output.h"
#include "base/io.h"
#include "base/num.h"
#include "store.h"

/* More than these layers, or than twice what is in them and some more: a new disk is better. */
#define LAYERS_MAX 10
#define WASTE_MAX  (256 * MIB)
#define LOCK_MS	   2000
#define BOOT_SIZE  37 /* of a UUID's text, with its NUL */

/*
 * The kernel that runs since the machine was started: its cache is as good as the disk, and nobody
 * waits until a large disk is written to it.
 */
static int read_boot(char out[BOOT_SIZE])
{
	_cleanup_buf_ struct buf text = {0};
	int r = io_read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, &text, NULL);

	if (r < 0 || text.len != BOOT_SIZE)
		return r < 0 ? r : -EIO;
	memcpy(out, text.data, BOOT_SIZE - 1);
	out[BOOT_SIZE - 1] = '\0';
	return 0;
}

/* Takes the first line off the text, without its end. */
static int take_line(struct buf *text, char *out, size_t size)
{
	const char *nl = text->len ? memchr(text->data, '\n', text->len) : NULL;
	size_t n = nl ? (size_t)(nl - text->data) : 0;

	if (n == 0 || n >= size)
		return -EBADMSG;
	memcpy(out, text->data, n);
	out[n] = '\0';
	buf_drop(text, n + 1);
	return 0;
}

/* The list file: a line with the boot, one with the layers, and the entries. */
static int split(struct kept *k, struct buf *text, struct err *e)
{
	char then[BOOT_SIZE], now[BOOT_SIZE];

	if (take_line(text, then, sizeof(then)) < 0 ||
	    take_line(text, k->layers, sizeof(k->layers)) < 0)
		return err_set(e, -EBADMSG, "its list makes no sense");
	if (read_boot(now) < 0 || strcmp(then, now) != 0)
		return err_set(e, -ESTALE, "the machine was started anew since");
	k->list = *text;
	*text = (struct buf){0};
	return 0;
}

/* How many layers there are, how much they are, and where they end. */
static int measure(const struct kept *k, unsigned *ret_n, uint64_t *ret_sum, uint64_t *ret_end)
{
	_cleanup_free_ char *copy = strdup(k->layers);
	uint64_t at, size, end = INPUT_HEAD_SIZE, sum = 0;
	char *rest = copy, *one, *plus;
	unsigned n = 0;

	while ((one = copy ? strsep(&rest, ",") : NULL)) {
		plus = strchr(one, '+');
		if (!plus)
			return -EBADMSG;
		*plus = '\0';
		if (parse_u64(one, &at) < 0 || parse_u64(plus + 1, &size) < 0 || at != end ||
		    size == 0 || size % 4096 || size > INT64_MAX - end)
			return -EBADMSG;
		end += size;
		sum += size;
		n++;
	}
	*ret_n = n;
	*ret_sum = sum;
	*ret_end = end;
	return n > 0 ? 0 : -EBADMSG;
}

static uint64_t content(const struct buf *list)
{
	struct layer_entry n;
	uint64_t sum = 0;
	size_t at = 0;

	while (layer_next(list->data, list->len, &at, &n))
		sum += n.type == FILTER_FILE ? n.size : 0;
	return sum;
}

static void forget(struct kept *k)
{
	store_drop(k->store, k->key);
	fd_close(&k->fd);
	buf_done(&k->list);
	k->layers[0] = '\0';
	k->end = INPUT_HEAD_SIZE;
}

static void on_wait(void *user_data)
{
}

static void set_key(struct kept *k, const struct build *b)
{
	struct sha256 s;
	unsigned char digest[SHA256_SIZE];

	sha256_init(&s);
	sha256_put(&s, "workspace", sizeof("workspace"));
	sha256_put(&s, b->workspace.path, strlen(b->workspace.path));
	sha256_end(&s, digest);
	(void)sha256_hex(digest, k->key);
}

static int take(struct build *b, const char *cache, struct kept *k, struct err *e)
{
	char damage[ERR_TEXT_MAX];
	struct buf text = {0};
	uint64_t sum = 0;
	unsigned n = 0;
	int r;

	set_key(k, b);
	r = k->store = store_open(cache, e);
	if (r < 0 || !store_has(k->store, k->key))
		return MIN(r, 0);
	r = k->lock = store_lock(k->store, k->key, LOCK_MS, on_wait, b, e);
	if (r < 0)
		return r;
	r = store_take(k->store, k->key, &k->fd, &text, damage);
	if (damage[0])
		return err_set(e, -EBADMSG, "%s", damage);
	if (r != 1)
		return 0;
	r = split(k, &text, e);
	buf_done(&text);
	if (r < 0)
		return r;
	if (measure(k, &n, &sum, &k->end) < 0)
		return err_set(e, -EBADMSG, "its layers make no sense");
	if (n >= LAYERS_MAX || sum > 2 * content(&k->list) + WASTE_MAX)
		forget(k);
	return 0;
}

void kept_take(struct build *b, const char *cache, struct kept *ret)
{
	struct err e = ERR_INIT;
	int r;

	ret->end = INPUT_HEAD_SIZE;
	r = take(b, cache, ret, &e);
	if (r == 0)
		return;
	if (r == -ESTALE)
		ui_detail(&b->ui, "workspace: all of it is sent: %s", e.text);
	else
		ui_say(&b->ui,
		       "workspace: all of it is sent, for what was kept of it is not used: "
		       "%s",
		       e.text);
	if (ret->lock >= 0)
		forget(ret);
}

/*
 * Whether that is still the file which the entry became when it was laid, and the workspace's
 * alone: who moved a part of the old one away while it was linked has the same file there.
 */
static bool is_as_laid(const struct layer_entry *n, const struct output_laid *l,
		       const struct stat *st)
{
	return l->ino && l->ino == st->st_ino && l->dev == st->st_dev && st->st_nlink == 1 &&
	       layer_looks_like(n, st) &&
	       (l->is_link || (l->seconds == st->st_ctim.tv_sec &&
			       l->nanoseconds == (uint32_t)st->st_ctim.tv_nsec));
}

/* The list with the files that are the workspace's now. */
static int renew_list(int workspace_fd, const struct buf *list, const char *laid, size_t laid_len,
		      struct buf *out)
{
	const struct timespec now = layer_next_tick();
	struct layer_entry n;
	size_t at = 0, i = 0;
	int r = 0;

	while (r == 0 && layer_next(list->data, list->len, &at, &n)) {
		struct output_laid l = {0};
		struct stat st;

		if ((i + 1) * sizeof(l) <= laid_len)
			memcpy(&l, laid + i * sizeof(l), sizeof(l));
		i++;
		n.copy = (struct layer_ident){0};
		if (n.type == FILTER_FILE && l.ino &&
		    fstatat(workspace_fd, n.path + sizeof(FILTER_TOP), &st, AT_SYMLINK_NOFOLLOW) ==
			    0 &&
		    S_ISREG(st.st_mode) && is_as_laid(&n, &l, &st)) {
			n.copy = layer_ident_of(&st, &now);
			if (n.from_workspace)
				n.from = n.copy;
		}
		r = layer_add(out, &n);
	}
	return r;
}

static int put(struct build *b, struct kept *k, int input_rw, const char *laid, size_t laid_len,
	       struct err *e)
{
	struct store_entry entry = {.made = (uint64_t)time(NULL)};
	_cleanup_close_ int fd = openat(b->workspace.parent_fd, b->workspace.name,
					O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_buf_ struct buf text = {.cap = LAYER_LIST_MAX};
	char boot[BOOT_SIZE];
	int r;

	if (fd < 0)
		return err_errno(e, -errno, "the workspace");
	r = read_boot(boot);
	if (r < 0)
		return err_errno(e, r, "cannot read the kernel's boot id");
	if (buf_printf(&text, "%s\n%s\n", boot, b->layers) < 0 ||
	    renew_list(fd, &b->base, laid, laid_len, &text) < 0)
		return err_oom(e);
	memcpy(entry.key, k->key, sizeof(entry.key));
	(void)snprintf(entry.label, sizeof(entry.label), "workspace %s", b->workspace.path);
	return store_put(k->store, input_rw, &text, &entry, e);
}

void kept_put(struct build *b, struct kept *k, int input_rw, const char *laid, size_t laid_len)
{
	struct err e = ERR_INIT;

	if (k->store < 0)
		return;
	/* where there was none, there was nothing to lock: the workspace's own lock is held */
	if (k->lock < 0)
		k->lock = store_lock(k->store, k->key, LOCK_MS, on_wait, b, &e);
	if (k->lock < 0 || put(b, k, input_rw, laid, laid_len, &e) < 0)
		ui_say(&b->ui, "workspace: its disk is not kept for the next build: %s", e.text);
	else
		store_evict(k->store, store_limit());
	fd_close(&k->fd);
	fd_close(&k->lock);
}

void kept_done(struct kept *k)
{
	/* not put back: it goes */
	if (k->lock >= 0 && k->fd >= 0)
		store_drop(k->store, k->key);
	fd_close(&k->fd);
	fd_close(&k->lock);
	fd_close(&k->store);
	buf_done(&k->list);
	*k = (struct kept)KEPT_INIT;
}
