/* SPDX-License-Identifier: GPL-3.0-or-later */
/* contractor image build: a Debian worker image from packages. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>

#include "base/io.h"
#include "base/num.h"
#include "cmd.h"
#include "image/build.h"
#include "paths.h"

static const char usage[] =
	"usage: contractor image build -o FILE [OPTION...]\n"
	"\n"
	"Makes a worker image from Debian packages, and its manifest FILE.json beside it.\n"
	"\n"
	"  -o, --output FILE      the image (worker.img)\n"
	"      --suite SUITE      Debian's release (bookworm)\n"
	"      --arch ARCH        amd64 or arm64 (this machine's)\n"
	"      --include PKG,...  packages besides the base system (build-essential); '' for none\n"
	"      --size SIZE        what the root file system may take at most (4G)\n"
	"      --mirror URL       where the packages come from (Debian's own mirror network)\n"
	"      --log FILE         keep the output of the tools\n"
	"  -q, --quiet            no word of progress\n"
	"  -h, --help             this text\n";

#define LOG_TAIL_LINES 20
#define LOG_TAIL_MAX   (64 * KIB)

#ifdef __aarch64__
#define NATIVE_ARCH "arm64"
#else
#define NATIVE_ARCH "amd64"
#endif

static void print_progress(const char *what, void *user_data)
{
	(void)fprintf(stderr, "contractor: %s\n", what);
}

/* The end of what the tools said; control characters are not passed on. */
static void print_log_tail(int fd)
{
	_cleanup_free_ char *text = malloc(LOG_TAIL_MAX + 1);
	off_t end = lseek(fd, 0, SEEK_END);
	int lines = 0;
	char *p;
	ssize_t n;

	if (!text || end <= 0 ||
	    lseek(fd, end > (off_t)LOG_TAIL_MAX ? end - (off_t)LOG_TAIL_MAX : 0, SEEK_SET) < 0)
		return;
	n = io_read_full(fd, text, LOG_TAIL_MAX);
	if (n <= 0)
		return;
	text[n] = '\0';
	for (p = text + n - 1; p > text; p--) {
		if (p[-1] == '\n' && ++lines == LOG_TAIL_LINES)
			break;
	}
	for (char *c = p; *c; c++) {
		if ((unsigned char)*c < ' ' && *c != '\n' && *c != '\t')
			*c = *c == '\r' ? '\n' : '?';
	}
	(void)fprintf(stderr, "the last lines of the tools' output:\n%s", p);
}

static int open_log(const char *path, struct err *e)
{
	int fd;

	if (!path)
		return io_tmpfile(getenv("TMPDIR") ? getenv("TMPDIR") : "/var/tmp", e);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0644);
	return fd < 0 ? err_errno(e, -errno, "%s: cannot write the log", path) : fd;
}

static int build(struct image_build *b, const char *log_path)
{
	_cleanup_free_ char *firmware = NULL;
	_cleanup_close_ int log_fd = -1;
	struct err e = ERR_INIT;
	int r;

	r = log_fd = open_log(log_path, &e);
	if (r >= 0)
		r = paths_firmware(&firmware, &e);
	if (r >= 0) {
		b->log_fd = log_fd;
		b->firmware_dir = firmware;
		r = image_build(b, &e);
	}
	if (r >= 0)
		return CMD_OK;
	if (r == -ECHILD)
		print_log_tail(log_fd);
	(void)fprintf(stderr, "contractor: no image was made: %s\n", e.text);
	return r == -EINVAL ? CMD_USAGE : CMD_INFRASTRUCTURE;
}

enum { OPT_SUITE = 256, OPT_ARCH, OPT_INCLUDE, OPT_SIZE, OPT_MIRROR, OPT_LOG };

/* Reads the options into b; -1 when all is well, else the exit status. */
static int parse(int argc, char **argv, struct image_build *b, const char **ret_log)
{
	static const struct option options[] = {
		{"output", required_argument, NULL, 'o'},
		{"suite", required_argument, NULL, OPT_SUITE},
		{"arch", required_argument, NULL, OPT_ARCH},
		{"include", required_argument, NULL, OPT_INCLUDE},
		{"size", required_argument, NULL, OPT_SIZE},
		{"mirror", required_argument, NULL, OPT_MIRROR},
		{"log", required_argument, NULL, OPT_LOG},
		{"quiet", no_argument, NULL, 'q'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int c;

	optind = 0; /* glibc: start anew, whatever was parsed before */
	while ((c = getopt_long(argc, argv, "o:qh", options, NULL)) != -1) {
		switch (c) {
		case 'o':
			b->output = optarg;
			break;
		case OPT_SUITE:
			b->suite = optarg;
			break;
		case OPT_ARCH:
			b->arch = optarg;
			break;
		case OPT_INCLUDE:
			b->include = optarg;
			break;
		case OPT_SIZE:
			if (parse_size(optarg, &b->size) == 0)
				break;
			(void)fprintf(stderr, "contractor: --size %s: not a size like 4G\n",
				      optarg);
			return CMD_USAGE;
		case OPT_MIRROR:
			b->mirror = optarg;
			break;
		case OPT_LOG:
			*ret_log = optarg;
			break;
		case 'q':
			b->progress = NULL;
			break;
		case 'h':
			return fputs(usage, stdout) < 0 || fflush(stdout) != 0 ? CMD_USAGE : CMD_OK;
		default:
			(void)fputs(usage, stderr);
			return CMD_USAGE;
		}
	}
	if (argc != optind) {
		(void)fprintf(stderr, "contractor: image build: what is \"%s\"?\n%s", argv[optind],
			      usage);
		return CMD_USAGE;
	}
	return -1;
}

int cmd_image(int argc, char **argv)
{
	struct image_build b = {
		.output = "worker.img",
		.suite = "bookworm",
		.arch = NATIVE_ARCH,
		.include = "build-essential",
		.size = 4 * GIB,
		.progress = print_progress,
	};
	const char *log_path = NULL;
	int r;

	if (argc >= 2 && (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0))
		return fputs(usage, stdout) < 0 || fflush(stdout) != 0 ? CMD_USAGE : CMD_OK;
	if (argc < 2 || strcmp(argv[1], "build") != 0) {
		(void)fputs(usage, stderr);
		return CMD_USAGE;
	}
	r = parse(argc - 1, argv + 1, &b, &log_path);
	return r >= 0 ? r : build(&b, log_path);
}
