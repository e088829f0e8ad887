/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Making the manager VM's image, keyed by the SHA-256 of everything that goes in. */
#include "manager-image.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/io.h"
#include "debian-kernel.h"
#include "legacy-lz4.h"
#include "manager-files.h"
#include "stamps.h"
#include "tmpdir.h"

#define KERNEL_MAX	 (64 * MIB)
#define WANTED_MAX	 (64 * KIB)
#define MANIFEST_MAX	 (1 * MIB)
#define LOCK_DEADLINE_MS 300000
#define LOCK_POLL_MS	 50

/* A kernel that cannot go on must end its machine: the host then has the console to show. */
#define CMDLINE "console=ttyS0 quiet panic=-1"

struct making {
	const struct manager_image_spec *s;
	struct rootfs files;
	struct stamps *stamps;
	struct buf inputs; /* one line for each input; the key is its hash, the manifest has it */
	char *wanted;	   /* the list of modules */
	char *deb;	   /* the kernel package, or NULL */
	struct modules modules;
	struct manager_image out;
};

static void say(const struct making *m, const char *text)
{
	if (m->s->say)
		m->s->say(text, m->s->user_data);
}

/* The folder's lock, held while the descriptor is open. */
static int take_lock(const char *dir, struct err *e)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int fd = -1;
	uint64_t end = io_now_ms() + LOCK_DEADLINE_MS;

	if (asprintf(&path, "%s/lock", dir) < 0) {
		path = NULL;
		return err_oom(e);
	}
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(e, -errno, "%s: cannot open", path);
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_errno(e, -errno, "%s: cannot lock", path);
		if (io_now_ms() > end)
			return err_set(e, -ETIMEDOUT,
				       "%s: another contractor has been making the manager's image "
				       "for over five minutes",
				       path);
		(void)poll(NULL, 0, LOCK_POLL_MS);
	}
	return take_fd(&fd);
}

static int add_input(struct making *m, mode_t mode, const char *name, const char *what)
{
	return buf_printf(&m->inputs, "%o %s %s\n", (unsigned)mode, name, what);
}

static int add_file_inputs(struct making *m, struct err *e)
{
	char hash[SHA256_HEX_SIZE];
	int r = 0;

	for (size_t i = 0; i < m->files.n && r == 0; i++) {
		const struct rootfs_entry *v = &m->files.v[i];

		if (v->source) {
			r = stamps_hash(m->stamps, v->source, hash, e);
			if (r < 0)
				return r;
			r = add_input(m, v->mode, v->name, hash);
		} else if (!S_ISDIR(v->mode)) {
			r = add_input(m, v->mode, v->name, buf_str(&v->data));
		}
	}
	return r < 0 ? err_oom(e) : 0;
}

static int add_kernel_inputs(struct making *m, struct err *e)
{
	const struct manager_image_spec *s = m->s;
	char hash[SHA256_HEX_SIZE];
	int r;

	if (!s->kernel) {
		r = debian_kernel_fetch(s->cache_dir, s->fetch, &m->deb, e);
		if (r == 0)
			r = stamps_hash(m->stamps, m->deb, hash, e);
		if (r < 0)
			return r;
		if (add_input(m, 0, "kernel package", hash) < 0 ||
		    add_input(m, 0, "modules", sha256_hex_of(m->wanted, strlen(m->wanted), hash)) <
			    0)
			return err_oom(e);
		return 0;
	}
	r = stamps_hash(m->stamps, s->kernel, hash, e);
	if (r == 0)
		r = modules_find(s->modules, m->wanted, &m->modules, e);
	if (r < 0)
		return r;
	if (add_input(m, 0, "kernel", hash) < 0)
		return err_oom(e);
	for (size_t i = 0; i < m->modules.n; i++) {
		const struct module *v = &m->modules.v[i];

		(void)sha256_hex_of(v->content.data, v->content.len, hash);
		if (add_input(m, v->optional, v->name, hash) < 0)
			return err_oom(e);
	}
	return 0;
}

