/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Making the disks. All are O_TMPFILE: a killed build leaves none behind. */
#include "disks.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "archive/input.h"
#include "base/io.h"
#include "base/json.h"
#include "net/ruleset.h"
#include "paths.h"
#include "scratch.h"
#include "template-file.h"

/*
 * The input disk must have its size when QEMU opens it, before the packer knows it; as a hole it
 * costs nothing, and the archive's end marker says where it ends.
 */
#define INPUT_SIZE (1024 * GIB)

#define DRIVER_MAX (512 * KIB)

/* Workers of another architecture than this program's are never restored. */
#if defined(__x86_64__)
#define OUR_ARCH "x86_64"
#elif defined(__aarch64__)
#define OUR_ARCH "aarch64"
#else
#define OUR_ARCH ""
#endif
#define RENEW	"worker/renew." OUR_ARCH
#define CHANGES "worker/changes." OUR_ARCH

/* export NAME='value' lines that any POSIX sh reads back byte for byte. */
static int make_env_file(const struct spec *spec, struct buf *out)
{
	int r = 0;

	for (size_t i = 0; i < spec->n_env && r == 0; i++) {
		r = buf_printf(out, "export %s='", spec->env[i].name);
		for (const char *p = spec->env[i].value; *p && r == 0; p++)
			r = *p == '\'' ? buf_puts(out, "'\\''") : buf_putc(out, *p);
		if (r == 0)
			r = buf_puts(out, "'\n");
	}
	return r;
}

/* What the driver sets up without asking: NAME=VALUE lines, only when there is a network. */
static int make_network_file(const struct disks_request *q, struct buf *out)
{
	const struct net_rule *rules = q->rules;
	char host_text[INET6_ADDRSTRLEN], worker_text[INET6_ADDRSTRLEN];
	struct in6_addr host6, worker6;
	struct in_addr host, worker;
	int r;

	ruleset_pick_subnet(rules, q->n_rules, &host, &worker);
	(void)inet_ntop(AF_INET, &host, host_text, sizeof(host_text));
	(void)inet_ntop(AF_INET, &worker, worker_text, sizeof(worker_text));
	r = buf_printf(out, "address=%s\nnetmask=255.255.255.0\ngateway=%s\nresolver=%s\n",
		       worker_text, host_text, host_text);
	if (r < 0 || !ruleset_pick_subnet6(rules, q->n_rules, &host6, &worker6))
		return r;
	(void)inet_ntop(AF_INET6, &host6, host_text, sizeof(host_text));
	(void)inet_ntop(AF_INET6, &worker6, worker_text, sizeof(worker_text));
	return buf_printf(out, "address6=%s\ngateway6=%s\n", worker_text, host_text);
}

static int read_firmware(const char *name, struct buf *out, struct err *e)
{
	_cleanup_free_ char *firmware = NULL, *path = NULL;
	int r = paths_firmware(&firmware, e);

	if (r < 0)
		return r;
	path = paths_join(firmware, name);
	return path ? io_read_file(AT_FDCWD, path, DRIVER_MAX, out, e) : err_oom(e);
}

int disks_read_driver(struct buf *out, struct err *e)
{
	int r = read_firmware("worker/driver", out, e);

	if (r == 0)
		r = read_firmware("worker/failed_task.py", out, e);
	(void)read_firmware(RENEW, out, NULL);
	(void)read_firmware(CHANGES, out, NULL);
	return r;
}

bool disks_can_restore(const char *arch)
{
	_cleanup_buf_ struct buf renew = {0};

	return strcmp(arch, OUR_ARCH) == 0 && read_firmware(RENEW, &renew, NULL) == 0;
}

/* The files of the first archive, in the order in which they are added. */
struct head {
	struct input_file files[8];
	size_t n;
};

static void add(struct head *h, const char *name, const void *data, size_t len, mode_t mode)
{
	h->files[h->n++] = (struct input_file){name, data, len, mode};
}

