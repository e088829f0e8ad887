/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The key `network` of a spec: rules, bandwidth, and what a denied attempt means. */
#include <errno.h>

#include "base/num.h"
#include "base/text.h"
#include "field.h"

/* A token bucket that lets less through than this has no use, and TCP none for it. */
#define RATE_MIN  1000
#define TOTAL_MIN 1000

/* "file:line:column: KEY: reason" of a word that the rule's own parser refused. */
static int fail_word(struct reader *r, const struct node *at, const struct err *why)
{
	return field_fail(r, at, "%s", why->text);
}

static int read_host(struct reader *r, const struct node *v)
{
	struct err why = ERR_INIT;
	const char *word;
	int rc = field_word(r, v, "text: a name or an address", &word);

	if (rc == 0 && net_rule_set_host(r->rule, word, &why) < 0)
		return fail_word(r, v, &why);
	return rc;
}

static int read_port(struct reader *r, const struct node *v)
{
	struct err why = ERR_INIT;
	const char *word;
	int rc = field_word(r, v, "a port or a range of them", &word);

	if (rc == 0 && net_rule_add_ports(r->rule, word, &why) < 0)
		return fail_word(r, v, &why);
	return rc;
}

static int read_ports(struct reader *r, const struct node *v)
{
	int rc = 0;

	if (v->type != NODE_SEQ)
		return read_port(r, v);
	if (v->n == 0)
		return field_fail(r, v, "%s is an empty list", r->key);
	for (size_t i = 0; i < v->n && rc == 0; i++)
		rc = read_port(r, v->items[i]);
	return rc;
}

static int read_protocol(struct reader *r, const struct node *v)
{
	struct err why = ERR_INIT;

	if (v->type != NODE_STR)
		return field_fail_type(r, v, "text: tcp, udp, or a name such as https");
	if (net_rule_set_protocol(r->rule, v->text, &why) < 0)
		return fail_word(r, v, &why);
	return 0;
}

static int read_one_phase(struct reader *r, const struct node *v)
{
	static const char *const words[] = {"prepare", "build"};
	static const unsigned phases[] = {NET_PHASE_PREPARE, NET_PHASE_BUILD};
	int i = field_choice(r, v, words, ARRAY_SIZE(words));

	if (i < 0)
		return i;
	r->rule->phases |= phases[i];
	return 0;
}

static int read_phase(struct reader *r, const struct node *v)
{
	int rc = 0;

	if (v->type != NODE_SEQ)
		return read_one_phase(r, v);
	for (size_t i = 0; i < v->n && rc == 0; i++)
		rc = read_one_phase(r, v->items[i]);
	if (rc == 0 && !r->rule->phases)
		return field_fail(r, v, "phase is an empty list; leave it out for both phases");
	return rc;
}

static int read_private(struct reader *r, const struct node *v)
{
	return field_bool(r, v, &r->rule->private_ok);
}

static int read_rule(struct reader *r, const struct node *v, struct net_rule *rule)
{
	/* read in this order: the ports before the protocol, which has some of its own */
	static const struct field fields[] = {
		{"host", read_host, true},    {"port", read_ports, false},
		{"ports", read_ports, false}, {"protocol", read_protocol, true},
		{"phase", read_phase, false}, {"private", read_private, false},
	};
	struct err why = ERR_INIT;
	int rc;

	memset(rule, 0, sizeof(*rule));
	rule->line = v->line;
	rule->column = v->column;
	r->rule = rule;
	rc = field_read_all(r, v, "a rule", fields, ARRAY_SIZE(fields));
	if (rc < 0)
		return rc;
	if (!rule->phases)
		rule->phases = NET_PHASE_PREPARE | NET_PHASE_BUILD;
	if (net_rule_check(rule, &why) < 0)
		return fail_word(r, v, &why);
	return 0;
}

static int read_allow(struct reader *r, const struct node *v)
{
	struct spec_network *n = &r->spec->network;

	if (v->type != NODE_SEQ)
		return field_fail_type(r, v, "a list of rules");
	if (v->n > NET_RULES_MAX)
		return field_fail(r, v->items[NET_RULES_MAX], "more than %d rules", NET_RULES_MAX);
	n->rules = calloc(v->n + 1, sizeof(*n->rules));
	if (!n->rules)
		return err_oom(r->e);
	for (size_t i = 0; i < v->n; i++) {
		int rc = read_rule(r, v->items[i], &n->rules[i]);

		if (rc < 0)
			return rc;
		n->n_rules++;
	}
	return 0;
}

static int read_on_denied(struct reader *r, const struct node *v)
{
	static const char *const words[] = {"fail", "report"};
	int i = field_choice(r, v, words, ARRAY_SIZE(words));

	if (i < 0)
		return i;
	r->spec->network.denied_fails = i == 0;
	return 0;
}

static int read_repositories(struct reader *r, const struct node *v)
{
	return field_bool(r, v, &r->spec->network.prepare_repositories);
}

/* A number without a unit is one of bytes, as everywhere; a fraction of it has no meaning. */
static int read_amount(struct reader *r, const struct node *v, const char *wanted, uint64_t min,
		       int (*parse)(const char *, uint64_t *), uint64_t *ret)
{
	char shown[64], low[NUM_TEXT_MAX];
	const char *word;
	uint64_t amount;
	int rc = field_word(r, v, wanted, &word);

	if (rc < 0)
		return rc;
	rc = parse(v->type == NODE_INT ? v->number : word, &amount);
	if (rc == -EINVAL)
		return field_fail(r, v, "%s must be %s, not \"%s\"", r->key, wanted,
				  text_escape_line(word, strlen(word), shown, sizeof(shown)));
	if (rc < 0 || amount < min || amount > INT64_MAX)
		return field_fail(r, v, "%s is out of range; it is at least %s", r->key,
				  format_size(min, low));
	*ret = amount;
	return 0;
}

static int read_rate(struct reader *r, const struct node *v)
{
	return read_amount(r, v, "a size for each second, such as 5MB/s", RATE_MIN, parse_rate,
			   &r->spec->network.rate);
}

static int read_total(struct reader *r, const struct node *v)
{
	return read_amount(r, v, "a size, such as 500MB", TOTAL_MIN, parse_size,
			   &r->spec->network.total);
}

static int read_bandwidth(struct reader *r, const struct node *v)
{
	static const struct field fields[] = {
		{"rate", read_rate, false},
		{"total", read_total, false},
	};

	return field_read_all(r, v, "bandwidth", fields, ARRAY_SIZE(fields));
}

int network_read(struct reader *r, const struct node *v)
{
	static const struct field fields[] = {
		{"on-denied", read_on_denied, false},
		{"bandwidth", read_bandwidth, false},
		{"allow", read_allow, false},
		{"prepare-repositories", read_repositories, false},
	};

	return field_read_all(r, v, "network", fields, ARRAY_SIZE(fields));
}
