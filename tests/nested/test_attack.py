#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network's and the limits' attacks with isolation: nested.

One worker makes those of the network, and all start from one saved manager VM: a boot is slow.
"""

import os
import sys

import manager

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../attack"))
import frames  # noqa: E402
import test_network  # noqa: E402
import world  # noqa: E402
from attack import MIB, Attack  # noqa: E402
from world import ECHO, OTHER, WEB  # noqa: E402

RULES = [test_network.allow("web.test", ECHO), test_network.allow("web.test", ECHO, "udp"),
         *({"host": f"rebind-{n}.test", "protocol": "http"} for n in ("host", "private"))]
# What is part of a template; processor time, time and log are not.
SIZES = {"memory": "256MiB", "disk": "24MiB", "output": "8MiB"}


class Home(manager.Manager):
    """The verdicts are those of the single home (tests/attack)."""

    def spec(self, build, limits=None, network=None, **more):
        return super().spec(build, template=True, network=network or {"allow": RULES},
                            limits={"time": "10min", **SIZES, **(limits or {})}, **more)

    def contractor(self, *args, **how):
        if args[0] == "build":
            args = (args[0], "--tcg", "--isolation", "nested", *args[1:])
        return super().contractor(*args, **how)


class Warm(Home, Attack):
    made = False

    def setUp(self):
        super().setUp()
        if not Warm.made:
            # the limits of the build that makes the template count its making
            self.spec("true", workspace="other")
            self.build()
            Warm.made = True

    def judged(self, limit, r):
        report = super().judged(limit, r)
        self.assertEqual((report["isolation"], report["template"]["what"]), ("nested", "used"), r)
        return report


class Limits(Warm):
    def test_cpu_time(self):
        report = self.over("cpu-time", "while :; do :; done", "--limit", "cpu-time=5s")
        self.assertLessEqual(report["used"], 5000 + 2000)

    def test_time(self):
        report = self.over("time", "sleep 3000", "--limit", "time=12s")
        self.assertLessEqual(report["used"], 12000 + 5000)

    def test_memory(self):
        self.spec("perl -e 'push @a, \"x\" x (16 << 20) while 1'")
        r = self.contractor("build", "spec.yaml")
        self.assertIn(r.exit, (1, 5), r)
        self.assertLess(self.report()["limits"]["memory"]["peak"], (256 + 512) * MIB)
        self.unharmed()

    def test_disk(self):
        self.over("disk", "dd if=/dev/zero of=../big bs=1M count=60")

    def test_output(self):
        self.over("output", "dd if=/dev/zero of=../big bs=1M count=12")


class Log(Warm):
    """In the slow suite, for the time that it takes."""

    def test_log(self):
        self.over("log", "yes", log="1MiB")


class Network(Home, test_network.Network):
    def line_of(self, host):
        """Not where its rule stood when the template was made."""
        lines = self.read("spec.yaml").split("\n")
        return f"line {[host in text for text in lines].index(True) + 1}"

    def test_attacks(self):
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
        r = self.try_all(lines, RULES, 4)
        self.assertIn(self.report()["template"]["what"], ("made", "used"), r)
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
                (self.line_of("rebind-private.test") + " does not say private",
                 {"host": "rebind-private.test", "address": world.PRIVATE})):
            self.check_told(reason, **key)


if __name__ == "__main__":
    manager.make_before()
    world.enter()
    test_network.W = world.World()
    status = manager.main(__name__)
    test_network.W.end()
    sys.exit(status)
