/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The steps of an image: packages, our files in the tree, initramfs, ext4, one file, manifest. */
#include "build.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/sha256.h"
#include "debian.h"
#include "ext4.h"
#include "initramfs.h"
#include "manifest.h"
#include "sandbox.h"
#include "tree.h"

#define BLOCK	   4096ULL
#define KERNEL_MAX (256 * MIB)

/* All that one build owns. */
struct job {
	const struct image_build *b;
	const struct debian_arch *arch;
	char dir[PATH_MAX], image[PATH_MAX]; /* the output's folder, and its absolute name */
	char manifest[PATH_MAX], lock[PATH_MAX], image_tmp[PATH_MAX], manifest_tmp[PATH_MAX];
	char tree[PATH_MAX];
	int lock_fd, tree_fd, out_fd;
	struct sandbox *sandbox;
	struct manifest *m;
	struct buf initrd, kernel;
};

static void job_done(struct job *j)
{
	fd_close(&j->tree_fd);
	fd_close(&j->out_fd);
	/* the keeper removes the lock file too, and holds the lock until then */
	j->sandbox = sandbox_free(j->sandbox);
	fd_close(&j->lock_fd);
	j->m = manifest_free(j->m);
	buf_done(&j->initrd);
	buf_done(&j->kernel);
}

static void progress(const struct job *j, const char *what)
{
	if (j->b->progress)
		j->b->progress(what, j->b->user_data);
}

/* The output's folder must be there; its absolute name is what the others are made of. */
static int set_names(struct job *j, struct err *e)
{
	const char *slash = strrchr(j->b->output, '/');
	const char *name = slash ? slash + 1 : j->b->output;
	_cleanup_free_ char *given = NULL, *dir = NULL;
	size_t n;

	if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return err_set(e, -EINVAL, "%s: not the name of a file", j->b->output);
	given = slash == j->b->output ? strdup("/")
		: slash		      ? strndup(j->b->output, (size_t)(slash - j->b->output))
				      : strdup(".");
	if (!given)
		return err_oom(e);
	dir = realpath(given, NULL);
	if (!dir)
		return err_errno(e, -errno, "%s: the folder for the image", given);
	n = (size_t)snprintf(j->dir, sizeof(j->dir), "%s", dir);
	if (n + strlen(name) + 32 > sizeof(j->image))
		return err_errno(e, -ENAMETOOLONG, "%s", j->b->output);
	if (strcmp(dir, "/") == 0)
		j->dir[0] = '\0';
	(void)snprintf(j->image, sizeof(j->image), "%.*s/%s", PATH_MAX / 2, j->dir, name);
	(void)snprintf(j->manifest, sizeof(j->manifest), "%.*s/%s.json", PATH_MAX / 2, j->dir,
		       name);
	(void)snprintf(j->lock, sizeof(j->lock), "%.*s/.%s.lock", PATH_MAX / 2, j->dir, name);
	(void)snprintf(j->image_tmp, sizeof(j->image_tmp), "%.*s/.%s.new", PATH_MAX / 2, j->dir,
		       name);
	(void)snprintf(j->manifest_tmp, sizeof(j->manifest_tmp), "%.*s/.%s.json.new", PATH_MAX / 2,
		       j->dir, name);
	if (*j->dir == '\0')
		(void)snprintf(j->dir, sizeof(j->dir), "/");
	return 0;
}

