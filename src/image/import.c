/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A stock cloud image becomes a worker image: converted, seeded, described. */
#include "import.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/child.h"
#include "base/io.h"
#include "base/json.h"
#include "base/sha256.h"
#include "manifest.h"

#define BLOCK	   4096ULL
#define QEMU_IMG_S (2 * 3600)
#define DISK_MAX   (1024 * GIB)
#define INFO_MAX   (1 * MIB)
#define STUB_MAX   (64 * KIB)

struct job {
	const struct image_import *i;
	int in, out;
	bool qcow2;
	struct manifest *m;
};

static void job_done(struct job *j)
{
	fd_close(&j->in);
	fd_close(&j->out);
	j->m = manifest_free(j->m);
}

static void progress(const struct job *j, const char *what, bool writes)
{
	if (j->i->progress)
		j->i->progress(what, writes, j->i->user_data);
}

/* qemu-img reads what a stranger has made: the disk is 3, the image 4, and it has nothing else. */
static int run_qemu_img(const struct job *j, const char *const *argv, int stdout_fd, struct err *e)
{
	const struct child_fd fds[] = {{j->in, 3}, {j->out, 4}, {stdout_fd, 1}};
	const struct child_limit limits[] = {{RLIMIT_FSIZE, DISK_MAX},
					     {RLIMIT_AS, 8 * GIB},
					     {RLIMIT_CORE, 0}};
	const struct child_spec s = {.path = "qemu-img",
				     .argv = argv,
				     .clone_flags = CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC,
				     .fds = fds,
				     .n_fds = ARRAY_SIZE(fds),
				     .limits = limits,
				     .n_limits = ARRAY_SIZE(limits),
				     .no_new_privs = 1};
	int r;
	pid_t pid = child_spawn(&s, e);

	if (pid == -ENOENT)
		return err_set(e, -ENOPKG, "qemu-img is not installed (Debian: qemu-utils)");
	if (pid < 0)
		return (int)pid;
	r = child_finish(pid, "qemu-img cannot read it", -1, NULL, 0, QEMU_IMG_S, e);
	return r < 0 ? err_wrap(e, "%s", j->i->input) : 0;
}

