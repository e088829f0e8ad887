/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Packs a folder into one EROFS image, each name as a file: layer-tool FOLDER IMAGE. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

#include "archive/erofs.h"
#include "base/io.h"

struct walk {
	struct erofs *w;
	char path[65536];
	size_t len;
	struct err e;
};

static int pack(struct walk *k, int consume_fd);

static int pack_file(struct walk *k, int dirfd, const char *name, const struct stat *st)
{
	_cleanup_close_ int fd = -1;
	struct erofs_place place;

	fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(&k->e, -errno, "%s", k->path);
	return erofs_file(k->w, k->path, fd, st, k->path, &place, &k->e);
}

static int pack_symlink(struct walk *k, int dirfd, const char *name, const struct stat *st)
{
	char target[4097];
	ssize_t n = readlinkat(dirfd, name, target, sizeof(target) - 1);

	if (n < 0)
		return err_errno(&k->e, -errno, "%s", k->path);
	target[n] = '\0';
	return erofs_symlink(k->w, k->path, target, st, &k->e);
}

static int pack_folder(struct walk *k, int dirfd, const char *name, const struct stat *st)
{
	int fd, r = erofs_folder(k->w, k->path, st, &k->e);

	if (r < 0)
		return r;
	fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(&k->e, -errno, "%s", k->path);
	return pack(k, fd);
}

static int pack_entry(struct walk *k, int dirfd, const char *name)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_errno(&k->e, -errno, "%s", k->path);
	if (S_ISDIR(st.st_mode))
		return pack_folder(k, dirfd, name, &st);
	if (S_ISLNK(st.st_mode))
		return pack_symlink(k, dirfd, name, &st);
	if (S_ISCHR(st.st_mode))
		return erofs_whiteout(k->w, k->path, &k->e);
	return pack_file(k, dirfd, name, &st);
}

/* All entries of a folder, in the order that it gives; consumes the descriptor. */
static int pack(struct walk *k, int consume_fd)
{
	DIR *d = fdopendir(consume_fd);
	size_t len = k->len;
	struct dirent *n;
	int r = 0;

	if (!d) {
		(void)close(consume_fd);
		return err_oom(&k->e);
	}
	while (r == 0 && (n = readdir(d))) {
		if (strcmp(n->d_name, ".") == 0 || strcmp(n->d_name, "..") == 0)
			continue;
		k->len = len + (size_t)snprintf(k->path + len, sizeof(k->path) - len, "%s%s",
						len ? "/" : "", n->d_name);
		r = k->len < sizeof(k->path) ? pack_entry(k, dirfd(d), n->d_name) : -ENAMETOOLONG;
		k->len = len;
	}
	k->path[len] = '\0';
	(void)closedir(d);
	return r;
}

int main(int argc, char **argv)
{
	static struct walk k;
	uint64_t size;
	struct stat st;
	int fd, r;

	if (argc != 3) {
		(void)fputs("usage: layer-tool FOLDER IMAGE\n", stderr);
		return 2;
	}
	fd = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || stat(argv[1], &st) < 0) {
		perror(argv[1]);
		return 1;
	}
	r = erofs_new(fd, 0, &k.w, &k.e);
	if (r == 0)
		r = pack_folder(&k, AT_FDCWD, argv[1], &st);
	if (r == 0)
		r = erofs_finish(k.w, &size, &k.e);
	k.w = erofs_free(k.w);
	(void)close(fd);
	if (r < 0)
		(void)fprintf(stderr, "%d: %s\n", r, k.e.text);
	return r < 0;
}
