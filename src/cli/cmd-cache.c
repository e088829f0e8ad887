/* SPDX-License-Identifier: GPL-3.0-or-later */
/* contractor cache: what is kept for later builds, how whole it is, and away with it. */
#include <errno.h>
#include <time.h>

#include "base/num.h"
#include "base/text.h"
#include "cmd.h"
#include "options.h"
#include "paths.h"
#include "store.h"

struct sum {
	size_t n, bad;
	uint64_t bytes;
};

static const char *when(uint64_t seconds, char out[32])
{
	time_t t = (time_t)seconds;
	struct tm tm;

	if (!localtime_r(&t, &tm) || strftime(out, 32, "%Y-%m-%d %H:%M", &tm) == 0)
		(void)snprintf(out, 32, "?");
	return out;
}

static void list_one(int store, const struct store_entry *s, struct sum *sum)
{
	char size[NUM_TEXT_MAX], made[32], used[32], label[STORE_LABEL_SIZE];

	(void)printf("%.12s  %10s  made %s  used %s  %s\n", s->key, format_size(s->blocks, size),
		     when(s->made, made), when(s->used, used),
		     text_escape_line(s->label, strlen(s->label), label, sizeof(label)));
	sum->bytes += s->blocks;
}

static void verify_one(int store, const struct store_entry *s, struct sum *sum)
{
	struct err e = ERR_INIT;

	if (store_verify(store, s, &e) == 0) {
		(void)printf("%.12s  whole\n", s->key);
		return;
	}
	sum->bad++;
	(void)printf("%.12s  damaged: %s; %s\n", s->key, e.text,
		     store_remove(store, s->key) == -EBUSY ? "a build is using it" : "removed");
}

static void clear_one(int store, const struct store_entry *s, struct sum *sum)
{
	if (store_remove(store, s->key) == -EBUSY) {
		(void)printf("%.12s  is used by a build and stays\n", s->key);
		return;
	}
	sum->bytes += s->blocks;
}

static int each(void (*fn)(int store, const struct store_entry *s, struct sum *sum),
		struct sum *sum, struct err *e)
{
	_cleanup_free_ struct store_entry *all = NULL;
	_cleanup_free_ char *cache = NULL;
	_cleanup_close_ int store = -1;
	int r = paths_cache(&cache, e);

	if (r == 0)
		r = store = store_open(cache, e);
	if (r >= 0)
		r = store_list(store, &all, &sum->n, e);
	for (size_t i = 0; r == 0 && i < sum->n; i++)
		fn(store, &all[i], sum);
	return r;
}

static int finish(int r, const struct sum *sum, const struct err *e)
{
	if (r < 0)
		return cmd_fail(e, CMD_INFRASTRUCTURE);
	return sum->bad > 0 ? CMD_FAILED : CMD_OK;
}

/* None of the three has an operand or an option. */
static bool options_done(const struct option_verb *verb, int argc, char **argv, int *ret_status)
{
	struct options o;

	*ret_status = CMD_USAGE;
	options_begin(&o, verb, argc, argv);
	return options_next(&o, ret_status) == OPTIONS_DONE;
}

static const struct option_def none[] = {{0}};

const struct option_verb verb_cache_list = {
	.name = "cache list",
	.operands = "",
	.about = "Lists what is kept for later builds, the last used first: disks that plays have\n"
		 "prepared, memory templates, and disks of workspaces.\n",
	.defs = none,
};

const struct option_verb verb_cache_verify = {
	.name = "cache verify",
	.operands = "",
	.about = "Reads what is kept for later builds; what is not as it was written is removed.\n"
		 "Of the disk of a workspace only the list is read.\n",
	.defs = none,
};

const struct option_verb verb_cache_clear = {
	.name = "cache clear",
	.operands = "",
	.about = "Removes what is kept for later builds, but for what a build is using.\n",
	.defs = none,
};

static int cmd_cache_list(int argc, char **argv)
{
	char text[NUM_TEXT_MAX], limit[NUM_TEXT_MAX];
	struct err e = ERR_INIT;
	struct sum sum = {0};
	int r;

	if (!options_done(&verb_cache_list, argc, argv, &r))
		return r;
	r = each(list_one, &sum, &e);
	if (r == 0)
		(void)printf("%zu kept, %s of at most %s\n", sum.n, format_size(sum.bytes, text),
			     format_size(store_limit(), limit));
	return finish(r, &sum, &e);
}

static int cmd_cache_verify(int argc, char **argv)
{
	struct err e = ERR_INIT;
	struct sum sum = {0};
	int r;

	if (!options_done(&verb_cache_verify, argc, argv, &r))
		return r;
	r = each(verify_one, &sum, &e);
	if (r == 0)
		(void)printf("%zu whole, %zu damaged\n", sum.n - sum.bad, sum.bad);
	return finish(r, &sum, &e);
}

static int cmd_cache_clear(int argc, char **argv)
{
	char text[NUM_TEXT_MAX];
	struct err e = ERR_INIT;
	struct sum sum = {0};
	int r;

	if (!options_done(&verb_cache_clear, argc, argv, &r))
		return r;
	r = each(clear_one, &sum, &e);
	if (r == 0)
		(void)printf("%s freed\n", format_size(sum.bytes, text));
	return finish(r, &sum, &e);
}

static const struct cmd_verb verbs[] = {
	{"clear", cmd_cache_clear, "remove all that no build is using"},
	{"list", cmd_cache_list, "what is there, the last used first"},
	{"verify", cmd_cache_verify, "read it all, remove what is damaged"},
};

int cmd_cache(int argc, char **argv)
{
	return cmd_dispatch("cache", verbs, ARRAY_SIZE(verbs), argc, argv);
}
