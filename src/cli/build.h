/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One build as the command line sees it: from the loaded spec to the verdict. */
#ifndef CONTRACTOR_CLI_BUILD_H
#define CONTRACTOR_CLI_BUILD_H

#include "base/sha256.h"
#include "cgroup.h"
#include "image/manager-image.h"
#include "image/manifest.h"
#include "jobs.h"
#include "jobserver.h"
#include "manager/limits.h"
#include "manager/order.h"
#include "nested.h"
#include "play.h"
#include "record.h"
#include "space.h"
#include "spec/spec.h"
#include "ui.h"
#include "verdict.h"
#include "workspace.h"

#define BUILD_PHASES_MAX  16
#define BUILD_SAMPLES_MAX 2000
#define BUILD_DENIED_MAX  257 /* distinct attempts, and one entry for all others */

struct build_options {
	const char *spec_path;
	const char **limits; /* name=value, over the spec's */
	size_t n_limits;
	const char *isolation; /* NULL: the spec's */
	const char *machine;   /* microvm, q35; NULL: what fits the architecture */
	uint64_t boot_ms;      /* deadline; 0: the default of the accelerator */
	const char *cache_dir; /* NULL: the configuration's, or the user's */
	unsigned lock_wait_s;
	int nice, io;	     /* -1: the spec's */
	uint64_t jobs_limit; /* builds of the user at a time; 0: as many as processors */
	enum { SHELL_NONE, SHELL_ALWAYS, SHELL_ON_FAILURE } shell;
	bool jobserver; /* take processors from make */
	bool force_tcg;
	bool refresh;	       /* run the play and make the template, whatever is in the cache */
	bool cold;	       /* neither make nor use a template */
	bool verify_workspace; /* compare what is kept of it with the folder, byte by byte */
	bool debug;
};

struct build_phase {
	char name[16];
	uint64_t start_ms, end_ms; /* since the start of the build */
};

/* One distinct attempt to reach what no rule allows; the texts are escaped, fit to print. */
struct build_denied {
	char protocol[16], host[256], address[64], phase[16];
	char reason[512];
	char remedy[512]; /* the line that would allow it, or "" */
	uint64_t port, count;
};

/* What became of the spec's play, for the report. */
struct build_layer {
	const char *what;	       /* "made", "used"; NULL: no layer */
	char content[SHA256_HEX_SIZE]; /* hash of what is in it; "": it is not kept */
	char key[SHA256_HEX_SIZE];
	uint64_t made;		 /* seconds since 1970 */
	char note[ERR_TEXT_MAX]; /* why it was made anew, or is not kept; "" */
};

/* What became of the worker's memory template, for the report. */
struct build_template {
	const char *what; /* "off", "none", "made", "used", "failed" */
	char key[SHA256_HEX_SIZE];
	char note[ERR_TEXT_MAX]; /* why there is none, or an older one went, or this is not kept */
};

/* How far the copy of a phase is. */
struct build_progress {
	const char *phase;
	uint64_t ms, bytes, total, rate; /* total 0: not known; rate in bytes a second */
};

/* Owns all. Zero it with BUILD_INIT; build_done frees. */
struct build {
	struct build_options opt;
	struct spec *spec;
	struct manifest *manifest;
	struct record record;
	struct workspace workspace;
	struct ui ui;
	struct verdict verdict;
	struct jobserver jobserver;
	struct jobs jobs; /* the place in the queue of builds */
	struct build_phase phases[BUILD_PHASES_MAX];
	size_t n_phases;
	struct limits_sample *samples; /* thinned: at most BUILD_SAMPLES_MAX */
	size_t n_samples;
	struct limits_sample peak;
	uint64_t log_bytes; /* as counted here */
	struct limits_sample
		spent; /* by the sessions before the present one, in its growing figures */
	enum play_need play;
	struct build_layer layer;
	struct build_template template;
	struct cgroup cgroup; /* of the worker, or of the manager VM */
	struct space space;   /* the file systems that the build writes to */
	struct build_denied *denied;
	size_t n_denied;
	uint64_t started_ms;
	char accel[8], accel_why[256];
	bool shell_used;
	const char *isolation; /* what was really used */
	char isolation_why[512];
	bool isolation_auto; /* nobody asked for it: worth a line */
	bool nested;	     /* isolation is nested, by this plan */
	struct nested_plan plan;
	struct manager_image manager; /* of a nested home: see session_manager_image */
	int manager_fd;		      /* -1: nobody has asked for it yet */
	const char *machine;
	int image_fd, source_fd;
	uint64_t read_before;	   /* what the worker had read when copy-in began */
	uint64_t progress_told_ms; /* the last event of it */
	uint64_t in_entries, in_bytes, out_entries, out_bytes;
	struct buf sources; /* of this build */
	uint64_t in_moved;  /* bytes of a layer that was written for it */
	char layers[ORDER_LAYERS_MAX];
	struct buf base; /* the list of the workspace that the worker has mounted; none: it has a
			    copy */
	struct buf outside_links;
};

#define BUILD_INIT                                                                           \
	{                                                                                    \
		.record = RECORD_INIT, .workspace = WORKSPACE_INIT, .image_fd = -1,          \
		.manager_fd = -1, .source_fd = -1, .cgroup = CGROUP_INIT, .jobs = JOBS_INIT, \
		.jobserver = JOBSERVER_INIT, .verdict = {                                    \
			.kind = VERDICT_INFRASTRUCTURE,                                      \
			.exit_code = -1                                                      \
		}                                                                            \
	}

/* Runs the build; the verdict is in b->verdict, the report is written. b->opt and b->ui are set. */
void build_run(struct build *b);
void build_done(struct build *b);

/* build-cgroup.c: makes the cgroup that QEMU is to enter, or says in b->cgroup why there is none.
 */
void build_cgroup_make(struct build *b);

/* build-cgroup.c: gives it up for a QEMU that does not enter it, and says why. */
void build_cgroup_leave(struct build *b, const char *why);

/* build-cgroup.c: a worker that broke because the kernel killed it for memory was over its limit.
 */
void build_cgroup_judge(struct build *b);

/* build-cgroup.c: the report's "cgroup". */
void build_cgroup_report(const struct build *b, cJSON *report);

/* Starts the named phase and ends the one before; NULL only ends. */
void build_phase(struct build *b, const char *name);

/* Milliseconds since the build began. */
uint64_t build_now(const struct build *b);

/* The scratch disk was full, whatever the manager has said: then that is the verdict. */
struct disks;
void build_judge_disk(struct build *b, const struct disks *d);

/* Attempts at forbidden network access fail what has ended by itself, if the spec says so. */
void build_judge_denied(struct build *b);

/* Adds a sample, thinning the older ones when the table is full. */
void build_add_sample(struct build *b, const struct limits_sample *s);

#endif
