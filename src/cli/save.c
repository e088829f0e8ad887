/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The end of a build: what the worker returned becomes the workspace. */
#include "save.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "archive/layer.h"
#include "archive/output.h"
#include "base/io.h"
#include "base/num.h"
#include "workspace.h"

/* Reading the output disk and writing the workspace, at worst: 2 GiB in small files. */
#define SAVE_DEADLINE_MS 1800000

/* What of the base is not in the workspace already: only that is copied. */
static uint64_t to_be_copied(const struct output_base *base)
{
	struct layer_entry n;
	uint64_t sum = 0;
	size_t at = 0;

	while (layer_next(base->list, base->len, &at, &n)) {
		if (n.type == FILTER_FILE && (!n.copy.valid || base->workspace_fd < 0))
			sum += n.size;
	}
	return sum;
}

/* What the worker wrote will take about as much again in the workspace's file system. */
static int check_space(struct build *b, const struct disks *d, const struct output_base *base,
		       struct err *e)
{
	char needed[NUM_TEXT_MAX], left[NUM_TEXT_MAX];
	struct statvfs v;
	struct stat st;
	uint64_t need, free;

	if (fstat(d->output, &st) < 0 || fstatvfs(b->workspace.parent_fd, &v) < 0)
		return err_errno(e, -errno, "%s: cannot see how much is free", b->workspace.path);
	need = filter_sum((uint64_t)st.st_blocks * 512, to_be_copied(base));
	free = (uint64_t)v.f_bavail * v.f_frsize;
	if (need <= free)
		return 0;
	return err_set(e, -ENOSPC,
		       "%s: there is no room for it: it needs %s, and the host's disk has %s free",
		       b->workspace.path, format_size(need, needed), format_size(free, left));
}

/* The verdict of what was refused. */
static void refuse(struct build *b, int r, const char *hit, const struct output_result *res,
		   const struct err *e)
{
	const struct spec_limits *l = &b->spec->limits;
	bool files = hit && strcmp(hit, "files") == 0;
	uint64_t granted = files ? l->files : l->output, used = files ? res->entries : res->bytes;
	int code = b->verdict.exit_code;

	/* a refusal comes before the entry that is too much is counted */
	if (r == -E2BIG && hit)
		b->verdict = verdict_limit(hit, granted, MAX(used, granted + 1), build_now(b));
	else
		b->verdict = verdict_make(VERDICT_INFRASTRUCTURE,
					  "the worker's output was refused: %s", e->text);
	b->verdict.exit_code = code;
}

/* The new workspace stands: its input disk is good for the next build. */
static void keep(struct build *b, const struct disks *d, struct kept *k, int laid_fd)
{
	_cleanup_buf_ struct buf laid = {.cap = OUTPUT_LAID_MAX};

	if (laid_fd < 0 || lseek(laid_fd, 0, SEEK_SET) < 0 ||
	    io_read_all(laid_fd, OUTPUT_LAID_MAX, &laid) < 0)
		return;
	/* a file's time of change is its last only when the old tree has let go of it */
	workspace_settle(&b->workspace);
	kept_put(b, k, d->input_rw, laid.data, laid.len);
}

void save_workspace(struct build *b, const struct disks *d, struct kept *k)
{
	_cleanup_close_ int laid = b->base.len > 0 ? memfd_create("laid", MFD_CLOEXEC) : -1;
	const struct output_base base = {.fd = d->input_rw,
					 .list = buf_str(&b->base),
					 .len = b->base.len,
					 .workspace_fd = workspace_is_there(&b->workspace)
								 ? b->workspace.fd
								 : -1,
					 .laid_fd = laid};
	const struct output_limits limits = {b->spec->limits.output, b->spec->limits.files};
	struct output_result res = {0};
	const char *hit = NULL;
	struct err e = ERR_INIT;
	int r;

	build_phase(b, "save");
	r = check_space(b, d, &base, &e);
	if (r == 0)
		r = output_extract(d->output, b->base.len > 0 ? &base : NULL, &limits,
				   b->workspace.parent_fd, b->workspace.fresh, SAVE_DEADLINE_MS,
				   &res, &hit, &e);
	b->out_entries = res.entries;
	b->out_bytes = res.bytes;
	if (r == 0)
		r = workspace_replace(&b->workspace, &b->sources, &res.outside_links, &e);
	b->outside_links = res.outside_links;
	if (r < 0)
		refuse(b, r, hit, &res, &e);
	else if (b->base.len > 0)
		keep(b, d, k, laid);
}
