#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker's network from inside a worker: what is allowed works, each attack is refused and told.

Many attempts share one worker, as each boot takes seconds under emulation.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../e2e")]
import case  # noqa: E402
import frames  # noqa: E402
import world  # noqa: E402
from world import DRAW, ECHO, OTHER, POUR, PRIVATE, RESOLVER, SINK, SOURCE, WEB  # noqa: E402

KB, MB = 1000, 1000 * 1000
BUSYBOX = "/run/contractor/bin/busybox"
W = None  # the world, made in the last lines


def allow(host, port, protocol="tcp", **more):
    return {"host": host, "protocol": protocol, "ports": port, **more}


class Network(case.Case):
    def setUp(self):
        super().setUp()
        W.forget()
        self.problems = []
        self.addCleanup(lambda: self.assertFalse(self.problems, "\n".join(self.problems)))
        shutil.copy(os.path.join(HERE, "guest.pl"), self.path("code"))

    def spec_of(self, lines, rules, first="", then="", **network):
        """A build whose worker makes these attempts: lists of words, the first one a name."""
        self.write("code/plan", "".join(" ".join(map(str, line)) + "\n" for line in lines))
        self.spec(f"{first}\nperl guest.pl < plan\n{then}\n",
                  network={"allow": rules, **{k.replace("_", "-"): v for k, v in network.items()}},
                  limits={"time": "10min"})

    def outcomes(self):
        return dict(re.findall(r"^([\w-]+): (.*)$", self.log(), re.M))

    def try_all(self, lines, rules, expect, **more):
        self.spec_of(lines, rules, **more)
        r = self.build(expect=expect)
        self.found, self.denied = self.outcomes(), self.report()["denied"]
        missing = {line[0] for line in lines} - self.found.keys()
        self.assertFalse(missing, self.log())
        return r

    def check(self, ok, *said):
        """One of many checks on one run: all that fail are told."""
        if not ok:
            self.problems.append(" ".join(map(str, said)))

    def check_found(self, name, want):
        self.check(re.search(want, self.found[name]), name, "was", self.found[name])

    def check_refused(self, *names):
        """The worker saw nothing of a connection."""
        for name in names:
            self.check_found(name, "^no: ")

    def check_told(self, reason, **key):
        """One entry of the report has these members, and a reason with that in it."""
        hits = [d for d in self.denied if all(d.get(k) == v for k, v in key.items())]
        self.check(any(re.search(reason, d["reason"]) for d in hits), key, "was told as", hits)
        self.check(all(d["count"] >= 1 for d in hits), hits)

    def check_seen(self, *allowed):
        """Nothing has reached a host but these pairs of address and port."""
        reached = {(n["to"], n["port"]) for n in W.seen()}
        self.check(reached <= set(allowed), reached, "were reached")
        return reached


def copy_tools(case_, *programs):
    """Programs of this host into the source, with the libraries that the image may lack."""
    code = case_.path("code")
    for sub in ("bin", "lib"):
        os.makedirs(os.path.join(code, sub), exist_ok=True)
    have = re.compile(r"/(libc|libm|ld-linux-.*|libdl|libpthread|librt)\.so")
    for program in programs:
        shutil.copy(program, os.path.join(code, "bin"))
        out = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        for lib in re.findall(r"=> (/\S+)", out):
            if not have.search(lib):
                shutil.copy(lib, os.path.join(code, "lib"))


