/* SPDX-License-Identifier: GPL-3.0-or-later */
/* contractor build: options in, exit status out. */
#include "base/num.h"
#include "build.h"
#include "cmd.h"
#include "options.h"
#include "term.h"

#define LOCK_WAIT_S 3600

#define LIMITS_MAX 32

enum {
	OPT_ISOLATION = 256,
	OPT_LIMIT,
	OPT_BOOT,
	OPT_LOCK_WAIT,
	OPT_MACHINE,
	OPT_REFRESH,
	OPT_COLD,
	OPT_VERIFY_WORKSPACE,
	OPT_TCG,
	OPT_NICE,
	OPT_IO,
	OPT_JOBS,
	OPT_JOBSERVER,
	OPT_CACHE,
	OPT_JSON,
	OPT_SHELL,
	OPT_RAW_LOG,
	OPT_DEBUG,
};

static const struct option_def defs[] = {
	{OPT_ISOLATION, "isolation", "MODE", "auto, nested or single, over the spec's",
	 "auto nested single"},
	{OPT_LIMIT, "limit", "NAME=VALUE",
	 "set a limit, over the spec's: cpus, cpu-time, time, memory,\n"
	 "disk, output, files, log",
	 "cpus= cpu-time= time= memory= disk= output= files= log="},
	{OPT_BOOT, "boot-deadline", "TIME",
	 "how long the worker may take to boot (5min; emulated\ninside a manager VM: 20min)", NULL},
	{OPT_LOCK_WAIT, "lock-wait", "TIME",
	 "how long to wait for another build of the workspace (1h)", NULL},
	{OPT_JOBS, "jobs-limit", "N",
	 "how many builds of this user may run at a time, the others\nwait (as many as there are "
	 "processors)",
	 NULL},
	{OPT_JOBSERVER, "jobserver", NULL, "as many processors as make -j has to give", NULL},
	{OPT_CACHE, "cache-dir", "DIR",
	 "where the disks are, and the records where the home is\nread-only", "@dir"},
	{OPT_MACHINE, "machine", "TYPE", "microvm, q35 or virt", "microvm q35 virt"},
	{OPT_REFRESH, "refresh", NULL,
	 "run the play and make the memory template anew, whatever\nis kept of them", NULL},
	{OPT_COLD, "cold", NULL, "boot the worker; neither make nor use a memory template", NULL},
	{OPT_VERIFY_WORKSPACE, "verify-workspace", NULL,
	 "compare source and workspace with what is kept of them byte\nby byte", NULL},
	{OPT_TCG, "tcg", NULL, "emulate, even where there is KVM", NULL},
	{OPT_NICE, "nice", "N", "priority of the worker, over the spec's (10)", NULL},
	{OPT_IO, "io", "CLASS", "the worker's disk accesses, over the spec's: low, idle, normal",
	 "low idle normal"},
	{OPT_JSON, "json", NULL, "events on stdout, one JSON object a line", NULL},
	{OPT_SHELL, "shell-on-failure", NULL, "where the build fails, a shell in its worker", NULL},
	{OPT_RAW_LOG, "raw-log", NULL, "show build output with its control sequences", NULL},
	{'q', "quiet", NULL, "only errors", NULL},
	{'v', "verbose", NULL, "each phase's time as it ends", NULL},
	{OPT_DEBUG, "debug", NULL, "diagnostics of the manager", NULL},
	{0},
};

const struct option_verb verb_build = {
	.name = "build",
	.operands = "SPEC",
	.about = "Run the build that SPEC describes in a throw-away virtual machine.\n",
	.more = "Exit status: 0 built, 1 the build failed, 2 usage or spec, 3 over a limit,\n"
		"4 forbidden network access, 5 infrastructure.\n",
	.defs = defs,
	.min = 1,
	.max = 1,
	.words = "@spec",
};

const struct option_verb verb_shell = {
	.name = "shell",
	.operands = "SPEC",
	.about = "Opens a shell in a worker, with the image, limits, network and workspace of "
		 "SPEC, in the\n"
		 "place of its build commands. When it ends, the workspace is saved. The options "
		 "are those\n"
		 "of contractor build, but for --json.\n",
	.defs = defs,
	.min = 1,
	.max = 1,
	.words = "@spec",
};

