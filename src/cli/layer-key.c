/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Hashing what goes into a prepared disk, each part with its length so that none runs into another.
 */
#include "layer-key.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "base/io.h"
#include "net/rule-json.h"

#define DEPTH_MAX 64

static const char format[] = "contractor layer 1";

static void put(struct sha256 *s, const void *data, size_t len)
{
	uint64_t n = len;

	sha256_put(s, &n, sizeof(n));
	sha256_put(s, data, len);
}

static void put_text(struct sha256 *s, const char *text)
{
	put(s, text, strlen(text));
}

static int hash_file(struct sha256 *s, int fd)
{
	char block[65536];
	ssize_t n;

	while ((n = io_read_full(fd, block, sizeof(block))) > 0)
		put(s, block, (size_t)n);
	put(s, "", 0);
	return (int)n;
}

static int hash_folder(struct sha256 *s, int fd, unsigned depth, struct err *e);

static int hash_entry(struct sha256 *s, int dir, const char *name, unsigned depth, struct err *e)
{
	_cleanup_close_ int fd = -1;
	char target[PATH_MAX];
	struct stat st;
	ssize_t n;
	int r = 0;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(e, -errno, "ansible-files: %s", name);
	put_text(s, name);
	put(s, &(unsigned){st.st_mode & (S_IFMT | 0100)}, sizeof(unsigned));
	if (S_ISLNK(st.st_mode)) {
		n = readlinkat(dir, name, target, sizeof(target));
		if (n < 0)
			return err_errno(e, -errno, "ansible-files: %s", name);
		put(s, target, (size_t)n);
	} else if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) {
		fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
		if (fd < 0)
			return err_errno(e, -errno, "ansible-files: %s", name);
		if (S_ISDIR(st.st_mode))
			return hash_folder(s, fd, depth + 1, e);
		r = hash_file(s, fd);
	}
	return r < 0 ? err_errno(e, r, "ansible-files: %s", name) : 0;
}

static int not_dots(const struct dirent *d)
{
	return strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int hash_folder(struct sha256 *s, int fd, unsigned depth, struct err *e)
{
	struct dirent **list;
	char self[64];
	int n, r = 0;

	if (depth > DEPTH_MAX)
		return err_set(e, -ELOOP, "ansible-files: more than %d folders deep", DEPTH_MAX);
	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	n = scandir(self, &list, not_dots, by_bytes);
	if (n < 0)
		return err_errno(e, -errno, "ansible-files: cannot list a folder");
	put(s, &n, sizeof(n));
	for (int i = 0; i < n; i++) {
		if (r == 0)
			r = hash_entry(s, fd, list[i]->d_name, depth, e);
		free(list[i]);
	}
	free(list);
	return r;
}

static char *rules_text(const struct net_rule *rules, size_t n)
{
	_cleanup_free_ struct net_rule *copy = net_rules_unplaced(rules, n);
	_cleanup_(json_free_p) cJSON *j = copy ? net_rules_to_json(copy, n) : NULL;

	return j ? json_print(j) : NULL;
}

int layer_key(const struct layer_inputs *in, char ret[SHA256_HEX_SIZE], struct err *e)
{
	_cleanup_free_ char *playbook = json_print(in->playbook);
	_cleanup_free_ char *rules = rules_text(in->rules, in->n_rules);
	unsigned char digest[SHA256_SIZE];
	struct sha256 s;
	int r;

	if (!playbook || !rules)
		return err_oom(e);
	sha256_init(&s);
	put_text(&s, format);
	put_text(&s, in->image_sha256);
	put_text(&s, playbook);
	put_text(&s, rules);
	put(&s, in->driver->data, in->driver->len);
	r = hash_folder(&s, in->files, 0, e);
	if (r < 0)
		return r;
	sha256_end(&s, digest);
	(void)sha256_hex(digest, ret);
	return 0;
}