static int write_head(int fd, const struct disks_request *q, struct err *e)
{
	_cleanup_buf_ struct buf driver = {0}, env = {0}, network = {0}, callback = {0},
				 renew = {0}, changes = {0};
	_cleanup_free_ char *playbook = q->prepare ? json_print(q->spec->ansible) : NULL;
	struct head h = {.n = 0};
	int r = read_firmware("worker/driver", &driver, e);

	if (r == 0 && q->prepare)
		r = read_firmware("worker/failed_task.py", &callback, e);
	if (r < 0)
		return r;
	if (make_env_file(q->spec, &env) < 0 || (q->prepare && !playbook) ||
	    (q->n_rules > 0 && make_network_file(q, &network) < 0))
		return err_oom(e);
	add(&h, "driver", driver.data, driver.len, 0755);
	if (!q->prepare && read_firmware(RENEW, &renew, NULL) == 0)
		add(&h, "renew", renew.data, renew.len, 0755);
	if (!q->prepare && read_firmware(CHANGES, &changes, NULL) == 0)
		add(&h, "changes", changes.data, changes.len, 0755);
	if (q->n_rules > 0)
		add(&h, "network", buf_str(&network), network.len, 0644);
	if (q->layer)
		add(&h, "layer", "", 0, 0644);
	if (q->prepare) {
		add(&h, "playbook", playbook, strlen(playbook), 0644);
		add(&h, "failed_task.py", callback.data, callback.len, 0644);
		if (q->repositories)
			add(&h, "repositories", "", 0, 0644);
	} else if (!q->template) {
		add(&h, "recipe", q->spec->build, strlen(q->spec->build), 0644);
		add(&h, "env", buf_str(&env), env.len, 0644);
		if (q->shell)
			add(&h, "shell", q->shell, strlen(q->shell), 0644);
	}
	return input_write_head(fd, h.files, h.n, e);
}

static int make_hole(int fd, uint64_t at, uint64_t n)
{
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)n);
}

static int make_input(const struct disks_request *q, struct disks *d, struct err *e)
{
	char self[64];
	int r;

	d->input_rw = q->input ? fcntl(q->input->fd, F_DUPFD_CLOEXEC, 0) : io_tmpfile(q->dir, e);
	if (d->input_rw < 0)
		return q->input ? err_errno(e, -errno, "the input disk") : d->input_rw;
	if (q->input && (make_hole(d->input_rw, 0, INPUT_HEAD_SIZE) < 0 ||
			 make_hole(d->input_rw, q->input->end, INPUT_SIZE - q->input->end) < 0))
		return err_errno(e, -errno, "%s: cannot empty a part of the input disk", q->dir);
	if (ftruncate(d->input_rw, INPUT_SIZE) < 0)
		return err_errno(e, -errno, "%s: cannot make a sparse file of 1 TiB for the input",
				 q->dir);
	if (lseek(d->input_rw, 0, SEEK_SET) < 0)
		return err_errno(e, -errno, "the input disk");
	r = write_head(d->input_rw, q, e);
	if (r < 0)
		return r;
	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", d->input_rw);
	d->input = open(self, O_RDONLY | O_CLOEXEC);
	if (d->input < 0)
		return err_errno(e, -errno, "cannot open the input disk read-only");
	return 0;
}

static int make_fixed(const char *dir, uint64_t size, const char *what, int *ret, struct err *e)
{
	int fd = io_tmpfile(dir, e);

	if (fd < 0)
		return fd;
	*ret = fd;
	if (ftruncate(fd, (off_t)size) < 0)
		return err_errno(e, -errno, "%s: cannot make the %s disk", dir, what);
	return 0;
}

static int make_scratch(uint64_t size, struct disks *d, struct err *e)
{
	int r = scratch_format(d->scratch, size, e);

	return r < 0 ? r : scratch_full_mark(d->scratch, &d->scratch_full_at, e);
}

/* As a template's worker has left it, to whose memory it belongs, or a stock system's disk. */
static int copy_scratch(const struct disks_copy *from, uint64_t size, struct disks *d,
			struct err *e)
{
	int r = template_copy(from->fd, from->offset, d->scratch, 0, size);
	struct stat st = {0};

	if (r == 0 && fstat(d->scratch, &st) < 0)
		r = -errno;
	if (r < 0)
		return err_errno(e, r, "cannot copy the scratch disk");
	d->scratch_full_at = (uint64_t)st.st_blocks * 512 + from->room;
	return 0;
}

int disks_make(const struct disks_request *q, struct disks *ret, struct err *e)
{
	const struct spec_limits *l = &q->spec->limits;
	struct disks d = DISKS_INIT;
	int r = make_input(q, &d, e);

	if (r == 0)
		r = make_fixed(q->dir, q->prepare ? DISKS_NO_OUTPUT : l->output, "output",
			       &d.output, e);
	if (r == 0)
		r = make_fixed(q->dir, l->disk, "scratch", &d.scratch, e);
	if (r == 0)
		r = q->scratch ? copy_scratch(q->scratch,
					      q->scratch->size ? q->scratch->size : l->disk, &d, e)
			       : make_scratch(l->disk, &d, e);
	if (r < 0) {
		disks_done(&d);
		return r;
	}
	*ret = d;
	return 0;
}

void disks_done(struct disks *d)
{
	fd_close(&d->input_rw);
	fd_close(&d->input);
	fd_close(&d->output);
	fd_close(&d->scratch);
}
