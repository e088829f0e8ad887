/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Network rules to JSON and back. */
/*
 *	{"host": "*.example.org", "tcp": true, "udp": false, "ports": ["443", "8000-8080"],
 *	 "phases": 3, "private": false, "test": false, "line": 12, "column": 5}
 *
 * The host and the ports are in the spec's own words, so that net_rule_set_host and
 * net_rule_add_ports check what comes in.
 */
#include "rule-json.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>

static int host_text(const struct net_rule *r, char *out, size_t size)
{
	char addr[INET6_ADDRSTRLEN];

	switch (r->kind) {
	case NET_HOST_NAME:
		(void)snprintf(out, size, "%s", r->name);
		return 0;
	case NET_HOST_SUFFIX:
		(void)snprintf(out, size, "*.%s", r->name);
		return 0;
	case NET_HOST_IP4:
	case NET_HOST_IP6:
		if (!inet_ntop(r->kind == NET_HOST_IP4 ? AF_INET : AF_INET6, &r->addr, addr,
			       sizeof(addr)))
			return -errno;
		(void)snprintf(out, size, "%s/%u", addr, r->prefix_len);
		return 0;
	case _NET_HOST_KIND_MAX:
		break;
	}
	return -EINVAL;
}

static cJSON *rule_to_json(const struct net_rule *r)
{
	_cleanup_(json_free_p) cJSON *j = cJSON_CreateObject();
	char text[300];
	cJSON *ports;

	if (!j || host_text(r, text, sizeof(text)) < 0 ||
	    !cJSON_AddStringToObject(j, "host", text) || !cJSON_AddBoolToObject(j, "tcp", r->tcp) ||
	    !cJSON_AddBoolToObject(j, "udp", r->udp) ||
	    !cJSON_AddNumberToObject(j, "phases", r->phases) ||
	    !cJSON_AddBoolToObject(j, "private", r->private_ok) ||
	    !cJSON_AddBoolToObject(j, "test", r->test_ok) ||
	    !cJSON_AddNumberToObject(j, "line", r->line) ||
	    !cJSON_AddNumberToObject(j, "column", r->column))
		return NULL;
	ports = cJSON_AddArrayToObject(j, "ports");
	for (size_t i = 0; i < r->n_ports; i++) {
		cJSON *s;

		(void)snprintf(text, sizeof(text), "%u-%u", r->ports[i].first, r->ports[i].last);
		s = cJSON_CreateString(text);
		if (!s || !cJSON_AddItemToArray(ports, s)) {
			cJSON_Delete(s);
			return NULL;
		}
	}
	return take_ptr(&j);
}

cJSON *net_rules_to_json(const struct net_rule *rules, size_t n)
{
	_cleanup_(json_free_p) cJSON *list = cJSON_CreateArray();

	for (size_t i = 0; i < n; i++) {
		cJSON *j = rule_to_json(&rules[i]);

		if (!j || !cJSON_AddItemToArray(list, j)) {
			cJSON_Delete(j);
			return NULL;
		}
	}
	return take_ptr(&list);
}

static int rule_from_json(const cJSON *j, struct net_rule *r, struct err *e)
{
	const char *host = json_str(j, "host");
	const cJSON *port;
	int n;

	*r = (struct net_rule){
		.tcp = json_bool_or(j, "tcp", false),
		.udp = json_bool_or(j, "udp", false),
		.private_ok = json_bool_or(j, "private", false),
		.test_ok = json_bool_or(j, "test", false),
		.phases = (unsigned)json_u64_or(j, "phases", 0) &
			  (NET_PHASE_PREPARE | NET_PHASE_BUILD),
		.line = (int)MIN(json_u64_or(j, "line", 0), (uint64_t)INT_MAX),
		.column = (int)MIN(json_u64_or(j, "column", 0), (uint64_t)INT_MAX),
	};
	if (!host)
		return err_set(e, -EBADMSG, "a network rule without a host");
	n = net_rule_set_host(r, host, e);
	cJSON_ArrayForEach (port, json_get(j, "ports")) {
		if (n == 0 && !cJSON_IsString(port))
			n = err_set(e, -EBADMSG, "a network rule with a port that is no string");
		if (n == 0)
			n = net_rule_add_ports(r, port->valuestring, e);
	}
	if (n == 0)
		n = net_rule_check(r, e);
	return n;
}

int net_rules_from_json(const cJSON *list, struct net_rule **ret, size_t *ret_n, struct err *e)
{
	_cleanup_free_ struct net_rule *rules = NULL;
	int n = cJSON_GetArraySize(list);
	const cJSON *j;
	size_t i = 0;

	if (!cJSON_IsArray(list))
		return err_set(e, -EBADMSG, "the network rules are not a list");
	if (n > NET_RULES_MAX)
		return err_set(e, -E2BIG, "more than %d network rules", NET_RULES_MAX);
	rules = calloc((size_t)n + 1, sizeof(*rules));
	if (!rules)
		return err_oom(e);
	cJSON_ArrayForEach (j, list) {
		int r = rule_from_json(j, &rules[i++], e);

		if (r < 0)
			return r == -ENOMEM ? r : -EBADMSG;
	}
	*ret = take_ptr(&rules);
	*ret_n = i;
	return 0;
}