class Allowed(Network):
    def test_protocols(self):
        """HTTP, HTTPS with its certificate, SSH, git, TCP, UDP, IPv6 outside, DHCP, and noise."""
        git = subprocess.run(["git", "--exec-path"], capture_output=True, text=True,
                             check=True).stdout.strip()
        copy_tools(self, shutil.which("curl"), shutil.which("git"), git + "/git-remote-http",
                   shutil.which("ssh"))
        os.symlink("git-remote-http", self.path("code/bin/git-remote-https"))
        shutil.copy(W.ca, self.path("code/ca.pem"))
        shutil.copy(W.other_ca, self.path("code/other.pem"))
        self.write("code/lease.sh", "#!/bin/sh\n[ $1 = bound ] && echo lease: $ip $router $dns\n"
                   "exit 0\n", 0o755)
        shutil.copy(W.user_key, self.path("code/key"))
        shutil.copy(W.known_hosts, self.path("code/known"))
        env = "env LD_LIBRARY_PATH=lib GIT_EXEC_PATH=bin GIT_SSL_CAINFO=/workspace/src/ca.pem "
        ssh = "bin/ssh -F none -i key -o BatchMode=yes -o UserKnownHostsFile=known"
        lines = [
            ("http", "get", "web.test", 80, "/hello"),
            ("https", "run", env, "bin/curl -s --cacert ca.pem https://web.test/hello"),
            ("untrusted", "run", env, "bin/curl -s --cacert other.pem https://web.test/hello"),
            ("ssh", "run", "echo through the session |", env, ssh,
             "git@web.test 'cat; echo and back to $USER'"),
            ("clone-ssh", "run", env + f"GIT_SSH_COMMAND='{ssh}'",
             f"bin/git clone -q ssh://git@web.test{W.www}/repo.git three"),
            ("commits-ssh", "run", env, "bin/git -C three log --format=%s"),
            ("clone", "run", env, "bin/git clone -q http://web.test/repo.git one"),
            ("clone-tls", "run", env, "bin/git clone -q https://web.test/repo.git two"),
            ("commits", "run", env, "bin/git -C two log --format=%s"),
            ("echo", "tcp", "web.test", ECHO, "ping-pong"),
            ("udp", "udp", "web.test", ECHO, "ping-pong"),
            ("six", "tcp", "six.test", ECHO, "over IPv6"),
            ("lan", "tcp", "lan.test", ECHO, "by name"),
            ("literal", "tcp", PRIVATE, ECHO, "by address"),
            ("tcp-dns", "dns", frames.HOST_IP, "tcp", "web.test", 1),
            ("aaaa", "dns", frames.HOST_IP, "udp", "web.test", 28),
            ("dhcp", "run", BUSYBOX, "udhcpc -f -q -n -i eth0 -s ./lease.sh"),
            ("mdns", "cast", "224.0.0.251", 5353), ("ssdp", "cast", "239.255.255.250", 1900),
            ("broadcast", "cast", "255.255.255.255", 9),
            ("netbios", "cast", "10.98.0.255", 137),
            ("mdns6", "frame", frames.ethernet(
                frames.ip6(17, frames.udp(5353), "fe80::1", "ff02::fb"), 0x86DD,
                target="3333000000fb")),
            ("announce", "frame", frames.ethernet(
                frames.arp(1, frames.WORKER, frames.WORKER_IP, "0" * 12, frames.WORKER_IP), 0x806,
                target="f" * 12)),
        ]
        rules = [{"host": "web.test", "protocol": p} for p in ("http", "https", "ssh")]
        rules += [allow("web.test", ECHO), allow("web.test", ECHO, "udp"),
                  allow("six.test", ECHO), allow("lan.test", ECHO, private=True),
                  allow(PRIVATE, ECHO, private=True)]
        self.try_all(lines, rules, 0)
        hello = "hello from the outside"
        for name, want in (
                ("http", f"200 OK .*{hello}"), ("https", f"exit 0 {hello}"),
                ("untrusted", "exit 60"),
                ("ssh", "^exit 0 through the session and back to git $"),
                ("clone-ssh", "exit 0"), ("commits-ssh", "the one commit"),
                ("clone", "exit 0"), ("clone-tls", "exit 0"), ("commits", "the one commit"),
                ("echo", "data: ping-pong"), ("udp", "data: ping-pong"),
                ("six", "data: over IPv6"), ("lan", "data: by name"),
                ("literal", "data: by address"), ("tcp-dns", "rcode 0 answers 1"),
                ("aaaa", "rcode 0 answers 0"), ("dhcp", "10.98.0.2 10.98.0.1 10.98.0.1"),
                ("netbios", "sent"), ("mdns6", "sent 1")):
            self.check_found(name, want)
        self.check(self.denied == [], self.denied)


