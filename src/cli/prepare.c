/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Running a play in a worker whose disk becomes the layer. */
/*
 * The worker that runs the play is not the one that builds: the layer is taken when the former is
 * gone, so that nothing of a source or workspace can get into it, and what the play has started, or
 * has connected to, ends with it. The layer is a raw disk with a file system that the worker has
 * written: the host makes it, empty, and never reads it.
 */
#include "prepare.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <time.h>

#include "disks.h"
#include "layer-key.h"
#include "net/repository.h"
#include "session.h"
#include "store.h"

int prepare_rules(const struct build *b, enum net_phase phase, struct net_rule **ret, size_t *ret_n,
		  struct err *e)
{
	const struct spec_network *net = &b->spec->network;
	const struct manifest *m = b->manifest;
	bool repositories = phase == NET_PHASE_PREPARE && net->prepare_repositories;
	struct net_rule *all;
	size_t n, kept = 0;
	int r = net_rules_join(net->rules, net->n_rules, (const char *const *)m->repositories,
			       repositories ? m->n_repositories : 0, &all, &n, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		if (b->play != PLAY_RUN || (all[i].phases & phase))
			all[kept++] = all[i];
	}
	*ret = all;
	*ret_n = kept;
	return 0;
}

/* The folder of the play's files; where the spec names none, one that is empty and gone. */
static int open_files(const struct build *b, const char *cache, struct err *e)
{
	_cleanup_free_ char *path =
		spec_resolve(b->spec->dir, b->spec->ansible_files ? b->spec->ansible_files : ".");
	char empty[PATH_MAX];
	int fd;

	if (!path)
		return err_oom(e);
	if (b->spec->ansible_files) {
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		return fd < 0 ? err_errno(e, -errno, "ansible-files: %s", path) : fd;
	}
	(void)snprintf(empty, sizeof(empty), "%s/empty-XXXXXX", cache);
	if (!mkdtemp(empty))
		return err_errno(e, -errno, "%s: cannot make a folder", cache);
	fd = open(empty, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (rmdir(empty) < 0 || fd < 0)
		return err_errno(e, -errno, "%s", empty);
	return fd;
}

static int reopen(int fd, struct err *e)
{
	char self[64];
	int r;

	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	r = open(self, O_RDONLY | O_CLOEXEC);
	return r < 0 ? err_errno(e, -errno, "cannot open the prepared disk read-only") : r;
}

/*
 * What could not be fetched because no rule allows it is not the infrastructure's fault: the play
 * asks for what it was not given.
 */
static void judge(struct build *b, const struct disks *d)
{
	ui_output_end(&b->ui);
	build_judge_disk(b, d);
	if (b->verdict.play && b->n_denied > 0)
		b->verdict.kind = VERDICT_FAILED;
	build_judge_denied(b);
	b->verdict.play = b->verdict.kind != VERDICT_BUILT;
	b->spent = b->peak;
}

static int make(struct build *b, const char *cache, struct disks *disks, struct session_job *job,
		struct err *e)
{
	struct disks_request q = {
		.dir = cache,
		.spec = b->spec,
		.rules = job->rules,
		.n_rules = job->n_rules,
		.prepare = true,
		.repositories =
			b->spec->network.prepare_repositories && b->manifest->n_repositories > 0,
	};
	int r = disks_make(&q, disks, e);

	if (r < 0)
		return r;
	job->input_rw = disks->input_rw;
	job->input = disks->input;
	job->output = disks->output;
	job->scratch = disks->scratch;
	job->scratch_full_at = disks->scratch_full_at;
	return 0;
}

/* All that one call of prepare_run has open. */
struct prepare {
	struct build *b;
	struct net_rule *rules;
	size_t n_rules;
	int files, store, lock;
};

static void prepare_done(struct prepare *p)
{
	free(p->rules);
	fd_close(&p->files);
	fd_close(&p->store);
	fd_close(&p->lock);
}

static int find_key(const struct prepare *p, char ret[SHA256_HEX_SIZE], struct err *e)
{
	_cleanup_buf_ struct buf driver = {0};
	const struct layer_inputs in = {
		.image_sha256 = p->b->manifest->sha256,
		.playbook = p->b->spec->ansible,
		.driver = &driver,
		.rules = p->rules,
		.n_rules = p->n_rules,
		.files = p->files,
	};
	int r = disks_read_driver(&driver, e);

	return r < 0 ? r : layer_key(&in, ret, e);
}

/* True when the cache has it, for *ret_layer. */
static bool find_layer(struct prepare *p, int *ret_layer)
{
	struct build *b = p->b;
	struct store_entry entry;
	char damage[ERR_TEXT_MAX], made[32];
	time_t t;
	struct tm tm;
	int r = store_find(p->store, b->layer.key, b->spec->prepare_max_age_ms / 1000, ret_layer,
			   &entry, damage);

	if (damage[0]) {
		(void)snprintf(b->layer.note, sizeof(b->layer.note),
			       "the kept layer %.12s is damaged and was removed: %s", b->layer.key,
			       damage);
		ui_say(&b->ui, "prepare: %s", b->layer.note);
	}
	if (r != 1)
		return false;
	b->layer.what = "used";
	b->layer.made = entry.made;
	memcpy(b->layer.content, entry.sha256, sizeof(b->layer.content));
	t = (time_t)entry.made;
	if (!localtime_r(&t, &tm) || strftime(made, sizeof(made), "%Y-%m-%d %H:%M", &tm) == 0)
		made[0] = '\0';
	ui_say(&b->ui, "prepare: no play is run: layer %.12s of %s is used", b->layer.key, made);
	return true;
}

static void on_wait(void *user_data)
{
	struct build *b = user_data;

	ui_say(&b->ui, "prepare: another build runs the same play; waiting for it");
}

/* A layer that cannot be kept serves this build all the same. */
static void keep(struct prepare *p, int disk)
{
	struct build *b = p->b;
	struct store_entry entry = {.made = (uint64_t)time(NULL)};
	struct err e = ERR_INIT;
	char now[SHA256_HEX_SIZE];
	int r = find_key(p, now, &e);

	b->layer.what = "made";
	b->layer.made = entry.made;
	memcpy(entry.key, b->layer.key, sizeof(entry.key));
	(void)snprintf(entry.label, sizeof(entry.label), "%s", b->spec->path);
	if (r == 0 && strcmp(now, b->layer.key) != 0)
		r = err_set(&e, -EAGAIN, "its files were changed while the play was run");
	if (r == 0)
		r = store_keep(p->store, disk, &entry, &e);
	if (r < 0) {
		(void)snprintf(b->layer.note, sizeof(b->layer.note),
			       "layer %.12s is not kept for later builds: %s", b->layer.key,
			       e.text);
		ui_say(&b->ui, "prepare: %s", b->layer.note);
		return;
	}
	memcpy(b->layer.content, entry.sha256, sizeof(b->layer.content));
	ui_say(&b->ui, "prepare: layer %.12s is kept for later builds", b->layer.key);
	store_evict(p->store, store_limit());
}

static int open_all(struct prepare *p, const char *cache, struct err *e)
{
	struct build *b = p->b;
	int r = prepare_rules(b, NET_PHASE_PREPARE, &p->rules, &p->n_rules, e);

	if (r == 0)
		r = p->files = open_files(b, cache, e);
	if (r >= 0)
		r = p->store = store_open(cache, e);
	return r < 0 ? r : find_key(p, b->layer.key, e);
}

/* The play, and what becomes of its disk. 1 with *ret_layer, 0 with a verdict, or negative. */
static int run_play(struct prepare *p, const char *cache, int *ret_layer, struct err *e)
{
	_cleanup_(disks_done) struct disks disks = DISKS_INIT;
	struct session_job job = {
		.prepare = true,
		.layer = -1,
		.rules = p->rules,
		.n_rules = p->n_rules,
		.files = p->files,
	};
	_cleanup_close_ int layer = -1;
	int r = make(p->b, cache, &disks, &job, e);

	if (r < 0)
		return r;
	ui_say(&p->b->ui, "prepare: Ansible runs the play");
	build_cgroup_make(p->b);
	session_run(p->b, &job);
	build_cgroup_judge(p->b);
	cgroup_done(&p->b->cgroup);
	judge(p->b, &disks);
	if (p->b->verdict.kind != VERDICT_BUILT)
		return 0;
	build_phase(p->b, "keep");
	layer = reopen(disks.scratch, e);
	if (layer < 0)
		return layer;
	keep(p, disks.scratch);
	/* as a user of the entry has it, so that nobody evicts it under this build */
	(void)flock(layer, LOCK_SH | LOCK_NB);
	*ret_layer = take_fd(&layer);
	return 1;
}

bool prepare_run(struct build *b, const char *cache, int *ret_layer)
{
	_cleanup_(prepare_done) struct prepare p = {.b = b, .files = -1, .store = -1, .lock = -1};
	struct err e = ERR_INIT;
	int r = open_all(&p, cache, &e);

	if (r == 0 && !b->opt.refresh && find_layer(&p, ret_layer))
		return true;
	if (r == 0)
		r = p.lock =
			store_lock(p.store, b->layer.key, b->spec->limits.time_ms, on_wait, b, &e);
	/* somebody may have made it meanwhile */
	if (r >= 0 && !b->opt.refresh && find_layer(&p, ret_layer))
		return true;
	if (r >= 0)
		r = run_play(&p, cache, ret_layer, &e);
	if (r < 0)
		b->verdict = verdict_make(VERDICT_INFRASTRUCTURE, "%s", e.text);
	return r == 1;
}
