/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fuzz target: DNS queries; an answer is short, printable, and reads as the same question. */
#include "base/macro.h"
#include "fuzz.h"
#include "net/dns-server.h"

static const struct net_rule rules[] = {
	{.kind = NET_HOST_SUFFIX,
	 .name = "b",
	 .tcp = true,
	 .ports = {{1, 9}},
	 .n_ports = 1,
	 .phases = NET_PHASE_BUILD},
};

static void check_printable(const char *s)
{
	size_t n = strlen(s);

	if (n == 0 || n >= DNS_TEXT_NAME_MAX)
		abort();
	for (; *s; s++) {
		if (*s <= 0x20 || *s > 0x7e)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dns_server_config c = {.rules = rules, .n_rules = 1, .phase = NET_PHASE_BUILD};
	struct dns_answer a = {0};
	uint8_t out[DNS_ANSWER_MAX];
	struct dns_query q, back;
	struct dns_event ev;
	size_t n;

	if (dns_decode(data, size, &q) < 0)
		return 0;
	if (net_synth_new(0xc6120000, 0xc612ffff, &c.synth) < 0)
		return 0;
	if (q.rcode == DNS_NOERROR) {
		check_printable(q.name);
		a = dns_answer(&c, &q, &ev);
	}
	n = dns_encode(&q, &a, out, sizeof(out));
	if (n < 12 || n > size + 16)
		abort();
	(void)net_synth_free(c.synth);
	if (dns_decode(out, n, &back) == 0)
		abort(); /* an answer is no query */
	out[2] &= 0x7f;
	out[7] = 0; /* without its address it is the question again */
	if (q.rcode == DNS_NOERROR && !a.has_address) {
		if (dns_decode(out, n, &back) < 0 || back.rcode != DNS_NOERROR ||
		    back.wire_len != q.wire_len || memcmp(back.wire, q.wire, q.wire_len) != 0 ||
		    back.type != q.type || back.class != q.class)
			abort();
	}
	return 0;
}