class Load(Network):
    def test_load(self):
        """1000 connections at once, streams with checksums both ways, and one that nobody reads.

        CONTRACTOR_TEST_STREAM: bytes each way, 1 GB where it is not set.
        """
        size = int(os.environ.get("CONTRACTOR_TEST_STREAM", 1000 * MB)) // 262144 * 262144
        lines = [("stall", "stall&", "web.test", SOURCE, 30),
                 ("many", "many", "web.test", ECHO, 1000),
                 ("draw", "draw&", "web.test", DRAW, size), ("pour", "pour", "web.test", POUR, size),
                 ("last", "tcp", "web.test", ECHO, "still there")]
        self.try_all(lines, [allow("web.test", p) for p in (ECHO, SOURCE, POUR, DRAW)], 0,
                     first="ulimit -n 4096")
        self.check_found("stall", "^stalled$")
        self.check_found("many", "^open 1000 answered 1000 ")
        self.check_found("last", "^data: still there$")
        ours, theirs, got, _ = self.found["pour"].split()
        self.check(ours == theirs and int(got) == size, "pour", self.found["pour"])
        ours, got, _ = self.found["draw"].split()
        theirs = [n["sum"] for n in W.seen() if "sum" in n]
        self.check([ours] == theirs and int(got) == size, "draw", self.found["draw"], theirs)
        print(f"# {size} bytes each way:", *(f"{n}: {self.found[n]};" for n in self.found))


