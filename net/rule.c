/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The words of a network rule: host, protocol and ports, checked to the letter. */
#include "rule.h"

#include <errno.h>

#include "addr.h"
#include "base/num.h"
#include "base/text.h"
#include "name.h"

static int fail_host(const char *host, struct err *e, const char *why)
{
	char shown[128];

	return err_set(e, -EINVAL, "host \"%s\": %s",
		       text_escape_line(host, strlen(host), shown, sizeof(shown)), why);
}

/* What most people mean who write something that is no host. */
static const char *host_mistake(const char *host)
{
	if (!*host)
		return "is empty";
	if (strstr(host, "://"))
		return "write the name alone, without scheme and path";
	if (*host == '[')
		return "write the IPv6 address without brackets";
	if (strchr(host, '%'))
		return "an address with a zone cannot be allowed";
	if (strchr(host, ':'))
		return "is not an IPv6 address; a port goes to port:";
	if (strchr(host, '/'))
		return "is not an address/prefix, nor a name";
	if (strchr(host, '*'))
		return "* stands for whole labels at the start only: *.example.org";
	for (const char *p = host; *p; p++) {
		if ((unsigned char)*p >= 0x80)
			return "write the name in its ASCII form (xn--...)";
	}
	return "is not a host name";
}

static bool is_digits(const char *s)
{
	return s[strspn(s, "0123456789.")] == '\0';
}

static int set_name(struct net_rule *r, const char *host, struct err *e)
{
	bool suffix = strncmp(host, "*.", 2) == 0;
	const char *name = suffix ? host + 2 : host;
	char folded[NET_NAME_SIZE];

	if (net_name_fold(name, strlen(name), folded) < 0)
		return fail_host(host, e,
				 *host && is_digits(host) ? "is not an IPv4 address"
							  : host_mistake(host));
	if (suffix && !strchr(folded, '.'))
		return fail_host(host, e,
				 "a suffix needs at least two labels, such as *.example.org");
	r->kind = suffix ? NET_HOST_SUFFIX : NET_HOST_NAME;
	(void)snprintf(r->name, sizeof(r->name), "%s", folded);
	return 0;
}

/* Zeroes the bits behind the prefix; true if one of them was set. */
static bool mask_host_bits(uint8_t *bytes, size_t n, unsigned prefix)
{
	bool any = false;

	for (size_t i = 0; i < n; i++) {
		unsigned keep = prefix > i * 8 ? MIN(prefix - (unsigned)i * 8, 8U) : 0;
		uint8_t mask = (uint8_t)(0xff00U >> keep);

		any = any || (bytes[i] & ~mask & 0xff);
		bytes[i] &= mask;
	}
	return any;
}

/* 1 for an address or prefix, 0 for what does not look like one, -EINVAL for a wrong one. */
static int set_address(struct net_rule *r, const char *host, struct err *e)
{
	char text[NET_ADDR_TEXT_MAX], why[128];
	const char *slash = strchr(host, '/');
	size_t len = slash ? (size_t)(slash - host) : strlen(host);
	struct net_addr addr;
	uint64_t bits, prefix;

	if (len >= sizeof(text))
		return 0;
	memcpy(text, host, len);
	text[len] = '\0';
	if (net_addr_parse(text, &addr) < 0)
		return 0;
	if (addr.v6 && !net_addr_unmap(&addr).v6)
		return fail_host(host, e, "write it as an IPv4 address");
	bits = prefix = addr.v6 ? 128 : 32;
	if (slash && (parse_u64(slash + 1, &prefix) < 0 || prefix > bits))
		return fail_host(host, e,
				 addr.v6 ? "a prefix of IPv6 has 0 to 128 bits"
					 : "a prefix of IPv4 has 0 to 32 bits");
	if (mask_host_bits(addr.b, bits / 8, (unsigned)prefix)) {
		(void)snprintf(why, sizeof(why),
			       "has bits set behind its prefix; did you mean %s/%u?",
			       net_addr_format(&addr, text), (unsigned)prefix);
		return fail_host(host, e, why);
	}
	r->kind = addr.v6 ? NET_HOST_IP6 : NET_HOST_IP4;
	memcpy(&r->addr, addr.b, sizeof(r->addr));
	r->prefix_len = (uint8_t)prefix;
	r->name[0] = '\0';
	return 1;
}

