/* SPDX-License-Identifier: GPL-3.0-or-later */
/* contractor image build: a Debian worker image from packages. */
#include <errno.h>
#include <fcntl.h>

#include "base/io.h"
#include "base/num.h"
#include "cmd-image.h"
#include "cmd.h"
#include "image/build.h"
#include "image/sandbox.h"
#include "options.h"
#include "paths.h"
#include "ticker.h"

#define LOG_TAIL_LINES 20
#define LOG_TAIL_MAX   (64 * KIB)

#ifdef __aarch64__
#define NATIVE_ARCH "arm64"
#else
#define NATIVE_ARCH "amd64"
#endif

static void tell(const char *what, void *user_data)
{
	ticker_say(user_data, what, true);
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
		return io_tmpfile(sandbox_parent(), e);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0644);
	return fd < 0 ? err_errno(e, -errno, "%s: cannot write the log", path) : fd;
}

static int build(struct image_build *b, struct ticker *ticker, const char *log_path)
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
	ticker_stop(ticker);
	if (r >= 0)
		return CMD_OK;
	if (r == -ECHILD)
		print_log_tail(log_fd);
	(void)fprintf(stderr, "contractor: no image was made: %s\n", e.text);
	return r == -EINVAL ? CMD_USAGE : CMD_INFRASTRUCTURE;
}

enum { OPT_SUITE = 256, OPT_ARCH, OPT_INCLUDE, OPT_NO_ANSIBLE, OPT_SIZE, OPT_MIRROR, OPT_LOG };

static const struct option_def build_defs[] = {
	{'o', "output", "FILE", "the image (worker.img)", "@file"},
	{OPT_SUITE, "suite", "SUITE", "Debian's release (bookworm)", "bullseye bookworm trixie"},
	{OPT_ARCH, "arch", "ARCH", "amd64 or arm64 (this machine's)", "amd64 arm64"},
	{OPT_INCLUDE, "include", "PKG,...",
	 "packages besides the base system (build-essential); '' for none", NULL},
	{OPT_NO_ANSIBLE, "no-ansible", NULL,
	 "without Ansible; a spec's play can then install nothing", NULL},
	{OPT_SIZE, "size", "SIZE", "what the root file system may take at most (4G)", NULL},
	{OPT_MIRROR, "mirror", "URL", "where the packages come from (Debian's own mirror network)",
	 NULL},
	{OPT_LOG, "log", "FILE", "keep the output of the tools", "@file"},
	{'q', "quiet", NULL, "no word of progress", NULL},
	{0},
};

const struct option_verb verb_image_build = {
	.name = "image build",
	.operands = "",
	.about = "Makes a worker image from Debian packages, and its manifest FILE.json beside "
		 "it.\n",
	.defs = build_defs,
};

static int cmd_image_build(int argc, char **argv)
{
	struct image_build b = {
		.output = "worker.img",
		.suite = "bookworm",
		.arch = NATIVE_ARCH,
		.include = "build-essential",
		.ansible = true,
		.size = 4 * GIB,
		.progress = tell,
	};
	const char *log_path = NULL;
	struct options o;
	struct ticker ticker = TICKER_INIT;
	int c, r = CMD_USAGE;

	options_begin(&o, &verb_image_build, argc, argv);
	while ((c = options_next(&o, &r)) > 0) {
		switch (c) {
		case 'o':
			b.output = o.value;
			break;
		case OPT_SUITE:
			b.suite = o.value;
			break;
		case OPT_ARCH:
			b.arch = o.value;
			break;
		case OPT_INCLUDE:
			b.include = o.value;
			break;
		case OPT_NO_ANSIBLE:
			b.ansible = false;
			break;
		case OPT_SIZE:
			if (parse_size(o.value, &b.size) < 0)
				return options_bad_value(&o, "--size", "is not a size like 4G");
			break;
		case OPT_MIRROR:
			b.mirror = o.value;
			break;
		case OPT_LOG:
			log_path = o.value;
			break;
		default:
			b.progress = NULL;
			break;
		}
	}
	if (c < 0)
		return r;
	b.user_data = &ticker;
	if (b.progress)
		ticker_start(&ticker, sandbox_parent());
	return build(&b, &ticker, log_path);
}

static const struct cmd_verb verbs[] = {
	{"build", cmd_image_build, "make a worker image from Debian packages"},
	{"import", cmd_image_import, "make one of a stock cloud image"},
	{"inspect", cmd_image_inspect, "tell what is in an image"},
	{"list", cmd_image_list, "the images in a folder"},
	{"verify", cmd_image_verify, "read an image, compare it with its manifest"},
};

int cmd_image(int argc, char **argv)
{
	return cmd_dispatch("image", verbs, ARRAY_SIZE(verbs), argc, argv);
}