class Names(Network):
    RULES = [{"host": "web.test", "protocol": "http"}, allow("web.test", ECHO),
             allow("web.test", ECHO, "udp"), allow("prepare.test", 80, phase="prepare"),
             *({"host": f"rebind-{n}.test", "protocol": "http"}
               for n in ("loopback", "host", "metadata", "private")),
             {"host": "rebind-zero.test", "protocol": "http", "private": True}]

    def test_other_hosts_ports_and_names(self):
        forged = r"GET / HTTP/1.1\r\nHost: web.test\r\n\r\n"
        # enough of a TLS ClientHello to carry the name
        hello = r"\x16\x03\x01\x00\x0dweb.test"
        lines = [
            ("warm", "tcp", "web.test", ECHO, "ok"),
            ("other-host", "tcp", "other.test", 80), ("other-port", "tcp", "web.test", 8080, "x"),
            ("other-port-udp", "udp", "web.test", 8080, "x"),
            ("other-protocol", "udp", "web.test", 80, "x"),
            ("other-phase", "tcp", "prepare.test", 80),
            ("direct-same", "tcp", WEB, 80, forged), ("direct-other", "tcp", OTHER, 80, forged),
            ("forged-sni", "tcp", OTHER, 443, hello), ("metadata", "tcp", world.METADATA, 80),
            ("unused-synthetic", "tcp", "198.18.77.77", 80, "x"),
            ("host-address", "tcp", world.HOST, 80),
            ("resolver-udp", "dns", RESOLVER, "udp", "web.test", 1),
            ("resolver-tcp", "dns", RESOLVER, "tcp", "web.test", 1),
            ("doh", "tcp", RESOLVER, 443, "x"),
            ("label-1", "name", "73656372657431.evil.test"),
            ("label-2", "name", "73656372657432.web.test"),
            ("label-txt", "dns", frames.HOST_IP, "udp", "73656372657433.evil.test", 16),
            ("txt", "dns", frames.HOST_IP, "udp", "web.test", 16),
            ("rebind-loopback", "tcp", "rebind-loopback.test", 80, "x"),
            ("rebind-host", "tcp", "rebind-host.test", 80, "x"),
            ("rebind-metadata", "tcp", "rebind-metadata.test", 80, "x"),
            ("rebind-private", "tcp", "rebind-private.test", 80, "x"),
            ("rebind-zero", "tcp", "rebind-zero.test", 80, "x"),
            ("ping", "run", BUSYBOX, "ping -c 1 -W 2", WEB),
            ("ping-host", "run", BUSYBOX, "ping -c 1 -W 2", frames.HOST_IP),
            ("last", "tcp", "web.test", ECHO, "still there"),
        ]
        r = self.try_all(lines, self.RULES, 4)
        self.assertIn("tried to reach", r.err)
        self.assertEqual(self.report()["verdict"], "denied")
        self.check_found("warm", "^data: ok$")
        self.check_found("last", "^data: still there$")
        self.check_refused(*(n for n, kind, *_ in lines if kind in ("tcp", "udp", "name") and
                             n not in ("warm", "last")), "resolver-udp", "resolver-tcp")
        # at once, and not after a while
        self.check_found("direct-same", "refused")
        self.check_found("resolver-udp", "No route to host")
        self.check_found("label-txt", "^rcode 3 answers 0$")
        self.check_found("txt", "^rcode 0 answers 0$")
        self.check_found("ping", "exit 1")
        self.check_found("ping-host", "exit 1")
        self.check_seen((WEB, ECHO))
        for reason, key in (
                ("other.test", {"protocol": "dns", "host": "other.test"}),
                ("phase", {"protocol": "dns", "host": "prepare.test"}),
                ("port", {"protocol": "tcp", "host": "web.test", "port": 8080}),
                ("port", {"protocol": "udp", "host": "web.test", "port": 8080}),
                (".", {"protocol": "udp", "host": "web.test", "port": 80}),
                ("no rule can allow", {"host": "rebind-zero.test", "address": "0.0.0.0"}),
                ("no rule", {"protocol": "tcp", "address": WEB, "port": 80}),
                (".", {"protocol": "tcp", "address": OTHER, "port": 80}),
                (".", {"protocol": "tcp", "address": OTHER, "port": 443}),
                (".", {"protocol": "tcp", "address": world.METADATA, "port": 80}),
                (".", {"protocol": "tcp", "address": "198.18.77.77", "port": 80}),
                (".", {"protocol": "tcp", "address": world.HOST, "port": 80}),
                (".", {"protocol": "udp", "address": RESOLVER, "port": 53}),
                (".", {"protocol": "tcp", "address": RESOLVER, "port": 53}),
                (".", {"protocol": "tcp", "address": RESOLVER, "port": 443}),
                (".", {"protocol": "dns", "host": "73656372657431.evil.test"}),
                (".", {"protocol": "dns", "host": "73656372657432.web.test"}),
                (".", {"protocol": "dns", "host": "73656372657433.evil.test"}),
                ("loopback", {"host": "rebind-loopback.test", "address": "127.0.0.1"}),
                ("host", {"host": "rebind-host.test", "address": world.HOST}),
                ("metadata", {"host": "rebind-metadata.test", "address": world.METADATA}),
                ("private", {"host": "rebind-private.test", "address": PRIVATE}),
                ("nothing but TCP and UDP", {"protocol": "icmp", "address": WEB}),
                ("icmp", {"protocol": "icmp", "address": frames.HOST_IP})):
            self.check_told(reason, **key)
        allowed = [d for d in self.denied if d.get("host") == "other.test"]
        self.assertIn("other.test", allowed[0]["allow"])


