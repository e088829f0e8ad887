# SPDX-License-Identifier: GPL-3.0-or-later
"""The walls of the network, for mutate.py: each with the test of a real worker that misses it.

What no worker can tell, as something else holds the same, is not among them but has a test that
sees it: the caps of connections and of the resolver's (kernel memory; tests/net:
connections_are_capped, dns_by_udp_is_capped, dns_by_tcp_is_capped), the kernel's wall behind the
rate (the relay's meter; rate_up_has_a_wall) and behind the total downwards (total_down_has_a_wall),
the counters behind the log (traffic_is_counted), the base chains' policies (the last rule of pre
refuses; tests/net: mutations), the dialer's look at the request as it stands and the relay's at
what it takes (each asks what the other has asked; test-dialer: denied, test-relay: refusals), and
the reset at the end of a phase (a play has a worker of its own; test-relay-limits). tests/net takes
every rule of the packet policy out against raw frames.
"""

ADD_RULE = ("struct nft_rule *nft_add_rule(struct nft_list *l, const char *chain, const char *name)\n"
            "{\n")


def rule(name, test):
    """The packet policy without one of its rules, which are known by their names."""
    return ([("net/nft.c", ADD_RULE, ADD_RULE + f'\tif (!strcmp(name, "{name}"))\n\t\treturn '
              "NULL;\n")], "network " + test)


NAMES, LINK = "Names.test_other_hosts", "Link.test_frames"
POLICY_C, DIALER_C = "net/policy.c", "net/dialer.c"

WALLS = {
    "own-mac": rule("own-mac", LINK),
    "own-address": rule("own-address", LINK),
    "own-address6": rule("own-address6", "Six.test_literals"),
    "deny": rule("deny", NAMES),
    "reset-tcp": rule("reset-tcp", NAMES),
    "unreachable-rest": rule("unreachable-rest", NAMES),
    "log-denied": rule("log-denied", NAMES),
    "log-spoofed-mac": rule("log-spoofed-mac", LINK),
    "log-spoofed-ip": rule("log-spoofed-ip", LINK),
    "log-arp": rule("log-arp", LINK),
    "total-wall-in": rule("total-wall-in", "Bandwidth.test_total_of_tiny"),
    "policy-host": ([(POLICY_C, "if (!rule_has_host(r, name, addr))", "if (0)")], NAMES),
    "policy-protocol": ([(POLICY_C, "!rule_has_proto(r, q->proto))", "0)")], NAMES),
    "policy-port": ([(POLICY_C, "!rule_has_port(r, q->port))", "0)")], NAMES),
    "policy-phase": ([(POLICY_C, "if (!(r->phases & (unsigned)q->phase))", "if (0)")], NAMES),
    "policy-private": ([(POLICY_C, "if (class != NET_ADDR_GLOBAL && !r->private_ok &&", "if (0 &&")],
                       NAMES),
    "policy-own": ([(POLICY_C, "if (q->own && !r->private_ok)", "if (0)")], NAMES),
    "policy-never": ([(POLICY_C, "if (is_never(class))\n\t\treturn NET_DENIED_NEVER",
                       "if (0)\n\t\treturn NET_DENIED_NEVER")], NAMES),
    "dialer-addresses": ([(DIALER_C, "struct net_decision d = decide(j, &addrs[i]);",
                           "struct net_decision d = {.reason = NET_ALLOWED};")], NAMES),
    "dialer-own": ([(DIALER_C, "q.own = net_own_check(j->dialer->own, addr);", "q.own = false;")],
                   NAMES),
    "dialer-outlets": ([(DIALER_C, "r = outlet_add(j->dialer->outlets, j->request.proto == "
                         "NET_PROTO_UDP, consume_fd, &j->fd);",
                         "r = 0;\n\tj->fd = consume_fd;")], "Ends.test_killed_manager"),
    "resolver": ([("net/dns-server.c", "if (ret_event->decision.reason != NET_ALLOWED) {",
                   "if (0) {")], NAMES),
    "meter-total": ([("net/meter.c", "if (m->total == 0)", "if (1)")], "Bandwidth.test_total_up"),
    "meter-rate": ([("net/meter.c", "if (m->rate == 0)\n\t\treturn want;",
                     "if (1)\n\t\treturn want;")], "Bandwidth.test_rate"),
    "telling": ([("src/manager/run-net.c", "int i = denials_add(&n->denials, a);", "int i = -1;")],
                NAMES),
}
WALLS = {"network-" + name: (edits, test if test.startswith("network") else "network " + test)
         for name, (edits, test) in WALLS.items()}
