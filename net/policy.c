/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The decision about one connection, and the words for it. */
#include "policy.h"

static bool rule_has_host(const struct net_rule *r, const char *name, const struct net_addr *addr)
{
	struct net_addr prefix = {0};

	switch (r->kind) {
	case NET_HOST_NAME:
		return name && strcmp(name, r->name) == 0;
	case NET_HOST_SUFFIX:
		return name && net_name_below(name, r->name);
	case NET_HOST_IP4:
	case NET_HOST_IP6:
		if (name || !addr)
			return false;
		prefix.v6 = r->kind == NET_HOST_IP6;
		memcpy(prefix.b, &r->addr, prefix.v6 ? 16 : 4);
		return net_addr_in_prefix(addr, &prefix, r->prefix_len);
	case _NET_HOST_KIND_MAX:
		break;
	}
	return false;
}

static bool rule_has_port(const struct net_rule *r, uint16_t port)
{
	for (size_t i = 0; i < r->n_ports && i < NET_RULE_PORTS_MAX; i++) {
		if (port >= r->ports[i].first && port <= r->ports[i].last)
			return port != 0;
	}
	return false;
}

static bool rule_has_proto(const struct net_rule *r, enum net_proto p)
{
	return (p == NET_PROTO_TCP && r->tcp) || (p == NET_PROTO_UDP && r->udp);
}

static bool is_never(enum net_addr_class c)
{
	return c == NET_ADDR_UNSPECIFIED || c == NET_ADDR_BROADCAST || c == NET_ADDR_RESERVED;
}

/* `name` is folded and `addr` unmapped here. */
static enum net_reason ask_rule(const struct net_rule *r, const struct net_query *q,
				const char *name, const struct net_addr *addr,
				enum net_addr_class class)
{
	if (!rule_has_host(r, name, addr))
		return NET_DENIED_HOST;
	if (!q->any_service && !rule_has_proto(r, q->proto))
		return NET_DENIED_PROTOCOL;
	if (!q->any_service && !rule_has_port(r, q->port))
		return NET_DENIED_PORT;
	if (!(r->phases & (unsigned)q->phase))
		return NET_DENIED_PHASE;
	if (!addr)
		return NET_ALLOWED;
	if (is_never(class))
		return NET_DENIED_NEVER;
	if (class != NET_ADDR_GLOBAL && !r->private_ok && !(class == NET_ADDR_TEST && r->test_ok))
		return NET_DENIED_ADDRESS;
	if (q->own && !r->private_ok)
		return NET_DENIED_OWN;
	return NET_ALLOWED;
}

struct net_decision net_decide(const struct net_rule *rules, size_t n, const struct net_query *q)
{
	struct net_decision d = {.reason = NET_DENIED_HOST, .rule = -1};
	char folded[NET_NAME_SIZE];
	const char *name = NULL;
	struct net_addr addr;

	if (q->name) {
		if (net_name_fold(q->name, strlen(q->name), folded) < 0) {
			d.reason = NET_DENIED_BAD_NAME;
			return d;
		}
		name = folded;
	}
	if (q->addr) {
		addr = net_addr_unmap(q->addr);
		d.address = net_addr_classify(&addr);
	}
	for (size_t i = 0; i < n; i++) {
		enum net_reason r = ask_rule(&rules[i], q, name, q->addr ? &addr : NULL, d.address);

		if (r != NET_ALLOWED && r <= d.reason)
			continue;
		d.reason = r;
		d.rule = (int)i;
		if (r == NET_ALLOWED)
			break;
	}
	return d;
}

const char *net_proto_text(enum net_proto p)
{
	return p == NET_PROTO_UDP ? "udp" : "tcp";
}

const char *net_phase_text(enum net_phase p)
{
	return p == NET_PHASE_PREPARE ? "prepare" : "build";
}

/* "line 12", or for rules that come with the image their number in the list. */
static const char *rule_text(const struct net_decision *d, const struct net_rule *rules,
			     char out[64])
{
	if (d->rule < 0)
		return "no rule";
	if (rules[d->rule].line > 0)
		(void)snprintf(out, 64, "line %d", rules[d->rule].line);
	else
		(void)snprintf(out, 64, "built-in rule %d", d->rule + 1);
	return out;
}