class Link(Network):
    RULES = [allow("web.test", ECHO)]

    def test_frames(self):
        """ARP spoofing, a second MAC, a second address, raw frames, IPv6, and a SYN flood."""
        strange, no = "02deadbeef01", "0" * 12
        w, h = frames.WORKER_IP, frames.HOST_IP
        eth = frames.ethernet
        lines = [
            ("warm", "tcp", "web.test", ECHO, "ok"),
            ("arp-as-host", "frame", eth(frames.arp(2, frames.WORKER, h, frames.HOST, h), 0x806,
                                         target="f" * 12), 3),
            ("arp-as-other", "frame", eth(frames.arp(1, frames.WORKER, "10.98.0.9", no, h), 0x806,
                                          target="f" * 12)),
            ("arp-other-mac", "frame", eth(frames.arp(2, strange, w, frames.HOST, h), 0x806,
                                           source=strange)),
            ("mac", "frame", eth(frames.ip4(6, frames.syn(w, "198.18.0.1", ECHO),
                                            target="198.18.0.1"), 0x800, source=strange)),
            ("ip", "frame", eth(frames.ip4(6, frames.syn("10.98.0.77", "198.18.0.1", 80),
                                           "10.98.0.77", "198.18.0.1"), 0x800)),
            ("ip-loopback", "frame", eth(frames.ip4(6, frames.syn("127.0.0.1", h, 1025),
                                                    "127.0.0.1", h), 0x800)),
            ("second", "run", BUSYBOX, "ifconfig eth0:1 10.98.0.77"),
            ("second-ip", "from", "10.98.0.77", "198.18.0.1", ECHO),
            ("ip6", "frame", eth(frames.ip6(6, frames.syn("2a0e:77::2", world.WEB6, ECHO),
                                            "2a0e:77::2", world.WEB6), 0x86DD)),
            ("sctp", "frame", eth(frames.ip4(132, frames.udp(80), target="198.18.0.1"), 0x800)),
            ("gre", "frame", eth(frames.ip4(47, b"\0" * 8, target=WEB), 0x800)),
            ("fragment-1", "frame", eth(frames.ip4(17, frames.udp(53, b"x" * 8), target=RESOLVER,
                                                   fragment=0x2000), 0x800)),
            ("fragment-2", "frame", eth(frames.ip4(17, b"y" * 16, target=RESOLVER,
                                                   fragment=2), 0x800)),
            ("to-loopback", "frame", eth(frames.ip4(17, frames.udp(1026), target="127.0.0.1"),
                                         0x800)),
            ("ethertype", "frame", eth(b"\0" * 50, 0x88B5), 20),
            ("vlan", "frame", eth(bytes.fromhex("00010800") + frames.ip4(
                17, frames.udp(53), target=RESOLVER), 0x8100)),
            ("short", "frame", frames.HOST + frames.WORKER + "0800"),
            ("flood", "flood", "web.test", ECHO, 20000),
            ("last", "tcp", "web.test", ECHO, "still there"),
        ]
        before = W.sent_packets()
        self.try_all(lines, self.RULES, 4)
        sent = W.sent_packets() - before
        self.check_found("warm", "^data: ok$")
        self.check_found("last", "^data: still there$")
        self.check_found("flood", "^sent 20000$")
        self.check_refused("second-ip")
        self.assertEqual([n["what"] for n in W.seen() if n["what"] == "tcp"], ["tcp"] * 2)
        # two connections' worth of packets: of the flood nothing leaves
        self.assertLess(sent, 30)
        for reason, key in (
                ("ARP about", {"protocol": "arp", "address": h}),
                ("02:de:ad:be:ef:01", {"protocol": "tcp", "address": "198.18.0.1", "port": ECHO}),
                ("10.98.0.77", {"protocol": "tcp", "address": "198.18.0.1", "port": 80}),
                ("127.0.0.1", {"protocol": "tcp", "address": h, "port": 1025}),
                ("no IPv6", {"protocol": "tcp", "address": world.WEB6, "port": ECHO}),
                ("nothing but TCP and UDP", {"protocol": "ip-47", "address": WEB}),
                ("nothing but TCP and UDP", {"protocol": "ip-132", "address": "198.18.0.1"}),
                ("no rule", {"protocol": "udp", "address": RESOLVER}),
                (".", {"protocol": "udp", "address": "127.0.0.1", "port": 1026})):
            self.check_told(reason, **key)

    def test_scan(self):
        """Ports of the bridge and of the host; only reported. The list is bounded, the count is not.

        The host has services on ports 7 and 80 of its own address and of loopback.
        """
        h = frames.HOST_IP
        lines = [("host", "scan", world.HOST, 1, 100, "tcp"),
                 ("host-udp", "scan", world.HOST, 1, 100, "udp"),
                 ("loopback", "scan", "127.0.0.1", 1, 100, "tcp"),
                 ("low", "scan", h, 1, 1100, "tcp"), ("udp", "scan", h, 1, 200, "udp"),
                 ("relay-udp", "scan", h, 1020, 1030, "udp"),
                 ("high", "scan", h, 65000, 65100, "tcp")]
        self.try_all(lines, self.RULES, 0, on_denied="report")
        self.check_found("low", "^open 53$")
        self.check_found("udp", "^open $")
        self.check_found("relay-udp", "^open $")
        for name in ("high", "host", "host-udp", "loopback"):
            self.check_found(name, "^open $")
        self.assertEqual(self.report()["verdict"], "built")
        self.assertLessEqual(len(self.denied), 257)
        self.assertGreater(len(self.denied), 200)
        self.check_seen()