/* The options without a value. */
static int take_flag(struct build *b, int opt)
{
	switch (opt) {
	case OPT_COLD:
		b->opt.cold = true;
		return 0;
	case OPT_VERIFY_WORKSPACE:
		b->opt.verify_workspace = true;
		return 0;
	case OPT_REFRESH:
		b->opt.refresh = true;
		return 0;
	case OPT_TCG:
		b->opt.force_tcg = true;
		return 0;
	case OPT_RAW_LOG:
		b->ui.raw_log = true;
		return 0;
	case OPT_DEBUG:
		b->opt.debug = true;
		return 0;
	case 'q':
		b->ui.mode = UI_QUIET;
		return 0;
	case 'v':
		b->ui.mode = UI_VERBOSE;
		return 0;
	case OPT_JOBSERVER:
		b->opt.jobserver = true;
		return 0;
	case OPT_SHELL:
		b->opt.shell = term_is_there() ? SHELL_ON_FAILURE : SHELL_NONE;
		return 0;
	case OPT_JSON:
		b->ui.json = true;
		return 0;
	default:
		return CMD_USAGE;
	}
}

static int take_option(struct build *b, const struct options *o, int opt)
{
	const char *value = o->value;
	uint64_t v;

	switch (opt) {
	case OPT_ISOLATION:
		b->opt.isolation = value;
		return 0;
	case OPT_LIMIT:
		if (b->opt.n_limits == LIMITS_MAX)
			return options_bad_value(o, "--limit", "given too often");
		b->opt.limits[b->opt.n_limits++] = value;
		return 0;
	case OPT_BOOT:
		if (parse_duration(value, &b->opt.boot_ms) < 0 || b->opt.boot_ms == 0)
			return options_bad_value(o, "--boot-deadline",
						 "is not a time such as 90s or 2min");
		return 0;
	case OPT_LOCK_WAIT:
		if (parse_duration(value, &v) < 0 || v / 1000 > UINT32_MAX / 1000)
			return options_bad_value(o, "--lock-wait",
						 "is not a time such as 90s or 2min");
		b->opt.lock_wait_s = (unsigned)(v / 1000);
		return 0;
	case OPT_MACHINE:
		if (strcmp(value, "microvm") != 0 && strcmp(value, "q35") != 0 &&
		    strcmp(value, "virt") != 0)
			return options_bad_value(o, "--machine", "is not microvm, q35 or virt");
		b->opt.machine = value;
		return 0;
	case OPT_NICE:
		if (parse_u64(value, &v) < 0 || v > 19)
			return options_bad_value(o, "--nice", "is not 0 to 19");
		b->opt.nice = (int)v;
		return 0;
	case OPT_IO:
		b->opt.io = spec_io_find(value);
		if (b->opt.io < 0)
			return options_bad_value(o, "--io", "is not low, idle or normal");
		return 0;
	case OPT_CACHE:
		if (value[0] != '/')
			return options_bad_value(o, "--cache-dir", "must be an absolute path");
		b->opt.cache_dir = value;
		return 0;
	case OPT_JOBS:
		if (parse_u64(value, &b->opt.jobs_limit) < 0 || b->opt.jobs_limit == 0)
			return options_bad_value(o, "--jobs-limit", "is not a number from 1 on");
		return 0;
	default:
		return take_flag(b, opt);
	}
}

static int run(const struct option_verb *verb, int shell, int argc, char **argv)
{
	const char *limits[LIMITS_MAX];
	struct build b = BUILD_INIT;
	struct options o;
	int opt, r = CMD_USAGE;

	ui_init(&b.ui);
	b.opt.limits = limits;
	b.opt.lock_wait_s = LOCK_WAIT_S;
	b.opt.nice = b.opt.io = -1;
	options_begin(&o, verb, argc, argv);
	while ((opt = options_next(&o, &r)) > 0) {
		r = take_option(&b, &o, opt);
		if (r != 0)
			return r;
	}
	if (opt < 0)
		return r;
	b.opt.spec_path = o.operand[0];
	if (shell == SHELL_ALWAYS) {
		if (b.ui.json)
			return options_misuse(verb, "--json is for contractor build");
		if (!term_is_there())
			return options_misuse(verb, "needs a terminal for stdin and stdout");
		b.opt.shell = SHELL_ALWAYS;
	} else if (b.ui.json) {
		b.opt.shell = SHELL_NONE;
	}
	build_run(&b);
	r = (int)b.verdict.kind;
	build_done(&b);
	return r;
}

int cmd_build(int argc, char **argv)
{
	return run(&verb_build, SHELL_NONE, argc, argv);
}

int cmd_shell(int argc, char **argv)
{
	return run(&verb_shell, SHELL_ALWAYS, argc, argv);
}