/* The lock file goes when its holder does, so it must be the one that still has the name. */
static int take_lock(struct job *j, struct err *e)
{
	for (;;) {
		struct stat mine, named;

		fd_close(&j->lock_fd);
		j->lock_fd = open(j->lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (j->lock_fd < 0)
			return err_errno(e, -errno, "%s: cannot write in the image's folder",
					 j->lock);
		if (flock(j->lock_fd, LOCK_EX | LOCK_NB) < 0) {
			progress(j, "waiting for another build of the same image to end");
			if (flock(j->lock_fd, LOCK_EX) < 0 && errno != EINTR)
				return err_errno(e, -errno, "%s: cannot lock", j->lock);
		}
		if (fstat(j->lock_fd, &mine) == 0 && stat(j->lock, &named) == 0 &&
		    mine.st_ino == named.st_ino && mine.st_dev == named.st_dev)
			return 0;
	}
}

static int begin(struct job *j, struct err *e)
{
	const char *const unlink_list[] = {j->image_tmp, j->manifest_tmp, j->lock, NULL};
	int r;

	if ((r = debian_check(j->b, &j->arch, e)) < 0 || (r = set_names(j, e)) < 0 ||
	    (r = take_lock(j, e)) < 0 ||
	    (r = sandbox_new(unlink_list, j->lock_fd, j->b->log_fd, &j->sandbox, e)) < 0)
		return r;
	if ((size_t)snprintf(j->tree, sizeof(j->tree), "%s/tree", sandbox_path(j->sandbox)) >=
	    sizeof(j->tree))
		return err_errno(e, -ENAMETOOLONG, "%s", sandbox_path(j->sandbox));
	j->m = calloc(1, sizeof(*j->m));
	if (!j->m)
		return err_oom(e);
	j->m->arch = strdup(j->arch->qemu);
	j->m->suite = strdup(j->b->suite);
	j->m->cmdline = strdup(j->arch->cmdline);
	j->m->root_fs = strdup("ext4");
	return j->m->arch && j->m->suite && j->m->cmdline && j->m->root_fs ? 0 : err_oom(e);
}

static int install(struct job *j, struct err *e)
{
	char what[128];
	int r;

	(void)snprintf(what, sizeof(what), "installing %s (%s)", j->b->suite, j->b->arch);
	progress(j, what);
	r = debian_install(j->b, j->arch, j->sandbox, j->tree, e);
	if (r < 0)
		return r;
	j->tree_fd = open(j->tree, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return j->tree_fd < 0 ? err_errno(e, -errno, "%s", j->tree) : 0;
}

static int put_stub(struct job *j, int firmware_fd, struct err *e)
{
	static const char hosts[] = "127.0.0.1 localhost worker\n::1 localhost ip6-localhost\n";
	_cleanup_buf_ struct buf stub = {0};
	int r;

	if ((r = io_read_file(firmware_fd, "stub", MIB, &stub, e)) < 0 ||
	    (r = tree_mkdir(j->tree_fd, "usr/lib/contractor", e)) < 0 ||
	    (r = tree_write(j->tree_fd, "usr/lib/contractor/stub", 0755, stub.data, stub.len, e)) <
		    0 ||
	    (r = tree_mkdir(j->tree_fd, "workspace", e)) < 0 ||
	    (r = tree_write(j->tree_fd, "etc/hostname", 0644, "worker\n", 7, e)) < 0)
		return r;
	return tree_write(j->tree_fd, "etc/hosts", 0644, hosts, strlen(hosts), e);
}

static int fill_tree(struct job *j, struct err *e)
{
	_cleanup_close_ int firmware_fd = -1;
	_cleanup_free_ char *release = NULL;
	char path[PATH_MAX];
	int r;

	progress(j, "making the initramfs");
	(void)snprintf(path, sizeof(path), "%s/worker", j->b->firmware_dir);
	firmware_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (firmware_fd < 0)
		return err_errno(e, -errno, "%s: the worker's firmware", path);
	if ((r = put_stub(j, firmware_fd, e)) < 0 ||
	    (r = tree_kernel_release(j->tree_fd, &release, e)) < 0 ||
	    (r = initramfs_build(j->tree_fd, release, firmware_fd, &j->initrd, &j->m->layers, e)) <
		    0)
		return r;
	(void)snprintf(path, sizeof(path), "boot/vmlinuz-%s", release);
	j->kernel.cap = KERNEL_MAX;
	r = tree_read(j->tree_fd, path, KERNEL_MAX, &j->kernel, e);
	return r < 0 ? r : tree_packages(j->tree_fd, j->m, e);
}

static int make_fs(struct job *j, struct err *e)
{
	struct ext4_request q = {
		.sandbox = j->sandbox,
		.tree = j->tree,
		.dir = j->dir,
		.max_size = j->b->size,
	};

	progress(j, "making the root file system");
	j->out_fd = open(j->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0644);
	if (j->out_fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
		(void)unlink(j->image_tmp);
		j->out_fd = open(j->image_tmp, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0644);
	}
	if (j->out_fd < 0)
		return err_errno(e, -errno, "%s: cannot write the image", j->dir);
	q.fd = j->out_fd;
	return ext4_make(&q, &j->m->root.size, e);
}

static int append(struct job *j, const struct buf *data, uint64_t *end, struct manifest_part *part,
		  struct err *e)
{
	int r;

	part->offset = (*end + BLOCK - 1) / BLOCK * BLOCK;
	part->size = data->len;
	*end = part->offset + part->size;
	r = lseek(j->out_fd, (off_t)part->offset, SEEK_SET) < 0 ? -errno : 0;
	if (r == 0)
		r = io_write_full(j->out_fd, data->data, data->len);
	return r < 0 ? err_errno(e, r, "%s: cannot write the image", j->dir) : 0;
}

static int publish(struct job *j, struct err *e)
{
	_cleanup_free_ char *text = manifest_print(j->m);
	_cleanup_close_ int fd = -1;
	char proc[64];
	int r;

	if (!text)
		return err_oom(e);
	fd = open(j->manifest_tmp, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return err_errno(e, -errno, "%s: cannot write", j->manifest_tmp);
	r = io_write_full(fd, text, strlen(text));
	if (r < 0 || fsync(fd) < 0 || fsync(j->out_fd) < 0)
		return err_errno(e, r < 0 ? r : -errno, "%s: cannot write", j->dir);
	(void)snprintf(proc, sizeof(proc), "/proc/self/fd/%d", j->out_fd);
	if (access(j->image_tmp, F_OK) < 0 &&
	    linkat(AT_FDCWD, proc, AT_FDCWD, j->image_tmp, AT_SYMLINK_FOLLOW) < 0)
		return err_errno(e, -errno, "%s: cannot give the image its name", j->image_tmp);
	/* no manifest is better than the old one beside the new image */
	if (unlink(j->manifest) < 0 && errno != ENOENT)
		return err_errno(e, -errno, "%s: cannot replace", j->manifest);
	if (rename(j->image_tmp, j->image) < 0)
		return err_errno(e, -errno, "%s: cannot replace", j->image);
	if (rename(j->manifest_tmp, j->manifest) < 0)
		return err_errno(e, -errno, "%s: cannot replace", j->manifest);
	return 0;
}

static int write_image(struct job *j, struct err *e)
{
	uint64_t end;
	int r = make_fs(j, e);

	if (r < 0)
		return r;
	progress(j, "writing the image");
	end = j->m->root.size;
	if ((r = append(j, &j->kernel, &end, &j->m->kernel, e)) < 0 ||
	    (r = append(j, &j->initrd, &end, &j->m->initrd, e)) < 0)
		return r;
	j->m->size = end;
	r = sha256_hex_of_fd(j->out_fd, j->m->sha256);
	return r < 0 ? err_errno(e, r, "%s: cannot read the image", j->dir) : publish(j, e);
}

int image_build(const struct image_build *b, struct err *e)
{
	_cleanup_(job_done) struct job j = {.b = b, .lock_fd = -1, .tree_fd = -1, .out_fd = -1};
	int r;

	if ((r = begin(&j, e)) < 0 || (r = install(&j, e)) < 0 || (r = fill_tree(&j, e)) < 0)
		return r;
	return write_image(&j, e);
}