class Phases(Network):
    def test_connection_kept_open(self):
        """What the play leaves open ends with it, and is not to be had again."""
        hold = ("perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(PeerAddr => \"web.test\", "
                f"PeerPort => {SINK}) or die; syswrite($s, \"x\"); fork and exit; setpgrp; "
                "sleep 600'")
        again = ("perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(PeerAddr => \"web.test\", "
                 f"PeerPort => {SINK}); print $s && sysread($s, $x, 1) ? \"open\" : \"no\", \"\\n\"'")
        self.spec(again,
                  ansible=[{"hosts": "worker", "gather_facts": False, "tasks": [
                      {"shell": hold + " </dev/null >/dev/null 2>&1"}]}],
                  network={"allow": [allow("web.test", SINK, phase="prepare"),
                                     allow("web.test", ECHO)],  # a build without has no device
                           "prepare-repositories": False})
        r = self.build(expect=4)
        self.assertEqual(self.log().splitlines()[-1], "no", r)
        self.denied = self.report()["denied"]
        self.check_told(".", protocol="tcp", host="web.test", port=SINK)
        seen = [n["what"] for n in W.seen()]
        self.assertEqual(seen, ["tcp", "tcp-end"], W.seen())


class Six(Network):
    HOST6 = "fd63:6f6e:7472::1"
    RULES = [allow(world.WEB6, ECHO), allow(world.WEB6, ECHO, "udp"),
             allow("fd00:1::/64", 80), allow("web.test", ECHO)]

    def test_literals(self):
        """Rules with IPv6 addresses give the worker IPv6, to those and to nothing else."""
        foreign = frames.ip6(6, frames.syn("2a0e:77::2", world.WEB6, ECHO), "2a0e:77::2", world.WEB6)
        lines = [
            ("tcp", "tcp", world.WEB6, ECHO, "over IPv6"), ("four", "tcp", "web.test", ECHO, "as well"),
            ("udp", "udp", world.WEB6, ECHO, "a datagram"),
            ("other-port", "tcp", world.WEB6, 8080), ("other-udp", "udp", world.WEB6, 53, "x"),
            ("other-host", "tcp", world.OTHER6, ECHO), ("no-private", "tcp", "fd00:1::7", 80),
            ("bridge", "tcp", self.HOST6, 53), ("relay", "tcp", self.HOST6, 1025),
            ("mapped", "tcp", "::ffff:" + WEB, ECHO), ("ping", "run", BUSYBOX, "ping6 -c 1 -W 2",
                                                       world.WEB6),
            ("source", "frame", frames.ethernet(foreign, 0x86DD)),
            ("names", "dns", frames.HOST_IP, "udp", "web.test", 28),
            ("last", "tcp", world.WEB6, ECHO, "still there"),
        ]
        self.try_all(lines, self.RULES, 4)
        for name, want in (("tcp", "^data: over IPv6$"), ("four", "^data: as well$"),
                           ("udp", "^data: a datagram$"), ("last", "^data: still there$"),
                           ("ping", "exit 1"), ("names", "rcode 0 answers 0")):
            self.check_found(name, want)
        self.check_refused("other-port", "other-udp", "other-host", "no-private", "bridge", "relay")
        self.check_seen((world.WEB6, ECHO), (WEB, ECHO))
        for reason, key in (
                ("not port 8080", {"protocol": "tcp", "address": world.WEB6, "port": 8080}),
                ("not port 53", {"protocol": "udp", "address": world.WEB6, "port": 53}),
                ("no rule", {"protocol": "tcp", "address": world.OTHER6, "port": ECHO}),
                ("private: true", {"protocol": "tcp", "address": "fd00:1::7", "port": 80}),
                ("no rule", {"protocol": "tcp", "address": self.HOST6, "port": 53}),
                ("no rule", {"protocol": "tcp", "address": self.HOST6, "port": 1025}),
                ("nothing but TCP and UDP", {"protocol": "icmp", "address": world.WEB6}),
                ("2a0e:77::2", {"protocol": "tcp", "address": world.WEB6, "port": ECHO})):
            self.check_told(reason, **key)