static int find_key(struct making *m, struct err *e)
{
	_cleanup_free_ char *wanted = NULL, *stamps = NULL;
	_cleanup_buf_ struct buf text = {0};
	int r;

	if (asprintf(&wanted, "%s/manager/modules", m->s->firmware_dir) < 0)
		wanted = NULL;
	if (asprintf(&stamps, "%s/stamps", m->s->cache_dir) < 0)
		stamps = NULL;
	if (!wanted || !stamps || stamps_load(stamps, &m->stamps) < 0)
		return err_oom(e);
	r = io_read_file(AT_FDCWD, wanted, WANTED_MAX, &text, e);
	if (r < 0)
		return r;
	m->wanted = buf_take(&text);
	if (!m->wanted)
		return err_oom(e);
	r = manager_files_add(m->s, &m->files, e);
	if (r < 0)
		return r;
	if (rootfs_complete(&m->files) < 0 ||
	    buf_printf(&m->inputs, "manager image %d %s\n", MANAGER_IMAGE_FORMAT, CMDLINE) < 0)
		return err_oom(e);
	r = add_file_inputs(m, e);
	if (r == 0)
		r = add_kernel_inputs(m, e);
	if (r == 0)
		r = stamps_save(m->stamps, e);
	if (r == 0)
		(void)sha256_hex_of(m->inputs.data, m->inputs.len, m->out.key);
	return r;
}

static char *manifest_path(const char *path)
{
	char *out = NULL;

	return asprintf(&out, "%s.json", path) < 0 ? NULL : out;
}

/* True when the image is there, of this key, and as long as its manifest says. */
static bool is_made(struct making *m)
{
	_cleanup_free_ char *json = manifest_path(m->out.path);
	_cleanup_buf_ struct buf text = {0};
	struct manager_image have = {0};
	struct stat st;
	bool same;

	if (!json || io_read_file(AT_FDCWD, json, MANIFEST_MAX, &text, NULL) < 0 ||
	    manager_image_parse(buf_str(&text), text.len, &have, NULL) < 0)
		return false;
	same = strcmp(have.key, m->out.key) == 0 && stat(m->out.path, &st) == 0 &&
	       (uint64_t)st.st_size == have.initrd.offset + have.initrd.size;
	if (same) {
		m->out.kernel = have.kernel;
		m->out.initrd = have.initrd;
		m->out.cmdline = take_ptr(&have.cmdline);
	}
	manager_image_done(&have);
	return same;
}

static int write_manifest(struct making *m, struct err *e)
{
	_cleanup_free_ char *text = NULL, *path = manifest_path(m->out.path);

	text = manager_image_print(&m->out, m->s->arch, m->s->busybox != NULL, buf_str(&m->inputs));
	if (!text || !path)
		return err_oom(e);
	return io_write_file_atomic(path, text, strlen(text), 0644, e);
}

/* The kernel and its modules out of the package, where they were not given. */
static int find_kernel(struct making *m, struct buf *kernel, struct err *e)
{
	_cleanup_free_ char *path = NULL, *modules = NULL;
	_cleanup_tmpdir_ char *tmp = NULL;
	int r;

	if (m->s->kernel)
		return io_read_file(AT_FDCWD, m->s->kernel, KERNEL_MAX, kernel, e);
	r = tmpdir_make(m->s->cache_dir, &tmp, e);
	if (r == 0)
		r = debian_kernel_unpack(m->deb, tmp, &path, &modules, e);
	if (r == 0)
		r = modules_find(modules, m->wanted, &m->modules, e);
	if (r == 0)
		r = io_read_file(AT_FDCWD, path, KERNEL_MAX, kernel, e);
	return r;
}

/* Under a name that the next run takes as well, so that a killed one leaves no more than that. */
static int write_image(struct making *m, const struct buf *kernel, const struct buf *archive,
		       struct err *e)
{
	_cleanup_free_ char *tmp = NULL;
	_cleanup_close_ int fd = -1;
	off_t end = -1;
	int r;

