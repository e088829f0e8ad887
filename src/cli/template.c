/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Making and using memory templates. */
/*
 * A template is made by a worker of its own, which has no recipe, environment, source or workspace:
 * it boots, says that it is ready, and is saved. So nothing of any build is in it, and the build
 * that made it starts from it like every later one. While it runs, a process of its own brings the
 * file safely onto the host's disk and into the cache.
 */
#include "template.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

#include "base/child.h"
#include "base/io.h"
#include "base/num.h"
#include "manager/order.h"
#include "session.h"
#include "store.h"
#include "template-key.h"
#include "vm/tsc.h"

/* A booted worker uses 170 MiB of its memory; the rest of the file stays a hole. */
#define FILE_WORST (1 * GIB)
/* With QEMU and translated code of a manager VM 700 MiB. */
#define FILE_WORST_NESTED (2 * GIB)
/* For all that onto the host's disk. */
#define KEEP_MS 120000

static void note(struct build *b, const char *what, const char *why)
{
	b->template.what = what;
	(void)snprintf(b->template.note, sizeof(b->template.note), "%s", why);
}

static void close_files(struct template *t)
{
	fd_close(&t->memory);
	fd_close(&t->state);
	t->scratch.fd = -1;
}

/* Opens what QEMU is given; `file` is open on the template. */
static int open_files(struct template *t, const struct template_layout *l, int file, struct err *e)
{
	char self[64];

	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", file);
	t->memory = open(self, O_RDONLY | O_CLOEXEC);
	t->state = open(self, O_RDONLY | O_CLOEXEC);
	if (t->memory < 0 || t->state < 0 || lseek(t->state, (off_t)l->state, SEEK_SET) < 0 ||
	    flock(t->memory, LOCK_SH | LOCK_NB) < 0) {
		int r = err_errno(e, -errno, "the template cannot be opened");

		close_files(t);
		return r;
	}
	t->scratch.fd = t->memory;
	t->scratch.offset = l->scratch;
	return 0;
}

/* The guest counts time by the host's counter, at the pace that it was booted with. */
static int check_clock(const struct template_trailer *t, struct err *e)
{
	uint64_t now = vm_tsc_khz(), diff = MAX(now, t->tsc_khz) - MIN(now, t->tsc_khz);

	if (diff > t->tsc_khz / 200)
		return err_set(e, -ESTALE,
			       "this processor's clock runs at %llu kHz, and the template's at "
			       "%llu kHz",
			       (unsigned long long)now, (unsigned long long)t->tsc_khz);
	return 0;
}

/* True when the cache has a good one. A bad one is removed, for the reason that is noted. */
static bool find(struct build *b, const struct template_layout *l, struct template *t)
{
	struct template_trailer trailer = {0};
	struct store_entry entry;
	struct err e = ERR_INIT;
	char damage[ERR_TEXT_MAX];
	_cleanup_close_ int fd = -1;
	int r = store_find(t->store, b->template.key, 0, &fd, &entry, damage);

	if (r != 1 && !damage[0])
		return false;
	if (r != 1)
		r = err_set(&e, -EBADMSG, "%s", damage);
	else if (entry.size != l->total)
		r = err_set(&e, -EBADMSG, "it has another size");
	else
		r = template_check(fd, l, &trailer, &e);
	if (r == 0)
		r = check_clock(&trailer, &e);
	if (r == 0)
		r = open_files(t, l, fd, &e);
	if (r < 0) {
		(void)snprintf(b->template.note, sizeof(b->template.note),
			       "the kept template %.12s was removed: %s", b->template.key, e.text);
		ui_say(&b->ui, "template: %s", b->template.note);
		fd_close(&fd);
		(void)store_remove(t->store, b->template.key);
		return false;
	}
	t->scratch.room = trailer.scratch_room;
	b->template.what = "used";
	ui_say(&b->ui, "template: the worker starts from %.12s", b->template.key);
	return true;
}

static void on_wait(void *user_data)
{
	struct build *b = user_data;

	ui_say(&b->ui, "template: another build makes the same one; waiting for it");
}

static int check_room(int store, uint64_t worst, struct err *e)
{
	char needed[NUM_TEXT_MAX], left[NUM_TEXT_MAX];
	struct statvfs v;
	uint64_t free;

	if (fstatvfs(store, &v) < 0)
		return err_errno(e, -errno, "the cache");
	free = (uint64_t)v.f_bavail * v.f_frsize;
	if (free >= worst)
		return 0;
	return err_set(e, -ENOSPC, "a template may take %s, and the host's disk has %s free",
		       format_size(worst, needed), format_size(free, left));
}