class Bandwidth(Network):
    RULES = [allow("web.test", [SOURCE, SINK])]

    def test_rate(self):
        """Each direction gets its rate, within 5 %, over 6 MB."""
        lines = [("down", "down&", "web.test", SOURCE, 6 * MB),
                 ("up", "up", "web.test", SINK, 6 * MB)]
        self.try_all(lines, self.RULES, 0, bandwidth={"rate": "1MB/s"})
        for name in ("down", "up"):
            got, seconds = map(float, self.found[name].split())
            self.check(got >= 6 * MB and 0.95 <= got / seconds / MB <= 1.05, name, got, seconds)

    def over(self, lines, total):
        self.spec_of(lines, self.RULES + [allow("web.test", SINK, "udp")],
                     bandwidth={"total": total})
        r = self.build(expect=3)
        report = self.report()
        self.assertEqual((report["verdict"], report["limit"]), ("limit", "bandwidth"), r)
        self.assertEqual(report["granted"], total)
        self.assertEqual(report["limits"]["bandwidth"]["granted"], total)
        return report

    def test_total_up(self):
        report = self.over([("up", "up", "web.test", SINK, 20 * MB)], 10 * MB)
        end = [n["got"] for n in W.seen() if "got" in n]
        self.assertLessEqual(sum(end), 10 * MB + 64 * 1024)
        self.assertGreater(sum(end), 10 * MB - 64 * 1024)
        self.assertGreaterEqual(report["used"], 10 * MB)
        self.assertLessEqual(report["used"], 10 * MB + 64 * 1024)

    def test_total_of_tiny_datagrams(self):
        """All header and no payload: the kernel's wall ends it, and it is the same verdict.

        Nobody answers, as answers count as well, and have a wall of their own.
        """
        self.over([("drip", "drip", "web.test", SINK, 40000)], 100 * KB)
        self.assertEqual({(n["what"], n["port"]) for n in W.seen()}, {("udp", SINK)})


def below(pid):
    found, todo = set(), [pid]
    while todo:
        p = todo.pop()
        try:
            with open(f"/proc/{p}/task/{p}/children", encoding="ascii") as f:
                kids = [int(x) for x in f.read().split()]
        except OSError:
            kids = []
        found.update(kids)
        todo += kids
    return found


def named(pids, text):
    hits = []
    for p in pids:
        try:
            with open(f"/proc/{p}/cmdline", encoding="utf-8", errors="replace") as f:
                if text in f.read().split("\0")[0]:
                    hits.append(p)
        except OSError:
            pass
    return hits


def serves(pid):
    """It has an event loop: of the program's own processes the dialer alone."""
    folder = f"/proc/{pid}/fd"
    return any(os.readlink(f"{folder}/{n}") == "anon_inode:[eventpoll]"
               for n in os.listdir(folder))


