/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The steps of an image: packages, our files in the tree, initramfs, ext4, one file, manifest. */
#include "build.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/num.h"
#include "base/sha256.h"
#include "initramfs.h"
#include "manifest.h"
#include "sandbox.h"
#include "tree.h"

#define BLOCK	    4096ULL
#define INODE_SIZE  256ULL
#define KERNEL_MAX  (256 * MIB)
#define PACKAGE_MAX 4096

/*
 * cryptomgr.notests: the kernel's self-tests of its ciphers are a tenth of a boot under emulation.
 * mitigations=off: the guest is one tenant, what it runs is root in it anyway.
 */
#define CMDLINE "quiet panic=-1 cryptomgr.notests mitigations=off"

/* Debian's and QEMU's names, what the kernel needs to be told, and its package. */
static const struct arch {
	const char *debian, *qemu, *cmdline, *kernel;
} arches[] = {
	{"amd64", "x86_64", "console=ttyS0 reboot=t " CMDLINE, "linux-image-cloud-amd64"},
	{"arm64", "aarch64", "console=ttyAMA0 " CMDLINE, "linux-image-cloud-arm64"},
};

/* All that one build owns. */
struct job {
	const struct image_build *b;
	const struct arch *arch;
	char dir[PATH_MAX], image[PATH_MAX]; /* the output's folder, and its absolute name */
	char manifest[PATH_MAX], lock[PATH_MAX], image_tmp[PATH_MAX], manifest_tmp[PATH_MAX];
	char tree[PATH_MAX];
	int lock_fd, tree_fd, out_fd;
	struct sandbox *sandbox;
	struct manifest *m;
	uint64_t blocks, inodes; /* that the tree takes */
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

static bool word_ok(const char *s, const char *more)
{
	for (; *s; s++) {
		bool plain = (*s >= 'a' && *s <= 'z') || (*s >= '0' && *s <= '9') || *s == '-';

		if (!plain && !strchr(more, *s))
			return false;
	}
	return true;
}

static int check_request(struct job *j, struct err *e)
{
	const struct image_build *b = j->b;

	for (size_t i = 0; i < ARRAY_SIZE(arches); i++) {
		if (strcmp(arches[i].debian, b->arch) == 0)
			j->arch = &arches[i];
	}
	if (!j->arch)
		return err_set(e, -EINVAL, "%s: images can be made for amd64 and arm64", b->arch);
	if (!*b->suite || *b->suite == '-' || !word_ok(b->suite, ""))
		return err_set(e, -EINVAL, "%s: not a name of a Debian suite", b->suite);
	if (*b->include == '-' || !word_ok(b->include, "+.,:") || strlen(b->include) > PACKAGE_MAX)
		return err_set(e, -EINVAL, "%s: not a comma-separated list of packages",
			       b->include);
	if (b->mirror && !strstr(b->mirror, "://"))
		return err_set(e, -EINVAL, "%s: not the URL of a Debian mirror", b->mirror);
	if (b->size < 64 * MIB || b->size > 1024 * GIB)
		return err_set(e, -EINVAL, "the size must be between 64M and 1T");
	return 0;
}

static bool in_path(const char *program)
{
	static const char fallback[] = "/usr/sbin:/usr/bin:/sbin:/bin";
	const char *p = getenv("PATH");
	char file[PATH_MAX];

	for (p = p ? p : fallback; *p; p += strspn(p, ":")) {
		size_t n = strcspn(p, ":");

		(void)snprintf(file, sizeof(file), "%.*s/%s", (int)n, p, program);
		if (access(file, X_OK) == 0)
			return true;
		p += n;
	}
	return false;
}

static int check_tools(const struct job *j, struct err *e)
{
	static const char *const tools[][2] = {{"mmdebstrap", "mmdebstrap"},
					       {"mke2fs", "e2fsprogs"},
					       {"unshare", "util-linux"}};
	const char *native = sizeof(void *) == 8 ? "amd64" : "";
	char path[PATH_MAX];

#ifdef __aarch64__
	native = "arm64";
#endif
	for (size_t i = 0; i < ARRAY_SIZE(tools); i++) {
		if (!in_path(tools[i][0]))
			return err_set(e, -ENOENT,
				       "%s is not installed, and images are made with it; apt "
				       "install %s",
				       tools[i][0], tools[i][1]);
	}
	(void)snprintf(path, sizeof(path), "/proc/sys/fs/binfmt_misc/qemu-%s", j->arch->qemu);
	if (strcmp(native, j->arch->debian) != 0 && access(path, F_OK) < 0)
		return err_set(
			e, -ENOENT,
			"programs for %s cannot run here, and an image's packages are set up "
			"by running them; apt install qemu-user-static binfmt-support",
			j->arch->debian);
	return 0;
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

	if ((r = check_request(j, e)) < 0 || (r = check_tools(j, e)) < 0 ||
	    (r = set_names(j, e)) < 0 || (r = take_lock(j, e)) < 0 ||
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

/*
 * Of the kernel only the files are wanted, not the packages that would make an initramfs for it on
 * each change. The package to take is what the metapackage $KERNEL depends on; the latter need not
 * be fetched, and in an old suite may be gone. --keep-directory-symlink: /lib is a link to usr/lib.
 */
static const char kernel_hook[] =
	"cd \"$1/var/cache/apt/archives\" && "
	"set -- \"$1\" $(chroot \"$1\" apt-cache depends $KERNEL | sed -n 's/^ *Depends: //p') && "
	"{ [ -n \"$2\" ] || { echo \"E: no package $KERNEL in this suite\" >&2; exit 1; }; } && "
	"chroot \"$1\" sh -c 'cd /var/cache/apt/archives && "
	"exec apt-get -o APT::Sandbox::User=root download \"$@\"' sh \"$2\" && "
	"dpkg-deb --fsys-tarfile \"$2\"_*.deb | "
	"tar -C \"$1\" -x --keep-directory-symlink --exclude=./usr/share && "
	"rm \"$2\"_*.deb && "
	"chroot \"$1\" busybox depmod \"${2#linux-image-}\"";

/* mmdebstrap puts the packages' files into the tree and sets them up. */
static int install(struct job *j, struct err *e)
{
	const struct image_build *b = j->b;
	char include[PACKAGE_MAX + 256], arch[32], tmpdir[PATH_MAX], kernel[64], hook[1024];
	char what[128];
	const char *argv[] = {"env",
			      tmpdir,
			      kernel,
			      "mmdebstrap",
			      "--mode=root",
			      "--format=directory",
			      "--variant=apt",
			      arch,
			      include,
			      hook,
			      "--dpkgopt=force-unsafe-io",
			      "--dpkgopt=path-exclude=/usr/share/man/*",
			      "--dpkgopt=path-exclude=/usr/share/info/*",
			      "--dpkgopt=path-exclude=/usr/share/locale/*",
			      "--dpkgopt=path-exclude=/usr/share/doc/*",
			      "--dpkgopt=path-include=/usr/share/doc/*/copyright",
			      b->suite,
			      j->tree,
			      b->mirror,
			      NULL};
	int r;

	(void)snprintf(arch, sizeof(arch), "--architectures=%s", b->arch);
	(void)snprintf(include, sizeof(include), "--include=busybox-static,tar%s%s",
		       *b->include ? "," : "", b->include);
	(void)snprintf(kernel, sizeof(kernel), "KERNEL=%s", j->arch->kernel);
	(void)snprintf(hook, sizeof(hook), "--customize-hook=%s", kernel_hook);
	(void)snprintf(tmpdir, sizeof(tmpdir), "TMPDIR=%s", sandbox_path(j->sandbox));
	(void)snprintf(what, sizeof(what), "installing %s (%s)", b->suite, b->arch);
	progress(j, what);
	r = sandbox_run(j->sandbox, argv, -1, NULL, 0, e);
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
	    (r = initramfs_build(j->tree_fd, release, firmware_fd, &j->initrd, e)) < 0)
		return r;
	(void)snprintf(path, sizeof(path), "boot/vmlinuz-%s", release);
	j->kernel.cap = KERNEL_MAX;
	r = tree_read(j->tree_fd, path, KERNEL_MAX, &j->kernel, e);
	return r < 0 ? r : tree_packages(j->tree_fd, j->m, e);
}

/* Blocks and inodes of the tree, in two lines. */
static int measure(struct job *j, struct err *e)
{
	const char *const argv[] = {"sh", "-c",
				    "du -s -B 4096 -- \"$0\" | cut -f 1; du -s --inodes -- \"$0\" "
				    "| cut -f 1",
				    j->tree, NULL};
	_cleanup_buf_ struct buf out = {0};
	char *second;
	int r = sandbox_run(j->sandbox, argv, -1, &out, 4096, e);

	if (r < 0)
		return r;
	second = out.data ? strchr(out.data, '\n') : NULL;
	if (!second)
		return err_set(e, -EIO, "du: cannot measure the tree");
	*second++ = '\0';
	second[strcspn(second, "\n")] = '\0';
	if (parse_u64(out.data, &j->blocks) < 0 || parse_u64(second, &j->inodes) < 0)
		return err_set(e, -EIO, "du: cannot measure the tree");
	return 0;
}

static int mke2fs(struct job *j, uint64_t blocks, uint64_t inodes, struct err *e)
{
	char n_blocks[24], n_inodes[24];
	/* no journal: the worker mounts it read-only */
	const char *const argv[] = {"mke2fs",
				    "-q",
				    "-F",
				    "-t",
				    "ext4",
				    "-b",
				    "4096",
				    "-I",
				    "256",
				    "-O",
				    "^has_journal,^resize_inode,^metadata_csum",
				    "-m",
				    "0",
				    "-E",
				    "root_owner=0:0,nodiscard",
				    "-L",
				    "contractor",
				    "-N",
				    n_inodes,
				    "-d",
				    j->tree,
				    "/proc/self/fd/3",
				    n_blocks,
				    NULL};

	(void)snprintf(n_blocks, sizeof(n_blocks), "%llu", (unsigned long long)blocks);
	(void)snprintf(n_inodes, sizeof(n_inodes), "%llu", (unsigned long long)inodes);
	if (ftruncate(j->out_fd, 0) < 0 || ftruncate(j->out_fd, (off_t)(blocks * BLOCK)) < 0)
		return err_errno(e, -errno, "%s: cannot make a file of that size", j->dir);
	return sandbox_run(j->sandbox, argv, j->out_fd, NULL, 0, e);
}

/* Finds a size that is large enough: what du counts is near what ext4 takes, but not the same. */
static int make_fs(struct job *j, struct err *e)
{
	uint64_t inodes, blocks, max = j->b->size / BLOCK;
	int r;

	progress(j, "making the root file system");
	r = measure(j, e);
	if (r < 0)
		return r;
	inodes = j->inodes + j->inodes / 64 + 64;
	blocks = j->blocks + j->blocks / 50 + inodes * INODE_SIZE / BLOCK + 2048;
	j->out_fd = open(j->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0644);
	if (j->out_fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
		(void)unlink(j->image_tmp);
		j->out_fd = open(j->image_tmp, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0644);
	}
	if (j->out_fd < 0)
		return err_errno(e, -errno, "%s: cannot write the image", j->dir);
	if (j->blocks > max)
		return err_set(e, -ENOSPC,
			       "the packages take %llu MiB, the image may have %llu MiB; give "
			       "--size a larger value",
			       (unsigned long long)(j->blocks * BLOCK / MIB),
			       (unsigned long long)(j->b->size / MIB));
	do {
		blocks = MIN(blocks, max);
		r = mke2fs(j, blocks, inodes, e);
		if (r != -ECHILD || blocks == max)
			break;
		blocks += blocks / 8;
	} while (true);
	j->m->root = (struct manifest_part){.offset = 0, .size = blocks * BLOCK};
	return r;
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

static int hash(struct job *j, struct err *e)
{
	_cleanup_free_ unsigned char *block = malloc(MIB);
	unsigned char digest[SHA256_SIZE];
	struct sha256 s;
	ssize_t n;

	if (!block)
		return err_oom(e);
	sha256_init(&s);
	if (lseek(j->out_fd, 0, SEEK_SET) < 0)
		return err_errno(e, -errno, "%s: cannot read the image", j->dir);
	while ((n = io_read_full(j->out_fd, block, MIB)) > 0)
		sha256_put(&s, block, (size_t)n);
	if (n < 0)
		return err_errno(e, (int)n, "%s: cannot read the image", j->dir);
	sha256_end(&s, digest);
	(void)sha256_hex(digest, j->m->sha256);
	return 0;
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
	r = hash(j, e);
	return r < 0 ? r : publish(j, e);
}

int image_build(const struct image_build *b, struct err *e)
{
	_cleanup_(job_done) struct job j = {.b = b, .lock_fd = -1, .tree_fd = -1, .out_fd = -1};
	int r;

	if ((r = begin(&j, e)) < 0 || (r = install(&j, e)) < 0 || (r = fill_tree(&j, e)) < 0)
		return r;
	return write_image(&j, e);
}