/* In a process of its own: the file onto the disk and into the cache. What went wrong goes to fd.
 */
static _Noreturn void keep(const struct build *b, const struct template *t, int file, int fd)
{
	struct store_entry entry = {.made = (uint64_t)time(NULL)};
	struct err e = ERR_INIT;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)setpriority(PRIO_PROCESS, 0, 19);
	memcpy(entry.key, b->template.key, sizeof(entry.key));
	(void)snprintf(entry.label, sizeof(entry.label), "template of %s", b->spec->path);
	if (store_keep(t->store, file, &entry, &e) < 0)
		(void)io_write_full(fd, e.text, strlen(e.text));
	else
		store_evict(t->store, store_limit());
	_exit(0);
}

static int start_keeper(const struct build *b, struct template *t, int file, struct err *e)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return err_errno(e, -errno, "cannot make a pipe");
	t->keeper = fork();
	if (t->keeper == 0)
		keep(b, t, file, p[1]);
	(void)close(p[1]);
	t->keeper_says = p[0];
	return t->keeper < 0 ? err_errno(e, -errno, "cannot start a process") : 0;
}

/* The worker that becomes the template: 1, 0 with a final verdict, or negative with the reason. */
static int boot_and_save(struct build *b, const struct template_worker *w, const struct disks *d,
			 int file, int state, struct err *e)
{
	const struct session_job job = {
		.template = ORDER_TEMPLATE_SAVE,
		.memory = file,
		.state = state,
		.input_rw = d->input_rw,
		.input = d->input,
		.output = d->output,
		.scratch = d->scratch,
		.layer = w->layer,
		.scratch_full_at = d->scratch_full_at,
		.rules = w->rules,
		.n_rules = w->n_rules,
		.files = -1,
	};

	build_cgroup_make(b);
	session_run(b, &job);
	build_cgroup_judge(b);
	cgroup_done(&b->cgroup);
	b->spent = b->peak;
	switch (b->verdict.kind) {
	case VERDICT_BUILT:
		return 1;
	case VERDICT_LIMIT:
	case VERDICT_INTERRUPTED:
		return 0;
	case VERDICT_FAILED:
	case VERDICT_USAGE:
	case VERDICT_DENIED:
	case VERDICT_INFRASTRUCTURE:
		break;
	}
	return err_set(e, -EIO, "%s", b->verdict.reason);
}