def sockets(pid):
    """Inodes of the sockets that a process has open."""
    folder = f"/proc/{pid}/fd"
    links = [os.readlink(f"{folder}/{n}") for n in os.listdir(folder)]
    return {int(x[8:-1]) for x in links if x.startswith("socket:[")}


def internet_sockets():
    """Inodes of the TCP and UDP sockets of this net namespace, which is the dialer's."""
    found = set()
    for kind in ("tcp", "tcp6", "udp", "udp6"):
        with open(f"/proc/self/net/{kind}", encoding="ascii") as f:
            found |= {int(line.split()[9]) for line in f.readlines()[1:]}
    return found - {0}


def spaces():
    """The net namespaces that processes are in; one that nobody is in is gone with all in it."""
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            found.add(os.readlink(f"/proc/{pid}/ns/net"))
        except OSError:
            pass
    return found


class Ends(Network):
    def begin(self, **more):
        """A build amid a download; the process, its manager and its dialer."""
        W.forget()
        self.spec_of([("down", "down", "web.test", SOURCE)], [allow("web.test", SOURCE)], **more)
        p = self.start("build", "spec.yaml")
        self.wait_for("the download", lambda: p.poll() is not None or
                      any(n["what"] == "tcp" and n["port"] == SOURCE for n in W.seen()))
        self.assertIsNone(p.poll())
        family = below(p.pid)
        manager = named(family, "contractor-manager")[0]
        served = [x for x in below(p.pid) - below(manager) if x != manager and serves(x)]
        self.assertEqual(len(served), 1)
        return p, family, manager, served[0]

    def check_clean(self, family):
        """No process, interface or table is left of it."""
        self.wait_for("the processes' end",
                      lambda: not [x for x in family if os.path.exists(f"/proc/{x}")], 20)
        links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True,
                               check=True).stdout
        self.assertEqual(len(links.splitlines()), 2, links)
        self.assertEqual(subprocess.run(["nft", "list", "ruleset"], capture_output=True,
                                        text=True, check=True).stdout, "")

    def test_killed_manager(self):
        """While bytes pass through its relay, and while the dialer alone passes them on."""
        for more in ({"bandwidth": {"rate": "100kB/s"}}, {}):
            p, family, manager, dialer = self.begin(**more)
            # whoever takes the manager over has nothing there that the kernel would lead elsewhere
            outside = internet_sockets()
            self.assertTrue(sockets(dialer) & outside)
            self.assertTrue(sockets(manager))
            self.assertFalse(sockets(manager) & outside)
            os.kill(manager, signal.SIGKILL)
            self.assertEqual(self.finish(p, 30).exit, 5)
            self.check_clean(family)

    def test_killed_at_any_time(self):
        """While interfaces and rules are made, while QEMU starts, while the worker boots."""
        self.spec_of([("down", "down", "web.test", SOURCE)], [allow("web.test", SOURCE)])
        for delay in (0, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56):
            p = self.start("build", "spec.yaml")
            self.wait_for("the manager", lambda: named(below(p.pid), "contractor-manager") or
                          p.poll() is not None)
            family = below(p.pid)
            manager = named(family, "contractor-manager")[0]
            time.sleep(delay)
            space, family = os.readlink(f"/proc/{manager}/ns/net"), below(p.pid)
            os.kill(manager, signal.SIGKILL)
            self.assertEqual(self.finish(p, 60).exit, 5)
            self.check_clean(family)
            self.assertNotIn(space, spaces())

    def test_killed_dialer(self):
        p, family, _, dialer = self.begin()
        os.kill(dialer, signal.SIGKILL)
        start = time.monotonic()
        r = self.finish(p, 60)
        self.assertEqual(r.exit, 5, r)
        self.assertIn("dialer", r.err)
        self.assertLess(time.monotonic() - start, 15)
        self.check_clean(family)


if __name__ == "__main__":
    world.enter()
    W = world.World()
    status = case.main(__name__)
    W.end()
    sys.exit(status)
