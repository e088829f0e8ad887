/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rules for the package repositories that an image's own package manager uses. */
#ifndef CONTRACTOR_NET_REPOSITORY_H
#define CONTRACTOR_NET_REPOSITORY_H

#include "rule.h"

/*
 * The rule that lets the prepare phase reach a repository's URL (http, https or ftp; a port and
 * user:password@ are understood). line is 0: it stands in no spec. The addresses for documentation
 * will do for it, as nobody's hosts have them but the mirror of a closed network that answers for
 * the name; private ones will not: a manifest comes from anywhere. 1, 0 when the URL needs no
 * network (file:, cdrom:, copy:), or -EINVAL with the reason in e.
 */
int net_rule_from_url(struct net_rule *ret, const char *url, struct err *e);

/*
 * The rules that hold for a build: those of its spec, and those for the image's repositories
 * behind them, each host and port once. URLs that are none are left out. *ret is the caller's to
 * free. 0, -E2BIG (over NET_RULES_MAX together) or -ENOMEM.
 */
int net_rules_join(const struct net_rule *rules, size_t n, const char *const *urls, size_t n_urls,
		   struct net_rule **ret, size_t *ret_n, struct err *e);

#endif
