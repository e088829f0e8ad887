/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzz target: the words of a network rule, one a line: host, protocol, ports. */
#include "base/macro.h"
#include "fuzz.h"
#include "net/rule.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = malloc(size + 1);
	struct net_rule r = {0};
	struct err e = ERR_INIT;
	char *line, *rest;

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	rest = text;
	line = strsep(&rest, "\n");
	if (net_rule_set_host(&r, line, &e) == 0 && !r.name[0] && r.kind != NET_HOST_IP4 &&
	    r.kind != NET_HOST_IP6)
		abort();
	line = strsep(&rest, "\n");
	if (line)
		(void)net_rule_set_protocol(&r, line, &e);
	while ((line = strsep(&rest, "\n")))
		(void)net_rule_add_ports(&r, line, &e);
	if (r.n_ports > NET_RULE_PORTS_MAX)
		abort();
	for (size_t i = 0; i < r.n_ports; i++) {
		if (r.ports[i].first < 1 || r.ports[i].last < r.ports[i].first)
			abort();
	}
	return 0;
}
