/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Making the disks. All are O_TMPFILE: a killed build leaves none behind. */
#include "disks.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "archive/input.h"
#include "base/child.h"
#include "base/io.h"
#include "net/ruleset.h"
#include "paths.h"

/*
 * The input disk must have its size when QEMU opens it, before the packer knows it; as a hole it
 * costs nothing, and the archive's end marker says where it ends.
 */
#define INPUT_SIZE (1024 * GIB)

#define DRIVER_MAX (512 * KIB)

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
static int make_network_file(const struct spec *spec, struct buf *out)
{
	const struct net_rule *rules = spec->network.rules;
	char host_text[INET6_ADDRSTRLEN], worker_text[INET6_ADDRSTRLEN];
	struct in6_addr host6, worker6;
	struct in_addr host, worker;
	int r;

	ruleset_pick_subnet(rules, spec->network.n_rules, &host, &worker);
	(void)inet_ntop(AF_INET, &host, host_text, sizeof(host_text));
	(void)inet_ntop(AF_INET, &worker, worker_text, sizeof(worker_text));
	r = buf_printf(out, "address=%s\nnetmask=255.255.255.0\ngateway=%s\nresolver=%s\n",
		       worker_text, host_text, host_text);
	if (r < 0 || !ruleset_pick_subnet6(rules, spec->network.n_rules, &host6, &worker6))
		return r;
	(void)inet_ntop(AF_INET6, &host6, host_text, sizeof(host_text));
	(void)inet_ntop(AF_INET6, &worker6, worker_text, sizeof(worker_text));
	return buf_printf(out, "address6=%s\ngateway6=%s\n", worker_text, host_text);
}

static int write_head(int fd, const struct spec *spec, struct err *e)
{
	_cleanup_free_ char *firmware = NULL, *path = NULL;
	_cleanup_buf_ struct buf driver = {0}, env = {0}, network = {0};
	bool online = spec->network.n_rules > 0;
	int r = paths_firmware(&firmware, e);

	if (r < 0)
		return r;
	path = paths_join(firmware, "worker/driver");
	if (!path)
		return err_oom(e);
	r = io_read_file(AT_FDCWD, path, DRIVER_MAX, &driver, e);
	if (r < 0)
		return r;
	if (make_env_file(spec, &env) < 0 || (online && make_network_file(spec, &network) < 0))
		return err_oom(e);
	const struct input_file files[] = {
		{"driver", driver.data, driver.len, 0755},
		{"recipe", spec->build, strlen(spec->build), 0644},
		{"env", buf_str(&env), env.len, 0644},
		{"network", buf_str(&network), network.len, 0644},
	};
	return input_write_head(fd, files, ARRAY_SIZE(files) - !online, e);
}

static int make_input(const char *dir, const struct spec *spec, struct disks *d, struct err *e)
{
	char self[64];
	int r;

	d->input_rw = io_tmpfile(dir, e);
	if (d->input_rw < 0)
		return d->input_rw;
	if (ftruncate(d->input_rw, INPUT_SIZE) < 0)
		return err_errno(e, -errno, "%s: cannot make a sparse file of 1 TiB for the input",
				 dir);
	r = write_head(d->input_rw, spec, e);
	if (r < 0)
		return r;
	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", d->input_rw);
	d->input = open(self, O_RDONLY | O_CLOEXEC);
	if (d->input < 0)
		return err_errno(e, -errno, "cannot open the input disk read-only");
	return 0;
}

static int format_scratch(int fd, uint64_t size, struct err *e)
{
	static const char *const places[] = {"/sbin/mke2fs", "/usr/sbin/mke2fs", "mke2fs"};
	const struct child_fd fds[] = {{fd, 3}};
	char kib[32], text[64];
	const char *argv[] = {"mke2fs", "-q", "-F", "-t", "ext4",
			      /* no journal: the disk is thrown away, a crash loses nothing */
			      "-O", "^has_journal,^resize_inode,^metadata_csum,uninit_bg", "-E",
			      "lazy_itable_init=1,nodiscard,root_owner=0:0", "-m", "0", "-i",
			      "8192", "/proc/self/fd/3", kib, NULL};
	struct child_spec spec = {.argv = argv, .fds = fds, .n_fds = 1, .no_new_privs = 1};
	int status, r;
	pid_t pid;

	(void)snprintf(kib, sizeof(kib), "%" PRIu64 "k", size / 1024);
	spec.path = places[ARRAY_SIZE(places) - 1];
	for (size_t i = 0; i < ARRAY_SIZE(places) - 1; i++) {
		if (access(places[i], X_OK) == 0) {
			spec.path = places[i];
			break;
		}
	}
	pid = child_spawn(&spec, e);
	if (pid == -ENOENT)
		return err_set(e, -ENOENT, "mke2fs is missing; install e2fsprogs");
	if (pid < 0)
		return (int)pid;
	r = child_wait(pid, &status);
	if (r < 0 || status != 0)
		return err_set(e, -EIO, "mke2fs could not format the scratch disk: %s",
			       child_status_text(status, text, sizeof(text)));
	return 0;
}

/*
 * When the scratch disk counts as full. The file begins as a hole and never shrinks (QEMU ignores
 * discards on it), so its allocated blocks are a high-water mark that the guest cannot lower: what
 * mke2fs wrote, and every block that the guest has ever written. The last twentieth is left out:
 * the guest may drop what is still dirty in its memory, and inode tables stay holes when they are
 * unused.
 *
 * ext4 super block (Documentation/filesystems/ext4/super.rst), at byte 1024: 0x0c free blocks, 0x18
 * log2(block size) - 10, 0x38 magic, 0x60 incompatible features (0x80: 64bit), 0x158 free blocks,
 * high.
 */
static int find_full_mark(int fd, uint64_t *ret, struct err *e)
{
	unsigned char sb[1024];
	uint32_t lo, hi = 0, shift, incompat;
	uint16_t magic;
	struct stat st;
	uint64_t capacity;

	if (pread(fd, sb, sizeof(sb), 1024) != (ssize_t)sizeof(sb) || fstat(fd, &st) < 0)
		return err_errno(e, -errno, "cannot read the scratch disk back");
	memcpy(&magic, sb + 0x38, sizeof(magic));
	memcpy(&lo, sb + 0x0c, sizeof(lo));
	memcpy(&shift, sb + 0x18, sizeof(shift));
	memcpy(&incompat, sb + 0x60, sizeof(incompat));
	if (le32toh(incompat) & 0x80)
		memcpy(&hi, sb + 0x158, sizeof(hi));
	if (le16toh(magic) != 0xef53 || le32toh(shift) > 6)
		return err_set(e, -EIO, "mke2fs made something else than an ext4 file system");
	capacity = ((uint64_t)le32toh(hi) << 32 | le32toh(lo)) << (10 + le32toh(shift));
	*ret = (uint64_t)st.st_blocks * 512 + capacity / 20 * 19;
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

int disks_make(const char *dir, const struct spec *spec, struct disks *ret, struct err *e)
{
	struct disks d = DISKS_INIT;
	int r = make_input(dir, spec, &d, e);

	if (r == 0)
		r = make_fixed(dir, spec->limits.output, "output", &d.output, e);
	if (r == 0)
		r = make_fixed(dir, spec->limits.disk, "scratch", &d.scratch, e);
	if (r == 0)
		r = format_scratch(d.scratch, spec->limits.disk, e);
	if (r == 0)
		r = find_full_mark(d.scratch, &d.scratch_full_at, e);
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