	if (asprintf(&tmp, "%s.new", m->out.path) < 0) {
		tmp = NULL;
		return err_oom(e);
	}
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_errno(e, -errno, "%s: cannot write", tmp);
	m->out.kernel = (struct manifest_part){0, kernel->len};
	r = io_write_full(fd, kernel->data, kernel->len);
	if (r == 0)
		r = lz4_write(fd, archive->data, archive->len);
	if (r == 0 && (end = lseek(fd, 0, SEEK_CUR)) < 0)
		r = -errno;
	if (r == 0 && rename(tmp, m->out.path) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlink(tmp);
		return err_errno(e, r, "%s: cannot write", m->out.path);
	}
	m->out.initrd = (struct manifest_part){kernel->len, (uint64_t)end - kernel->len};
	return 0;
}

static int make_image(struct making *m, struct err *e)
{
	_cleanup_buf_ struct buf kernel = {0}, archive = {0};
	int r;

	say(m, "making the manager VM's image");
	m->out.made = true;
	m->out.cmdline = strdup(CMDLINE);
	if (!m->out.cmdline)
		return err_oom(e);
	r = find_kernel(m, &kernel, e);
	if (r < 0)
		return r;
	if (manager_files_add_modules(&m->files, &m->modules) < 0 || rootfs_complete(&m->files) < 0)
		return err_oom(e);
	r = rootfs_pack(&m->files, &archive, e);
	if (r == 0)
		r = write_image(m, &kernel, &archive, e);
	return r < 0 ? r : write_manifest(m, e);
}

/* "manager-x86_64-", "manager-x86_64-debug-": what all images of the kind begin with. */
static int name_prefix(const struct making *m, char *out, size_t size)
{
	return snprintf(out, size, "manager-%s%s-", m->s->arch, m->s->busybox ? "-debug" : "");
}

/* Images of other keys: who runs one has it open, and will not come back to the name. */
static void drop_others(const struct making *m)
{
	const char *own = strrchr(m->out.path, '/') + 1;
	char prefix[64];
	int n = name_prefix(m, prefix, sizeof(prefix));
	DIR *d = opendir(m->s->cache_dir);
	struct dirent *ent;

	while (d && (ent = readdir(d))) {
		const char *rest = ent->d_name + n;

		/* the key is hexadecimal: "debug-" is another kind */
		if (strncmp(ent->d_name, prefix, (size_t)n) == 0 &&
		    strspn(rest, "0123456789abcdef") == 16 &&
		    strncmp(ent->d_name, own, strlen(own)) != 0)
			(void)unlinkat(dirfd(d), ent->d_name, 0);
	}
	if (d)
		(void)closedir(d);
}

static int name_image(struct making *m, struct err *e)
{
	char prefix[64];

	(void)name_prefix(m, prefix, sizeof(prefix));
	if (m->s->output)
		m->out.path = strdup(m->s->output);
	else if (asprintf(&m->out.path, "%s/%s%.16s.img", m->s->cache_dir, prefix, m->out.key) < 0)
		m->out.path = NULL;
	if (m->out.path)
		return 0;
	(void)err_oom(e);
	return -ENOMEM;
}

static int make_or_find(struct making *m, int *ret_fd, struct err *e)
{
	int r = find_key(m, e);

	if (r == 0)
		r = name_image(m, e);
	if (r == 0 && (m->s->output || !is_made(m))) {
		r = make_image(m, e);
		if (r == 0 && !m->s->output)
			drop_others(m);
	}
	if (r == 0 && ret_fd) {
		*ret_fd = open(m->out.path, O_RDONLY | O_CLOEXEC);
		if (*ret_fd < 0)
			r = err_errno(e, -errno, "%s: cannot open", m->out.path);
	}
	return r;
}

int manager_image_make(const struct manager_image_spec *s, struct manager_image *ret, int *ret_fd,
		       struct err *e)
{
	_cleanup_close_ int lock = -1;
	struct making m = {.s = s};
	int r = io_mkdir_p(s->cache_dir, 0700, e);

	if (r < 0)
		return r;
	lock = take_lock(s->cache_dir, e);
	if (lock < 0)
		return lock;
	tmpdir_sweep(s->cache_dir);
	r = make_or_find(&m, ret_fd, e);
	if (r < 0)
		manager_image_done(&m.out);
	else
		*ret = m.out;
	rootfs_done(&m.files);
	m.stamps = stamps_free(m.stamps);
	buf_done(&m.inputs);
	free(m.wanted);
	free(m.deb);
	modules_done(&m.modules);
	return r;
}
