/* SPDX-License-Identifier: GPL-3.0-or-later */
/* contractor manager build: makes the manager VM's image. */
#include <errno.h>
#include <getopt.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/num.h"
#include "base/text.h"
#include "cmd.h"
#include "manager-home.h"

static const char usage[] =
	"usage: contractor manager build [OPTION...]\n"
	"\n"
	"Makes the image of the manager VM, in which the worker runs with isolation: nested. A "
	"build\n"
	"makes it by itself when it is missing or when something it is made of has changed.\n"
	"\n"
	"  -o, --output=FILE   write it to FILE, not to the cache\n"
	"      --kernel=FILE   this kernel, not the distribution's; with\n"
	"      --modules=DIR   its modules (lib/modules/VERSION)\n"
	"      --fetch         look for a newer kernel of the distribution\n"
	"      --debug         with busybox, and a shell on the console\n"
	"  -h, --help          this text\n";

static void say(const char *text, void *user_data)
{
	(void)fprintf(stderr, "contractor: %s\n", text);
}

static int build(struct manager_home_options *o)
{
	struct manager_image image = {0};
	char size[NUM_TEXT_MAX], took[NUM_TEXT_MAX], shown[512];
	uint64_t start = io_now_ms();
	struct err e = ERR_INIT;

	o->say = say;
	if (manager_home_image(o, &image, NULL, &e) < 0) {
		(void)fprintf(stderr, "contractor: %s\n", e.text);
		return CMD_INFRASTRUCTURE;
	}
	(void)text_escape_line(image.path, strlen(image.path), shown, sizeof(shown));
	(void)printf("%s: %s, %s in %s\n", shown,
		     format_size(image.initrd.offset + image.initrd.size, size),
		     image.made ? "made" : "up to date",
		     format_duration(io_now_ms() - start, took));
	manager_image_done(&image);
	return fflush(stdout) == 0 ? CMD_OK : CMD_INFRASTRUCTURE;
}

static int wrong(const char *text)
{
	(void)fprintf(stderr, "contractor: manager build: %s\n", text);
	return CMD_USAGE;
}

static int cmd_manager_build(int argc, char **argv)
{
	static const struct option options[] = {
		{"output", required_argument, NULL, 'o'},
		{"kernel", required_argument, NULL, 'k'},
		{"modules", required_argument, NULL, 'm'},
		{"fetch", no_argument, NULL, 'f'},
		{"debug", no_argument, NULL, 'd'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct manager_home_options o = {0};
	int c;

	optind = 0;
	while ((c = getopt_long(argc, argv, "o:h", options, NULL)) != -1) {
		switch (c) {
		case 'o':
			o.output = optarg;
			break;
		case 'k':
			o.kernel = optarg;
			break;
		case 'm':
			o.modules = optarg;
			break;
		case 'f':
			o.fetch = true;
			break;
		case 'd':
			o.debug = true;
			break;
		case 'h':
			return fputs(usage, stdout) < 0 ? CMD_USAGE : CMD_OK;
		default:
			(void)fputs(usage, stderr);
			return CMD_USAGE;
		}
	}
	if (optind != argc)
		return wrong("takes no argument but options");
	if (!o.kernel != !o.modules)
		return wrong("--kernel and --modules belong together");
	if (o.kernel && o.fetch)
		return wrong("--fetch is for the distribution's kernel, not with --kernel");
	return build(&o);
}

int cmd_manager(int argc, char **argv)
{
	if (argc >= 2 && strcmp(argv[1], "build") == 0)
		return cmd_manager_build(argc - 1, argv + 1);
	if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
		return fputs(usage, stdout) < 0 ? CMD_USAGE : CMD_OK;
	(void)fputs(usage, stderr);
	return CMD_USAGE;
}
