/* SPDX-License-Identifier: GPL-3.0-or-later */
/* contractor config show: the values that a build would have, and who has said so. */
#include <errno.h>
#include <inttypes.h>

#include "bar.h"
#include "base/json.h"
#include "base/text.h"
#include "cmd.h"
#include "config.h"
#include "jobs.h"
#include "options.h"
#include "paths.h"

static const struct option_def defs[] = {
	{256, "json", NULL, "one JSON object: name, value and origin of each", NULL},
	{0},
};

const struct option_verb verb_config_show = {
	.name = "config show",
	.operands = "[SPEC]",
	.about = "Prints what holds for a build, of SPEC where it is given, and where each value "
		 "comes\n"
		 "from: a default, the system's configuration, the user's, or the spec.\n",
	.defs = defs,
	.max = 1,
	.words = "@spec",
};

struct printer {
	cJSON *json; /* NULL: text */
	int failed;
};

static void put(struct printer *p, const char *name, const char *value, const char *origin)
{
	char shown[256], from[512];
	cJSON *o;

	(void)text_escape_line(value, strlen(value), shown, sizeof(shown));
	(void)text_escape_line(origin, strlen(origin), from, sizeof(from));
	if (!p->json) {
		(void)printf("%-16s %-24s %s\n", name, shown, from);
		return;
	}
	o = cJSON_AddObjectToObject(p->json, name);
	if (!o || !cJSON_AddStringToObject(o, "value", shown) ||
	    !cJSON_AddStringToObject(o, "origin", from))
		p->failed = -ENOMEM;
}

/* In the words of the spec where a file has it, else as the program would print it. */
static void put_limits(struct printer *p, const struct config *c)
{
	const struct spec_limits defaults = spec_limits_default();
	char name[32], text[NUM_TEXT_MAX];

	for (int i = 0; i < _SPEC_LIMIT_MAX; i++) {
		const struct config_value *v = &c->limit[i];

		(void)snprintf(name, sizeof(name), "limits.%s", spec_limit_name(i));
		if (v->text)
			put(p, name, v->text, v->origin);
		else
			put(p, name,
			    bar_value(spec_limit_name(i), spec_limit_get(&defaults, i), text),
			    "default");
	}
}

static int put_all(struct printer *p, const struct config *c, struct err *e)
{
	_cleanup_free_ char *cache = NULL;
	char jobs[32];
	int r = paths_cache(&cache, e);

	if (r < 0)
		return r;
	(void)snprintf(jobs, sizeof(jobs), "%" PRIu64, jobs_default());
	const char *const defaults[_CONFIG_KEY_MAX] = {
		[CONFIG_ISOLATION] = "auto",
		[CONFIG_CACHE_DIR] = cache,
		[CONFIG_JOBS_LIMIT] = jobs,
	};
	for (int i = 0; i < _CONFIG_KEY_MAX; i++) {
		const struct config_value *v = &c->value[i];
		const char *otherwise = i == CONFIG_CACHE_DIR && getenv("CONTRACTOR_CACHE_DIR")
						? "CONTRACTOR_CACHE_DIR"
						: "default";

		put(p, config_key_name(i), v->text ? v->text : defaults[i],
		    v->text ? v->origin : otherwise);
	}
	put_limits(p, c);
	return p->failed;
}

static int cmd_config_show(int argc, char **argv)
{
	_cleanup_(config_done) struct config c = {0};
	_cleanup_(spec_free_p) struct spec *s = NULL;
	_cleanup_(json_free_p) cJSON *j = NULL;
	struct printer p = {0};
	struct err e = ERR_INIT;
	struct options o;
	int opt, r = CMD_USAGE;

	options_begin(&o, &verb_config_show, argc, argv);
	while ((opt = options_next(&o, &r)) > 0)
		p.json = p.json ? p.json : cJSON_CreateObject();
	j = p.json;
	if (opt < 0)
		return r;
	r = config_load(&c, &e);
	if (r == 0 && o.operand[0])
		r = spec_load(o.operand[0], &s, &e);
	if (r == 0 && s)
		r = config_read_spec(&c, o.operand[0], &e);
	if (r < 0)
		return cmd_fail(&e, CMD_USAGE);
	r = put_all(&p, &c, &e);
	if (r == 0 && j) {
		_cleanup_free_ char *text = json_print_pretty(j);

		r = text && fputs(text, stdout) >= 0 ? 0 : err_oom(&e);
	}
	if (r == 0 && fflush(stdout) != 0)
		r = err_errno(&e, -errno, "cannot print");
	return r < 0 ? cmd_fail(&e, CMD_INFRASTRUCTURE) : CMD_OK;
}

static const struct cmd_verb verbs[] = {
	{"show", cmd_config_show, "print the configuration, and where each value comes from"},
};

int cmd_config(int argc, char **argv)
{
	return cmd_dispatch("config", verbs, ARRAY_SIZE(verbs), argc, argv);
}
