/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Network rules as JSON, for the way from the command line to a manager and to a dialer. */
#ifndef CONTRACTOR_NET_RULE_JSON_H
#define CONTRACTOR_NET_RULE_JSON_H

#include "base/json.h"
#include "rule.h"

/* An array of rules; NULL: OOM. */
cJSON *net_rules_to_json(const struct net_rule *rules, size_t n);

/*
 * Reads such an array; every member is checked, and the rule as a whole by net_rule_check. The
 * caller frees *ret. 0, -EBADMSG, -E2BIG (over NET_RULES_MAX) or -ENOMEM.
 */
int net_rules_from_json(const cJSON *list, struct net_rule **ret, size_t *ret_n, struct err *e);

#endif
