/* SPDX-License-Identifier: GPL-3.0-or-later */
/* contractor manager build: makes the manager VM's image. */
#include <errno.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/num.h"
#include "base/text.h"
#include "cmd.h"
#include "manager-home.h"
#include "options.h"

static const struct option_def build_defs[] = {
	{'o', "output", "FILE", "write it to FILE, not to the cache", "@file"},
	{'k' + 256, "kernel", "FILE", "this kernel, not the distribution's; with", "@file"},
	{'m' + 256, "modules", "DIR", "its modules (lib/modules/VERSION)", "@dir"},
	{'f' + 256, "fetch", NULL, "look for a newer kernel of the distribution", NULL},
	{'d' + 256, "debug", NULL, "with busybox, and a shell on the console", NULL},
	{0},
};

const struct option_verb verb_manager_build = {
	.name = "manager build",
	.operands = "",
	.about = "Makes the image of the manager VM, in which the worker runs with isolation: "
		 "nested. A "
		 "build\n"
		 "makes it by itself when it is missing or when something it is made of has "
		 "changed.\n",
	.defs = build_defs,
};

static int build(struct manager_home_options *o)
{
	struct manager_image image = {0};
	char size[NUM_TEXT_MAX], took[NUM_TEXT_MAX], shown[512];
	uint64_t start = io_now_ms();
	struct err e = ERR_INIT;

	o->say = cmd_say;
	if (manager_home_image(o, &image, NULL, &e) < 0)
		return cmd_fail(&e, CMD_INFRASTRUCTURE);
	(void)text_escape_line(image.path, strlen(image.path), shown, sizeof(shown));
	(void)printf("%s: %s, %s in %s\n", shown,
		     format_size(image.initrd.offset + image.initrd.size, size),
		     image.made ? "made" : "up to date",
		     format_duration(io_now_ms() - start, took));
	manager_image_done(&image);
	return fflush(stdout) == 0 ? CMD_OK : CMD_INFRASTRUCTURE;
}

static int cmd_manager_build(int argc, char **argv)
{
	struct manager_home_options m = {0};
	struct options o;
	int c, r = CMD_USAGE;

	options_begin(&o, &verb_manager_build, argc, argv);
	while ((c = options_next(&o, &r)) > 0) {
		if (c == 'o')
			m.output = o.value;
		else if (c == 'k' + 256)
			m.kernel = o.value;
		else if (c == 'm' + 256)
			m.modules = o.value;
		else if (c == 'f' + 256)
			m.fetch = true;
		else
			m.debug = true;
	}
	if (c < 0)
		return r;
	if (!m.kernel != !m.modules)
		return options_misuse(&verb_manager_build,
				      "--kernel and --modules belong together");
	if (m.kernel && m.fetch)
		return options_misuse(
			&verb_manager_build,
			"--fetch is for the distribution's kernel, not with --kernel");
	return build(&m);
}

static const struct cmd_verb verbs[] = {
	{"build", cmd_manager_build, "make the image of the manager VM"},
	{"start", cmd_manager_start, "boot managers that wait for builds"},
	{"status", cmd_manager_status, "tell how many wait"},
	{"stop", cmd_manager_stop, "end those that wait"},
};

int cmd_manager(int argc, char **argv)
{
	return cmd_dispatch("manager", verbs, ARRAY_SIZE(verbs), argc, argv);
}
