/* SPDX-License-Identifier: GPL-3.0-or-later */
/* contractor build: options in, exit status out. */
#include <getopt.h>

#include "base/num.h"
#include "build.h"
#include "cmd.h"

#define LOCK_WAIT_S 3600

#define LIMITS_MAX 32

static const char help[] =
	"Usage: contractor build [OPTION...] SPEC\n"
	"Run the build that SPEC describes in a throw-away virtual machine.\n"
	"\n"
	"  --isolation MODE     auto, nested or single, over the spec's\n"
	"  --limit NAME=VALUE   set a limit, over the spec's: cpus, cpu-time, time, memory,\n"
	"                       disk, output, files, log\n"
	"  --boot-deadline TIME how long the worker may take to boot (5min; emulated\n"
	"                       inside a manager VM: 20min)\n"
	"  --lock-wait TIME     how long to wait for another build of the workspace (1h)\n"
	"  --machine TYPE       microvm or q35\n"
	"  --tcg                emulate, even where there is KVM\n"
	"  --nice N             priority of the worker (10)\n"
	"  --raw-log            show build output with its control sequences\n"
	"  -q, --quiet          only errors\n"
	"  -v, --verbose        each phase's time as it ends\n"
	"  --debug              diagnostics of the manager\n"
	"  -h, --help           this text\n"
	"\n"
	"Exit status: 0 built, 1 the build failed, 2 usage or spec, 3 over a limit,\n"
	"4 forbidden network access, 5 infrastructure.\n";

enum {
	OPT_ISOLATION = 256,
	OPT_LIMIT,
	OPT_BOOT,
	OPT_LOCK_WAIT,
	OPT_MACHINE,
	OPT_TCG,
	OPT_NICE,
	OPT_RAW_LOG,
	OPT_DEBUG,
};

static const struct option options[] = {
	{"isolation", required_argument, NULL, OPT_ISOLATION},
	{"limit", required_argument, NULL, OPT_LIMIT},
	{"boot-deadline", required_argument, NULL, OPT_BOOT},
	{"lock-wait", required_argument, NULL, OPT_LOCK_WAIT},
	{"machine", required_argument, NULL, OPT_MACHINE},
	{"tcg", no_argument, NULL, OPT_TCG},
	{"nice", required_argument, NULL, OPT_NICE},
	{"raw-log", no_argument, NULL, OPT_RAW_LOG},
	{"quiet", no_argument, NULL, 'q'},
	{"verbose", no_argument, NULL, 'v'},
	{"debug", no_argument, NULL, OPT_DEBUG},
	{"help", no_argument, NULL, 'h'},
	{0},
};

static int bad(const char *option, const char *value, const char *wanted)
{
	(void)fprintf(stderr, "contractor: %s %s: %s\n", option, value, wanted);
	return CMD_USAGE;
}

static int take_option(struct build *b, int opt)
{
	uint64_t v;

	switch (opt) {
	case OPT_ISOLATION:
		b->opt.isolation = optarg;
		return 0;
	case OPT_LIMIT:
		if (b->opt.n_limits == LIMITS_MAX)
			return bad("--limit", optarg, "given too often");
		b->opt.limits[b->opt.n_limits++] = optarg;
		return 0;
	case OPT_BOOT:
		if (parse_duration(optarg, &b->opt.boot_ms) < 0 || b->opt.boot_ms == 0)
			return bad("--boot-deadline", optarg, "is not a time such as 90s or 2min");
		return 0;
	case OPT_LOCK_WAIT:
		if (parse_duration(optarg, &v) < 0 || v / 1000 > UINT32_MAX / 1000)
			return bad("--lock-wait", optarg, "is not a time such as 90s or 2min");
		b->opt.lock_wait_s = (unsigned)(v / 1000);
		return 0;
	case OPT_MACHINE:
		if (strcmp(optarg, "microvm") != 0 && strcmp(optarg, "q35") != 0 &&
		    strcmp(optarg, "virt") != 0)
			return bad("--machine", optarg, "is not microvm, q35 or virt");
		b->opt.machine = optarg;
		return 0;
	case OPT_NICE:
		if (parse_u64(optarg, &v) < 0 || v > 19)
			return bad("--nice", optarg, "is not 0 to 19");
		b->opt.nice = (int)v;
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
	default:
		(void)fprintf(stderr, "Try: contractor build --help\n");
		return CMD_USAGE;
	}
}

int cmd_build(int argc, char **argv)
{
	const char *limits[LIMITS_MAX];
	struct build b = BUILD_INIT;
	int opt, r;

	ui_init(&b.ui);
	b.opt.limits = limits;
	b.opt.lock_wait_s = LOCK_WAIT_S;
	b.opt.nice = 10;
	while ((opt = getopt_long(argc, argv, "hqv", options, NULL)) != -1) {
		if (opt == 'h') {
			(void)fputs(help, stdout);
			return 0;
		}
		r = take_option(&b, opt);
		if (r != 0)
			return r;
	}
	if (optind + 1 != argc) {
		(void)fprintf(stderr, "contractor: build wants one spec; try: contractor build "
				      "hello.yaml\n");
		return CMD_USAGE;
	}
	b.opt.spec_path = argv[optind];
	build_run(&b);
	r = (int)b.verdict.kind;
	build_done(&b);
	return r;
}
