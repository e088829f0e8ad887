/* SPDX-License-Identifier: GPL-3.0-or-later */
/* contractor image import: a worker image of a stock cloud image. */
#include <errno.h>
#include <libgen.h>
#include <stdio.h>

#include "cmd-image.h"
#include "cmd.h"
#include "image/import.h"
#include "options.h"
#include "paths.h"
#include "ticker.h"

static const struct option_def defs[] = {
	{'o', "output", "FILE", "the image (worker.img)", "@file"},
	{'q', "quiet", NULL, "no word of progress", NULL},
	{0},
};

const struct option_verb verb_image_import = {
	.name = "image import",
	.operands = "FILE",
	.about = "Makes a worker image of a stock cloud image with cloud-init (qcow2 or raw, "
		 "x86_64, BIOS\n"
		 "boot). FILE is only read.\n",
	.defs = defs,
	.min = 1,
	.max = 1,
	.words = "@file",
};

static void tell(const char *what, bool writes, void *user_data)
{
	ticker_say(user_data, what, writes);
}

static int import(struct image_import *i, struct ticker *ticker, struct err *e)
{
	_cleanup_free_ char *firmware = NULL, *output = strdup(i->output);
	int r = output ? paths_firmware(&firmware, e) : err_oom(e);

	i->firmware_dir = firmware;
	if (r == 0 && i->progress)
		ticker_start(ticker, dirname(output));
	if (r == 0)
		r = image_import(i, e);
	ticker_stop(ticker);
	return r;
}

int cmd_image_import(int argc, char **argv)
{
	struct image_import i = {.output = "worker.img", .progress = tell};
	struct ticker ticker = TICKER_INIT;
	struct err e = ERR_INIT;
	struct options o;
	int c, r = CMD_USAGE;

	options_begin(&o, &verb_image_import, argc, argv);
	while ((c = options_next(&o, &r)) > 0) {
		if (c == 'o')
			i.output = o.value;
		else
			i.progress = NULL;
	}
	if (c < 0)
		return r;
	i.input = o.operand[0];
	i.user_data = &ticker;
	r = import(&i, &ticker, &e);
	if (r == 0)
		return CMD_OK;
	(void)fprintf(stderr, "contractor: no image was made: %s\n", e.text);
	return r == -EINVAL || r == -EEXIST || r == -ENOENT ? CMD_USAGE : CMD_INFRASTRUCTURE;
}