/* The host as it may be shown: a name that is none could hold anything. */
static const char *host_text(const struct net_query *q, char out[NET_NAME_SIZE])
{
	if (q->name)
		return net_name_fold(q->name, strlen(q->name), out) < 0 ? "that name" : out;
	return q->addr ? net_addr_format(q->addr, out) : "no address";
}

/* "1.2.3.4" or "name, which resolves to 1.2.3.4,". */
static void address_text(const struct net_query *q, char *out, size_t size)
{
	char host[NET_NAME_SIZE], addr[NET_ADDR_TEXT_MAX];

	if (q->name && q->addr)
		(void)snprintf(out, size, "%s resolves to %s, which", host_text(q, host),
			       net_addr_format(q->addr, addr));
	else
		(void)snprintf(out, size, "%s", host_text(q, host));
}

char *net_decision_text(const struct net_decision *d, const struct net_rule *rules,
			const struct net_query *q, char out[NET_TEXT_MAX])
{
	char host[NET_NAME_SIZE], num[64], where[NET_NAME_SIZE + 96];
	const char *rule = rule_text(d, rules, num);

	(void)host_text(q, host);
	address_text(q, where, sizeof(where));
	out[0] = '\0';
	switch (d->reason) {
	case NET_ALLOWED:
		(void)snprintf(out, NET_TEXT_MAX, "allowed by %s", rule);
		break;
	case NET_DENIED_BAD_NAME:
		(void)snprintf(out, NET_TEXT_MAX, "not a host name");
		break;
	case NET_DENIED_HOST:
		(void)snprintf(out, NET_TEXT_MAX, "no rule allows %s", host_text(q, host));
		break;
	case NET_DENIED_PROTOCOL:
		(void)snprintf(out, NET_TEXT_MAX, "%s allows %s, but not %s", rule,
			       host_text(q, host), net_proto_text(q->proto));
		break;
	case NET_DENIED_PORT:
		(void)snprintf(out, NET_TEXT_MAX, "%s allows %s by %s, but not port %u", rule,
			       host_text(q, host), net_proto_text(q->proto), q->port);
		break;
	case NET_DENIED_PHASE:
		(void)snprintf(out, NET_TEXT_MAX, "%s allows %s, but not in the %s phase", rule,
			       host_text(q, host), net_phase_text(q->phase));
		break;
	case NET_DENIED_ADDRESS:
		(void)snprintf(out, NET_TEXT_MAX, "%s is %s, and %s does not say private: true",
			       where, net_addr_class_text(d->address), rule);
		break;
	case NET_DENIED_OWN:
		(void)snprintf(out, NET_TEXT_MAX,
			       "%s is an address of this host, and %s does not say private: true",
			       where, rule);
		break;
	case NET_DENIED_NEVER:
		(void)snprintf(out, NET_TEXT_MAX, "%s is %s, which no rule can allow", where,
			       net_addr_class_text(d->address));
		break;
	case _NET_REASON_MAX:
		break;
	}
	return out;
}

/* YAML would read `no` as false, and an IPv6 address may end in a colon: those are quoted. */
static bool needs_quotes(const char *host)
{
	return strchr(host, ':') || !strchr(host, '.');
}

char *net_decision_remedy(const struct net_decision *d, const struct net_query *q,
			  char out[NET_TEXT_MAX])
{
	enum net_addr_class class = NET_ADDR_GLOBAL;
	char host[NET_NAME_SIZE];
	const char *quote, *private;

	out[0] = '\0';
	if (d->reason == NET_ALLOWED || d->reason == NET_DENIED_BAD_NAME || q->port == 0)
		return out;
	if (q->addr)
		class = net_addr_classify(q->addr);
	if (is_never(class))
		return out;
	(void)host_text(q, host);
	if (!q->name && !q->addr)
		return out;
	if (q->name && net_name_fold(q->name, strlen(q->name), host) < 0)
		return out;
	quote = needs_quotes(host) ? "\"" : "";
	private = class != NET_ADDR_GLOBAL || (q->addr && q->own) ? ", private: true" : "";
	(void)snprintf(out, NET_TEXT_MAX, "- {host: %s%s%s, port: %u, protocol: %s, phase: %s%s}",
		       quote, host, quote, q->port, net_proto_text(q->proto),
		       net_phase_text(q->phase), private);
	return out;
}