int net_rule_set_host(struct net_rule *r, const char *host, struct err *e)
{
	int rc = set_address(r, host, e);

	if (rc != 0)
		return rc < 0 ? rc : 0;
	return set_name(r, host, e);
}

static int add_range(struct net_rule *r, uint64_t first, uint64_t last, struct err *e)
{
	if (r->n_ports == NET_RULE_PORTS_MAX)
		return err_set(e, -E2BIG, "more than %d ports or ranges in one rule",
			       NET_RULE_PORTS_MAX);
	r->ports[r->n_ports++] = (struct net_port_range){(uint16_t)first, (uint16_t)last};
	return 0;
}

int net_rule_set_protocol(struct net_rule *r, const char *protocol, struct err *e)
{
	static const struct {
		const char *name;
		bool tcp, udp;
		uint16_t port; /* 0: none of its own */
	} protocols[] = {
		{"tcp", true, false, 0},     {"udp", false, true, 0},  {"http", true, false, 80},
		{"https", true, false, 443}, {"ssh", true, false, 22}, {"git", true, false, 9418},
		{"rsync", true, false, 873}, {"ftp", true, false, 21}, {"dns", true, true, 53},
	};
	const char *names[ARRAY_SIZE(protocols)], *near;
	char shown[64];

	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
		names[i] = protocols[i].name;
		if (strcmp(protocol, protocols[i].name) != 0)
			continue;
		r->tcp = protocols[i].tcp;
		r->udp = protocols[i].udp;
		if (protocols[i].port && r->n_ports == 0)
			return add_range(r, protocols[i].port, protocols[i].port, e);
		return 0;
	}
	near = text_nearest(protocol, names, ARRAY_SIZE(names));
	(void)text_escape_line(protocol, strlen(protocol), shown, sizeof(shown));
	if (near)
		return err_set(e, -EINVAL, "protocol \"%s\" is not known; did you mean \"%s\"?",
			       shown, near);
	return err_set(e, -EINVAL,
		       "protocol \"%s\" is not known; write tcp or udp and a port, or http, https, "
		       "ssh, git, rsync, ftp or dns",
		       shown);
}

/* A port number from text of `len` bytes. 0 or -EINVAL. */
static int parse_port(const char *text, size_t len, uint64_t *ret)
{
	char digits[8];

	if (len >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, text, len);
	digits[len] = '\0';
	if (parse_u64(digits, ret) < 0 || *ret < 1 || *ret > 65535)
		return -EINVAL;
	return 0;
}

int net_rule_add_ports(struct net_rule *r, const char *text, struct err *e)
{
	const char *dash = strchr(text, '-');
	size_t len = dash ? (size_t)(dash - text) : strlen(text);
	uint64_t first, last;
	char shown[64];

	(void)text_escape_line(text, strlen(text), shown, sizeof(shown));
	if (parse_port(text, len, &first) < 0)
		return err_set(e, -EINVAL, "\"%s\" is not a port (1 to 65535) or a range of them",
			       shown);
	last = first;
	if (dash && parse_port(dash + 1, strlen(dash + 1), &last) < 0)
		return err_set(e, -EINVAL, "\"%s\" is not a range of ports (1 to 65535)", shown);
	if (last < first)
		return err_set(e, -EINVAL, "\"%s\": the range runs backwards", shown);
	return add_range(r, first, last, e);
}

int net_rule_check(const struct net_rule *r, struct err *e)
{
	bool host = r->kind == NET_HOST_IP4 || r->kind == NET_HOST_IP6 || r->name[0];

	if (!host)
		return err_set(e, -EINVAL, "the rule names no host");
	if (!r->tcp && !r->udp)
		return err_set(e, -EINVAL, "the rule names no protocol, such as https or tcp");
	if (r->n_ports == 0)
		return err_set(e, -EINVAL, "the rule names no port; with tcp and udp it must");
	if (!r->phases)
		return err_set(e, -EINVAL, "the rule names no phase");
	return 0;
}

struct net_rule *net_rules_unplaced(const struct net_rule *rules, size_t n)
{
	struct net_rule *copy = calloc(n + 1, sizeof(*copy));

	for (size_t i = 0; copy && i < n; i++) {
		copy[i] = rules[i];
		copy[i].line = copy[i].column = 0;
	}
	return copy;
}
