/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Access to an unpacked Debian tree, by openat2 with the tree as root. */
#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/io.h"
#include "base/text.h"

#define STATUS_MAX  (64 * MIB) /* of dpkg's status file */
#define SOURCES_MAX (1 * MIB)
#define PATH_LEN    512

int tree_open(int root, const char *path, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned int)flags | O_CLOEXEC,
		.mode = mode,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

int tree_read(int root, const char *path, size_t max, struct buf *out, struct err *e)
{
	_cleanup_close_ int fd = tree_open(root, path, O_RDONLY | O_NONBLOCK, 0);
	struct stat st;
	int r;

	if (fd < 0)
		return err_errno(e, fd, "%s in the image: cannot open", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(e, -EINVAL, "%s in the image: is not a regular file", path);
	r = io_read_all(fd, max, out);
	if (r < 0)
		return err_errno(e, r, "%s in the image: cannot read", path);
	return 0;
}

int tree_mkdir(int root, const char *path, struct err *e)
{
	char part[PATH_LEN];
	size_t n = strlen(path);

	if (n >= sizeof(part))
		return err_errno(e, -ENAMETOOLONG, "%s", path);
	for (size_t i = 1; i <= n; i++) {
		_cleanup_close_ int parent = -1;
		char *slash;

		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		slash = strrchr(part, '/');
		if (slash)
			*slash = '\0';
		parent = tree_open(root, slash && *part ? part : ".", O_PATH | O_DIRECTORY, 0);
		if (parent < 0)
			return err_errno(e, parent, "%s in the image: cannot open", path);
		if (mkdirat(parent, slash ? slash + 1 : part, 0755) < 0 && errno != EEXIST)
			return err_errno(e, -errno, "%s in the image: cannot make", path);
	}
	return 0;
}

int tree_write(int root, const char *path, mode_t mode, const void *data, size_t n, struct err *e)
{
	_cleanup_close_ int fd = tree_open(root, path, O_WRONLY | O_CREAT | O_TRUNC, mode);
	int r;

	if (fd < 0)
		return err_errno(e, fd, "%s in the image: cannot write", path);
	r = io_write_full(fd, data, n);
	if (r == 0 && fchmod(fd, mode) < 0)
		r = -errno;
	if (r < 0)
		return err_errno(e, r, "%s in the image: cannot write", path);
	return 0;
}

int tree_kernel_release(int root, char **ret, struct err *e)
{
	_cleanup_close_ int fd = tree_open(root, "lib/modules", O_RDONLY | O_DIRECTORY, 0);
	_cleanup_free_ char *best = NULL;
	struct dirent *d;
	DIR *dir;
	int r = 0;

	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir)
		return err_set(e, -ENOENT, "no kernel is installed in the image (no /lib/modules)");
	fd = -1; /* is the DIR's now */
	while (r == 0 && (d = readdir(dir))) {
		_cleanup_close_ int kernel = -1;
		char path[PATH_LEN];

		if (d->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), "boot/vmlinuz-%s", d->d_name);
		kernel = tree_open(root, path, O_PATH, 0);
		if (kernel < 0 || (best && strverscmp(d->d_name, best) < 0))
			continue;
		free(best);
		best = strdup(d->d_name);
		if (!best)
			r = err_oom(e);
	}
	(void)closedir(dir);
	if (r < 0)
		return r;
	if (!best)
		return err_set(e, -ENOENT, "no kernel is installed in the image (/boot/vmlinuz-*)");
	*ret = take_ptr(&best);
	return 0;
}

/* Appends a copy of s to a list; `have` is its length. */
static int add_name(char ***list, size_t *have, const char *s, size_t n)
{
	char **more = reallocarray(*list, *have + 1, sizeof(char *));

	if (!more)
		return -ENOMEM;
	*list = more;
	more[*have] = strndup(s, n);
	if (!more[*have])
		return -ENOMEM;
	(*have)++;
	return 0;
}

/* The next line of *at, cut off in place and without its newline; NULL at the end. */
static char *next_line(char **at)
{
	char *line = *at, *end;

	if (!line || !*line)
		return NULL;
	end = strchr(line, '\n');
	if (end)
		*end = '\0';
	*at = end ? end + 1 : NULL;
	return line;
}

static int read_status(int root, struct manifest *m, struct err *e)
{
	_cleanup_buf_ struct buf text = {0};
	const char *name = NULL;
	char *at, *line;
	int r = tree_read(root, "var/lib/dpkg/status", STATUS_MAX, &text, e);

	if (r < 0)
		return r;
	at = text.data;
	while ((line = next_line(&at))) {
		if (strncmp(line, "Package: ", 9) == 0)
			name = line + 9;
		if (name && strcmp(line, "Status: install ok installed") == 0) {
			if (add_name(&m->packages, &m->n_packages, name, strlen(name)) < 0)
				return err_oom(e);
			name = NULL;
		}
	}
	if (m->n_packages > 0)
		qsort(m->packages, m->n_packages, sizeof(char *), text_compare);
	return 0;
}

/* "deb [options] URL SUITE COMPONENT..." */
static int read_sources(int root, struct manifest *m, struct err *e)
{
	_cleanup_buf_ struct buf text = {0};
	char *at, *line;
	int r = tree_read(root, "etc/apt/sources.list", SOURCES_MAX, &text, e);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	at = text.data;
	while ((line = next_line(&at))) {
		const char *url;
		bool known = false;
		size_t n;

		if (strncmp(line, "deb ", 4) != 0)
			continue;
		url = line + 4 + strspn(line + 4, " ");
		if (*url == '[' && (url = strchr(url, ']')))
			url += 1 + strspn(url + 1, " ");
		n = url ? strcspn(url, " ") : 0;
		for (size_t i = 0; i < m->n_repositories; i++)
			known |= n > 0 && strlen(m->repositories[i]) == n &&
				 strncmp(m->repositories[i], url, n) == 0;
		if (n > 0 && !known && add_name(&m->repositories, &m->n_repositories, url, n) < 0)
			return err_oom(e);
	}
	return 0;
}

int tree_packages(int root, struct manifest *m, struct err *e)
{
	int r = read_status(root, m, e);

	return r < 0 ? r : read_sources(root, m, e);
}