static uint64_t allocated(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

/* As boot_and_save, with the file completed and on its way into the cache. */
static int make_file(struct build *b, const struct template_worker *w,
		     const struct template_layout *l, struct template *t, struct err *e)
{
	const struct disks_request q = {.dir = w->cache,
					.spec = b->spec,
					.rules = w->rules,
					.n_rules = w->n_rules,
					.template = true,
					.layer = w->layer >= 0};
	struct template_trailer trailer = {.tsc_khz = vm_tsc_khz()};
	_cleanup_(disks_done) struct disks disks = DISKS_INIT;
	_cleanup_close_ int file = io_tmpfile(w->cache, e), state = -1;
	uint64_t used;
	char self[64];
	int r;

	if (file < 0)
		return file;
	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", file);
	state = open(self, O_RDWR | O_CLOEXEC);
	if (state < 0 || ftruncate(file, (off_t)l->total) < 0 ||
	    lseek(state, (off_t)l->state, SEEK_SET) < 0)
		return err_errno(e, -errno, "%s: cannot make a file for the template", w->cache);
	r = disks_make(&q, &disks, e);
	if (r == 0)
		r = boot_and_save(b, w, &disks, file, state, e);
	if (r != 1)
		return r;
	used = allocated(disks.scratch);
	trailer.scratch_room = disks.scratch_full_at - MIN(used, disks.scratch_full_at);
	r = template_complete(file, l, disks.scratch, &trailer, e);
	if (r == 0)
		r = start_keeper(b, t, file, e);
	if (r == 0)
		r = open_files(t, l, file, e);
	t->scratch.room = trailer.scratch_room;
	return r < 0 ? r : 1;
}

static int make(struct build *b, const struct template_worker *w, const struct template_layout *l,
		struct template *t, struct err *e)
{
	uint64_t began = build_now(b);
	_cleanup_close_ int lock = -1;
	char took[NUM_TEXT_MAX];
	int r = check_room(t->store, b->nested ? FILE_WORST_NESTED : FILE_WORST, e);

	if (r == 0)
		r = lock = store_lock(t->store, b->template.key, b->opt.boot_ms + KEEP_MS, on_wait,
				      b, e);
	if (r < 0)
		return r;
	/* somebody may have made it meanwhile */
	if (!b->opt.refresh && find(b, l, t))
		return 1;
	r = make_file(b, w, l, t, e);
	if (r == 1) {
		b->template.what = "made";
		ui_say(&b->ui, "template: %.12s is made, in %s; the worker starts from it",
		       b->template.key, format_duration(build_now(b) - began, took));
	}
	return r;
}

/* Why a build of this kind has none; NULL: it may have. */
static const char *not_wanted(const struct build *b)
{
	if (b->opt.cold)
		return "--cold";
	if (!b->spec->template)
		return "template: off in the spec";
	if (b->nested && b->plan.kvm)
		return "a manager VM that has KVM is started anew for each build";
	if (b->manifest->firmware)
		return "an imported image boots by itself";
	if (b->play == PLAY_RUN && !b->layer.content[0])
		return "the layer that it would be made from is not kept";
	if (!disks_can_restore(b->manifest->arch))
		return "nothing can reseed the random numbers of a restored worker of this "
		       "architecture";
	return NULL;
}

bool template_get(struct build *b, const struct template_worker *w, struct template *t)
{
	const struct spec_limits *limits = &b->spec->limits;
	const struct template_layout l =
		template_layout(b->nested ? b->plan.memory : limits->memory, limits->disk);
	const char *off = not_wanted(b);
	struct err e = ERR_INIT;
	int r;

	if (off) {
		note(b, "off", off);
		return true;
	}
	r = b->nested ? session_manager_image(b, &e) : 0;
	if (r == 0)
		r = template_key(b, w, b->template.key, &e);
	if (r == 0)
		r = t->store = store_open(w->cache, &e);
	if (r >= 0 && !b->opt.refresh && find(b, &l, t))
		return true;
	if (r >= 0)
		r = make(b, w, &l, t, &e);
	if (r < 0) {
		close_files(t);
		note(b, "none", e.text);
		ui_say(&b->ui, "template: none: %s; the worker boots", e.text);
	}
	return r != 0;
}

void template_failed(struct build *b, struct template *t, const char *why)
{
	char text[ERR_TEXT_MAX];

	(void)snprintf(text, sizeof(text), "%.12s did not work and was removed: %.1900s",
		       b->template.key, why);
	note(b, "failed", text);
	ui_say(&b->ui, "template: %s; the worker boots", text);
	close_files(t);
	template_done(b, t);
	t->store = -1;
}

/* Waits for the keeper, and reads what went wrong. */
static void end_keeper(struct template *t, struct buf *says)
{
	struct pollfd p = {.fd = t->keeper_says, .events = POLLIN};
	uint64_t now = io_now_ms(), end = now + KEEP_MS;
	int n;

	do {
		n = poll(&p, 1, (int)(end - now));
		now = io_now_ms();
	} while (n < 0 && errno == EINTR && now < end);
	if (n > 0) {
		(void)io_read_all(t->keeper_says, ERR_TEXT_MAX / 2, says);
	} else {
		(void)kill(t->keeper, SIGKILL);
		(void)buf_puts(says, "the host's disk does not take it");
	}
	(void)child_wait(t->keeper, NULL);
}

void template_done(struct build *b, struct template *t)
{
	_cleanup_buf_ struct buf says = {0};
	bool failed = b->template.what && strcmp(b->template.what, "failed") == 0;

	close_files(t);
	if (t->keeper > 0)
		end_keeper(t, &says);
	t->keeper = -1;
	fd_close(&t->keeper_says);
	if (failed && t->store >= 0)
		(void)store_remove(t->store, b->template.key);
	fd_close(&t->store);
	if (says.len > 0 && !failed) {
		(void)snprintf(b->template.note, sizeof(b->template.note),
			       "it is not kept for later builds: %s", buf_str(&says));
		ui_say(&b->ui, "template: %s", b->template.note);
	}
}
