/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From a repository's URL to the rule that allows it. */
#include "repository.h"

#include <errno.h>

static const struct {
	const char *prefix;
	const char *protocol; /* NULL: nothing to reach */
} schemes[] = {
	{"http://", "http"}, {"https://", "https"}, {"ftp://", "ftp"},
	{"file:", NULL},     {"cdrom:", NULL},	    {"copy:", NULL},
};

/* host[:port] or [address][:port], between the scheme and the path. */
static int set_authority(struct net_rule *r, const char *text, size_t len, struct err *e)
{
	char authority[320], *host = authority, *port;
	int rc;

	if (len == 0 || len >= sizeof(authority))
		return err_set(e, -EINVAL, "the URL has no host");
	memcpy(authority, text, len);
	authority[len] = '\0';
	if ((port = strrchr(host, '@')))
		host = port + 1;
	if (*host == '[' && (port = strchr(host, ']'))) {
		host++;
		*port++ = '\0';
		port = *port == ':' ? port : NULL;
	} else {
		port = strchr(host, ':');
	}
	if (port)
		*port++ = '\0';
	rc = net_rule_set_host(r, host, e);
	if (rc == 0 && port && *port)
		rc = net_rule_add_ports(r, port, e);
	return rc;
}

int net_rule_from_url(struct net_rule *ret, const char *url, struct err *e)
{
	struct net_rule r = {.phases = NET_PHASE_PREPARE, .test_ok = true};

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		size_t n = strlen(schemes[i].prefix);
		int rc;

		if (strncasecmp(url, schemes[i].prefix, n) != 0)
			continue;
		if (!schemes[i].protocol)
			return 0;
		rc = set_authority(&r, url + n, strcspn(url + n, "/?#"), e);
		if (rc == 0)
			rc = net_rule_set_protocol(&r, schemes[i].protocol, e);
		if (rc == 0)
			rc = net_rule_check(&r, e);
		if (rc < 0)
			return rc;
		*ret = r;
		return 1;
	}
	return err_set(e, -EINVAL, "no URL of a repository");
}

static bool has_rule(const struct net_rule *rules, size_t n, const struct net_rule *r)
{
	for (size_t i = 0; i < n; i++) {
		if (rules[i].kind == r->kind && strcmp(rules[i].name, r->name) == 0 &&
		    memcmp(&rules[i].addr, &r->addr, sizeof(r->addr)) == 0 &&
		    rules[i].ports[0].first == r->ports[0].first)
			return true;
	}
	return false;
}

int net_rules_join(const struct net_rule *rules, size_t n, const char *const *urls, size_t n_urls,
		   struct net_rule **ret, size_t *ret_n, struct err *e)
{
	struct net_rule *all = calloc(n + n_urls + 1, sizeof(*all));
	size_t count = n;

	if (!all)
		return err_oom(e);
	if (n)
		memcpy(all, rules, n * sizeof(*all));
	for (size_t i = 0; i < n_urls; i++) {
		struct net_rule r;

		if (net_rule_from_url(&r, urls[i], NULL) == 1 && !has_rule(all + n, count - n, &r))
			all[count++] = r;
	}
	if (count > NET_RULES_MAX) {
		free(all);
		return err_set(e, -E2BIG,
			       "more than %d network rules, the image's repositories included",
			       NET_RULES_MAX);
	}
	*ret = all;
	*ret_n = count;
	return 0;
}