/* By their first sectors: a raw disk that a PC's firmware can boot has a mark there. */
static int look_at_input(struct job *j, struct err *e)
{
	unsigned char head[512] = {0};
	struct stat st;

	j->in = open(j->i->input, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (j->in < 0 || fstat(j->in, &st) < 0)
		return err_errno(e, -errno, "%s", j->i->input);
	if (!S_ISREG(st.st_mode))
		return err_set(e, -EINVAL, "%s: is no regular file", j->i->input);
	if (pread(j->in, head, sizeof(head), 0) < 0)
		return err_errno(e, -errno, "%s", j->i->input);
	j->qcow2 = memcmp(head, "QFI\xfb", 4) == 0;
	if (!j->qcow2 && (head[510] != 0x55 || head[511] != 0xaa))
		return err_set(e, -EINVAL,
			       "%s: neither a qcow2 file nor a raw disk with a boot sector; a "
			       "cloud image for x86_64 and BIOS boot is wanted",
			       j->i->input);
	return 0;
}

/* Of a file that names others nothing is read: those would be this machine's. */
static int read_info(const struct job *j, uint64_t *ret_size, struct err *e)
{
	static const char *const argv[] = {"qemu-img",	      "info", "--output=json", "-f", NULL,
					   "/proc/self/fd/3", NULL};
	const char *args[ARRAY_SIZE(argv)];
	_cleanup_(json_free_p) cJSON *info = NULL;
	_cleanup_close_ int fd = io_tmpfile("/var/tmp", e);
	_cleanup_buf_ struct buf text = {0};
	const cJSON *data;
	int r;

	if (fd < 0)
		return fd;
	memcpy(args, argv, sizeof(argv));
	args[4] = j->qcow2 ? "qcow2" : "raw";
	r = run_qemu_img(j, args, fd, e);
	if (r < 0)
		return r;
	r = lseek(fd, 0, SEEK_SET) < 0 ? -errno : io_read_all(fd, INFO_MAX, &text);
	if (r == 0)
		r = json_parse(buf_str(&text), text.len, &info, e);
	if (r < 0)
		return err_set(e, r, "%s: qemu-img says nothing of it", j->i->input);
	data = json_get(json_get(info, "format-specific"), "data");
	if (json_get(info, "backing-filename") || json_get(data, "data-file"))
		return err_set(e, -EINVAL,
			       "%s: is only the changes of another file; qemu-img convert makes "
			       "one whole disk of them",
			       j->i->input);
	if (json_u64(info, "virtual-size", ret_size) < 0 || *ret_size == 0 || *ret_size > DISK_MAX)
		return err_set(e, -EINVAL, "%s: its disk is empty, or larger than 1 TiB",
			       j->i->input);
	return 0;
}

static int convert(struct job *j, struct err *e)
{
	const char *const argv[] = {"qemu-img",
				    "convert",
				    "-n",
				    "--target-is-zero",
				    "-f",
				    j->qcow2 ? "qcow2" : "raw",
				    "-O",
				    "raw",
				    "/proc/self/fd/3",
				    "/proc/self/fd/4",
				    NULL};
	unsigned char head[512] = {0};
	uint64_t size = 0;
	int r = read_info(j, &size, e);

	if (r < 0)
		return r;
	size = (size + BLOCK - 1) / BLOCK * BLOCK;
	if (ftruncate(j->out, (off_t)size) < 0)
		return err_errno(e, -errno, "%s: cannot write the image", j->i->output);
	progress(j, "converting the disk", true);
	r = run_qemu_img(j, argv, STDERR_FILENO, e);
	if (r < 0)
		return r;
	if (pread(j->out, head, sizeof(head), 0) < 0 || head[510] != 0x55 || head[511] != 0xaa)
		return err_set(e, -EINVAL, "%s: its disk has no boot sector", j->i->input);
	j->m->root = (struct manifest_part){0, size};
	return 0;
}

static int add_seed(struct job *j, struct err *e)
{
	_cleanup_buf_ struct buf stub = {0}, seed = {0};
	char path[PATH_MAX];
	int r;

	(void)snprintf(path, sizeof(path), "%s/worker/any-stub", j->i->firmware_dir);
	r = io_read_file(AT_FDCWD, path, STUB_MAX, &stub, e);
	if (r == 0)
		r = image_seed(buf_str(&stub), stub.len, &seed, e);
	while (r == 0 && seed.len % BLOCK != 0)
		r = buf_putc(&seed, '\0') < 0 ? err_oom(e) : 0;
	if (r < 0)
		return r;
	j->m->seed = (struct manifest_part){j->m->root.size, seed.len};
	j->m->size = j->m->root.size + seed.len;
	if (lseek(j->out, (off_t)j->m->seed.offset, SEEK_SET) < 0)
		return err_errno(e, -errno, "%s: cannot write the image", j->i->output);
	r = io_write_full(j->out, seed.data, seed.len);
	return r < 0 ? err_errno(e, r, "%s: cannot write the image", j->i->output) : 0;
}

static int describe(struct job *j, struct err *e)
{
	j->m = calloc(1, sizeof(*j->m));
	if (!j->m)
		return err_oom(e);
	j->m->firmware = true;
	j->m->arch = strdup("x86_64");
	j->m->suite = strdup("");
	j->m->cmdline = strdup("");
	j->m->root_fs = strdup("disk");
	return j->m->arch && j->m->suite && j->m->cmdline && j->m->root_fs ? 0 : err_oom(e);
}

/* The image gets its name, and then its manifest; a manifest from before would be of another. */
static int publish(struct job *j, const char *tmp, struct err *e)
{
	_cleanup_free_ char *text = manifest_print(j->m), *path = NULL;

	if (!text || asprintf(&path, "%s.json", j->i->output) < 0)
		return err_oom(e);
	if (fsync(j->out) < 0)
		return err_errno(e, -errno, "%s: cannot write the image", j->i->output);
	if (unlink(path) < 0 && errno != ENOENT)
		return err_errno(e, -errno, "%s: cannot replace", path);
	if (rename(tmp, j->i->output) < 0)
		return err_errno(e, -errno, "%s: cannot replace", j->i->output);
	return io_write_file_atomic(path, text, strlen(text), 0644, e);
}

static int make(struct job *j, const char *tmp, struct err *e)
{
	int r;

	if ((r = convert(j, e)) < 0 || (r = add_seed(j, e)) < 0)
		return r;
	progress(j, "taking its checksum", false);
	r = sha256_hex_of_fd(j->out, j->m->sha256);
	if (r < 0)
		return err_errno(e, r, "%s: cannot read the image", j->i->output);
	return publish(j, tmp, e);
}

int image_import(const struct image_import *i, struct err *e)
{
	_cleanup_(job_done) struct job j = {.i = i, .in = -1, .out = -1};
	_cleanup_free_ char *tmp = NULL;
	int r;

	if ((r = look_at_input(&j, e)) < 0 || (r = describe(&j, e)) < 0)
		return r;
	if (asprintf(&tmp, "%s.part", i->output) < 0) {
		tmp = NULL;
		return err_oom(e);
	}
	j.out = open(tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (j.out < 0 && errno == EEXIST)
		return err_set(e, -EEXIST,
			       "%s: is there already, of an import that runs or was killed; remove "
			       "it if none runs",
			       tmp);
	if (j.out < 0)
		return err_errno(e, -errno, "%s: cannot write", tmp);
	r = make(&j, tmp, e);
	if (r < 0)
		(void)unlink(tmp);
	return r;
}
