#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attacks the packet policy with real frames: packets.py TOOL [packets|mutations].

Everything happens in net namespaces of the test's own, as an ordinary user. `mutations` takes the
rules out of the policy one by one, and opens the base chains' policies, and wants at least one of
the same tests to fail each time.
"""

import concurrent.futures
import contextlib
import os
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from guest import *  # noqa: E402,F403

RATE, TOTAL = 200000, 400000
ALLOW = ["--allow", "93.184.216.0/24,8000-8010,tcp", "--allow", "93.184.216.34,53,udp"]
# name -> options, tests; filled by the decorator
GROUPS = {
    "main": ["--connections", "64", *ALLOW],
    "rate": ["--rate", str(RATE)],
    "total": ["--total", str(TOTAL)],
    "six": ["--allow", "2001:db8:6::/48,443-444,tcp", "--allow", "2001:db8:6::35,53,udp"],
}
TESTS = {group: [] for group in GROUPS}

# Open policies behind which the rules hold all the same, so that no packet can tell: the last rule
# of `pre` refuses what no other passed, what it does not pass has no mark and `input` takes marked
# packets alone; and what `pre` passes is never forwarded, as its destination is local.
DOUBLED = {
    "pre": "refused by the rule deny",
    "forward": "nothing passes pre that is not local",
    "input": "what pre does not pass ends there",
}


def test(group):
    def add(f):
        TESTS[group].append(f)
        return f

    return add


def refused_tcp(g, packet, what, log):
    p = g.ask(ether(packet, 0x86DD if packet[0] >> 4 == 6 else 0x0800), lambda p: p.proto == TCP)
    check(p and p.flags & RST, f"{what}: no reset but {p}")
    check(g.new_logs(1) == [log], f"{what}: not logged as {log}")


@test("main")
def tcp_elsewhere_is_reset(g):
    before = g.objects()[1, "denied"][1]
    refused_tcp(g, tcp(OUTSIDE, 80), "tcp elsewhere", f"tcp to {OUTSIDE} port 80")
    check(g.objects()[1, "denied"][1] == before + 1, "not counted")


@test("main")
def ports_of_the_host_are_reset(g):
    s = listener(2222, HOST, False)
    refused_tcp(g, tcp(HOST, 2222), "a listening port", f"tcp to {HOST} port 2222")
    refused_tcp(g, tcp(HOST, 23), "a closed port", f"tcp to {HOST} port 23")
    s.close()


@test("main")
def loopback_is_not_reached(g):
    """No answer: nothing leaves with a source of 127.0.0.1."""
    s = listener(9001)
    g.silent(ether(tcp("127.0.0.1", 9001)), "the relay's listener")
    check(g.new_logs(1) == ["tcp to 127.0.0.1 port 9001"], "not logged")
    s.close()


@test("main")
def udp_elsewhere_is_unreachable(g):
    p = g.ask(ether(udp(OUTSIDE, 9)), lambda p: p.proto == ICMP)
    check(p and (p.type, p.code) == (3, 13), f"no admin-prohibited but {p}")
    check(g.new_logs(1) == [f"udp to {OUTSIDE} port 9"], "not logged")


@test("main")
def dns_elsewhere_is_refused(g):
    refused_tcp(g, tcp("9.9.9.9", 53), "dns over tcp", "tcp to 9.9.9.9 port 53")
    g.send(ether(udp("9.9.9.9", 53)))
    check(g.new_logs(1) == ["udp to 9.9.9.9 port 53"], "dns over udp is not logged")


@test("main")
def ping_is_not_answered(g):
    for dst in HOST, OUTSIDE, SYNTH:
        g.drain()
        g.send(ether(icmp(dst, 8)))
        check(not g.wait(lambda p: p.type == 0 and p.proto == ICMP, QUIET), f"{dst} answers a ping")
        check(g.new_logs(1) == [f"icmp to {dst}"], f"ping to {dst} is not logged")


@test("main")
def other_protocols_are_refused(g):
    g.send(ether(ip(SYNTH, 132, bytes(12))))
    g.send(ether(ip(OUTSIDE, 47, bytes(12))))
    check(g.new_logs(2) == [f"sctp to {SYNTH}", f"protocol 47 to {OUTSIDE}"], "not logged")


@test("main")
def foreign_mac_is_dropped(g):
    before = g.objects()[1, "spoof"][1]
    g.silent(ether(tcp(SYNTH, 443), src="52:54:00:99:99:99"), "a foreign MAC")
    logs = g.new_logs(1)
    check(len(logs) == 1 and "52:54:00:99:99:99" in logs[0], f"logged as {logs}")
    check(g.objects()[1, "spoof"][1] == before + 1, "not counted")


@test("main")
def foreign_address_is_dropped(g):
    before = g.objects()[1, "spoof"][1]
    for src in "10.98.0.3", HOST, "8.8.8.8", "127.0.0.1":
        g.silent(ether(tcp(SYNTH, 443, src=src)), f"from {src}")
        g.silent(ether(udp(HOST, 53, src=src)), f"dns from {src}")
        logs = g.new_logs(2)
        check(len(logs) == 2 and all(f"from {src}" in x for x in logs), f"{src} logged as {logs}")
    check(g.objects()[1, "spoof"][1] == before + 8, "not counted")


@test("main")
def ipv6_is_refused(g):
    for p, log in [
        (tcp("2001:db8::1", 80, src="fe80::2"), "tcp to 2001:db8::1 port 80"),
        (udp("2001:db8::1", 53, src="fe80::2"), "udp to 2001:db8::1 port 53"),
        (tcp("::ffff:198.18.0.5", 443, src="::ffff:10.98.0.2"), "tcp to ::ffff:198.18.0.5 port 443"),
    ]:
        g.send(ether(p, 0x86DD))
        logs = g.new_logs(1)
        check(logs == [log], f"{log}: logged as {logs}")


@test("main")
def noise_is_dropped_in_silence(g):
    noise = [
        ip("224.0.0.22", 2, bytes(8)),
        udp("224.0.0.251", 5353),
        udp("239.255.255.250", 1900, src="0.0.0.0"),
        udp("255.255.255.255", 67, sport=9999, src="0.0.0.0"),
        udp("10.98.0.255", 138),
        ip("ff02::2", ICMP6, bytes([133, 0, 0, 0, 0, 0, 0, 0]), src="fe80::2"),
        ip("ff02::16", ICMP6, bytes([143] + [0] * 7), src="::"),
    ]
    before = g.objects()[1, "noise"][1]
    for p in noise:
        v6 = p[0] >> 4 == 6
        dst = "33:33:00:00:00:02" if v6 else "ff:ff:ff:ff:ff:ff"
        g.silent(ether(p, 0x86DD if v6 else 0x0800, dst=dst), "noise")
    logs = g.new_logs()
    check(not logs, f"logged: {logs}")
    check(g.objects()[1, "noise"][1] == before + len(noise), "not counted")


def reset(c):
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    c.close()


def handshake(g, dst, port, sport, s):
    """A connection: the accepted socket and what the worker's next segment needs."""
    src, kind = (WORKER6, 0x86DD) if ":" in dst else (WORKER, 0x0800)
    p = g.ask(ether(tcp(dst, port, sport=sport, src=src), kind),
              lambda p: p.proto == TCP and p.dport == sport)
    check(p and p.flags == SYN | ACK, f"{dst}:{port} does not open: {p}")
    check((p.src, p.sport) == (dst, port), f"answered by {p}")
    g.send(ether(tcp(dst, port, ACK, sport, 1001, p.seq + 1, src=src), kind))
    c, peer = s.accept()
    c.settimeout(PATIENCE)
    check(peer[:2] == (src, sport), f"from {peer}")
    return c, p.seq + 1


@test("main")
def tcp_reaches_the_relay(g):
    s = listener(9001)
    for sport, (dst, port) in enumerate([(SYNTH, 443), ("198.19.255.254", 1), ("93.184.216.9", 8010)]):
        c, seq = handshake(g, dst, port, 41000 + sport, s)
        check(c.getsockname() == (dst, port), f"meant for {c.getsockname()}")
        g.send(ether(tcp(dst, port, ACK | PSH, 41000 + sport, 1001, seq, b"hello")))
        check(c.recv(10) == b"hello", "data up")
        c.sendall(b"world")
        check(g.wait(lambda p: p.data == b"world"), "data down")
        reset(c)
    s.close()
    check(not g.new_logs(), "logged")


@test("main")
def udp_reaches_the_relay(g):
    s = datagrams(9002)
    for dst, port in (SYNTH, 53), ("93.184.216.34", 53):
        g.send(ether(udp(dst, port, b"one", 42000)))
        data, src, meant = receive_from(s)
        check((data, src, meant) == (b"one", (WORKER, 42000), (dst, port)), f"{data} {src} {meant}")
        f = flow(meant, src)
        f.send(b"two")
        check(g.wait(lambda p: p.data == b"two" and (p.src, p.sport) == (dst, port)), "no answer")
        g.send(ether(udp(dst, port, b"three", 42000)))
        check(f.recv(10) == b"three", "the flow's socket")
        f.close()
    s.close()
    check(not g.new_logs(), "logged")


@test("main")
def literals_are_exact(g):
    s, u = listener(9001), datagrams(9002)
    for dst, port in ("93.184.216.9", 7999), ("93.184.216.9", 8011), ("93.184.215.255", 8000):
        refused_tcp(g, tcp(dst, port), f"{dst}:{port}", f"tcp to {dst} port {port}")
    g.send(ether(udp("93.184.216.35", 53)))
    g.send(ether(udp("93.184.216.34", 8000)))
    check(len(g.new_logs(2)) == 2, "udp beside the literals is not refused")
    s.close()
    u.close()


@test("main")
def nobody_listens(g):
    """Without the relay what is allowed is refused like the rest."""
    refused_tcp(g, tcp(SYNTH, 443), "no relay", f"tcp to {SYNTH} port 443")


@test("main")
def dns_reaches_the_host(g):
    u, s = datagrams(53, HOST, False), listener(53, HOST, False)
    g.send(ether(udp(HOST, 53, b"question", 43000)))
    data, src = u.recvfrom(100)
    u.sendto(b"answer", src)
    check(g.wait(lambda p: p.data == b"answer" and p.sport == 53), "no answer by udp")
    c, _ = handshake(g, HOST, 53, 43000, s)
    reset(c)
    u.close()
    s.close()
    check(not g.new_logs(), "logged")


@test("main")
def dhcp_is_answered(g):
    u = datagrams(67, "0.0.0.0", False)
    u.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    u.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, g.ifname.encode())
    request = udp("255.255.255.255", 67, b"discover", 68, src="0.0.0.0")
    g.send(ether(request, dst="ff:ff:ff:ff:ff:ff"))
    data, _ = u.recvfrom(100)
    check(data == b"discover", "request")
    for dst in "255.255.255.255", WORKER:
        u.sendto(b"offer", (dst, 68))
        check(g.wait(lambda p: p.data == b"offer" and p.dst == dst), f"no answer to {dst}")
    u.close()
    check(not g.new_logs(), "logged")


@test("main")
def nothing_else_is_said_to_the_worker(g):
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    g.drain()
    try:
        u.sendto(b"unasked", (WORKER, 1000))
    except PermissionError:
        pass
    check(not g.wait(lambda p: True, QUIET), "the worker was spoken to")
    u.close()


@test("main")
def arp_finds_the_host(g):
    p = g.ask(ether(arp(1, WORKER, HOST), 0x0806, dst="ff:ff:ff:ff:ff:ff"), lambda p: p.kind == 0x0806)
    check(p and p.src == HOST and p.mac == mac(HOST_MAC), f"answered by {p}")
    check(not g.new_logs(), "logged")


@test("main")
def arp_noise_is_silent(g):
    before = g.objects()[3, "noise"][1]
    for a in arp(1, "0.0.0.0", WORKER), arp(1, WORKER, WORKER), arp(2, WORKER, WORKER):
        g.silent(ether(a, 0x0806, dst="ff:ff:ff:ff:ff:ff"), "ARP about itself")
    logs = g.new_logs()
    check(not logs, f"logged: {logs}")
    check(g.objects()[3, "noise"][1] == before + 3, "not counted")


@test("main")
def arp_lies_are_refused(g):
    before = g.objects()[3, "spoof"][1]
    lies = [
        arp(2, HOST, WORKER),
        arp(1, HOST, HOST),
        arp(1, "10.98.0.9", HOST),
        arp(1, WORKER, HOST, sender_mac="52:54:00:99:99:99"),
        arp(1, WORKER, "10.98.0.77"),
        arp(1, WORKER, OUTSIDE),
        arp(2, WORKER, HOST),
    ]
    for i, a in enumerate(lies):
        g.silent(ether(a, 0x0806, dst="ff:ff:ff:ff:ff:ff"), f"ARP lie {i}")
        logs = g.new_logs(1)
        check(len(logs) == 1 and logs[0].startswith("ARP about"), f"lie {i} logged as {logs}")
    check(g.objects()[3, "spoof"][1] == before + len(lies), "not counted")
    for i in range(50):
        g.send(ether(arp(1, f"10.98.0.{i + 3}", HOST), 0x0806))
    g.new_logs(50)
    with open("/proc/net/arp", encoding="ascii") as f:
        known = [x.split()[0] for x in f.readlines()[1:]]
    check(known == [WORKER], f"learnt by ARP: {known}")


@test("main")
def closed_ports_of_the_worker_are_told(g):
    s = datagrams(9002)
    question = udp(SYNTH, 1000, b"q", 44000)
    g.send(ether(question))
    _, src, meant = receive_from(s)
    f = flow(meant, src)
    f.send(b"late")
    check(g.wait(lambda p: p.data == b"late"), "no datagram to answer")
    late = udp(WORKER, 44000, b"late", 1000, src=SYNTH)
    g.send(ether(icmp(SYNTH, 3, 3, bytes(4) + late[:28])))
    try:
        f.recv(10)
        raise Failed("the flow's socket was told nothing")
    except ConnectionRefusedError:
        pass
    check(not g.new_logs(), "logged")
    # of no flow
    other = udp(WORKER, 1, b"late", 2, src=SYNTH)
    g.send(ether(icmp(SYNTH, 3, 3, bytes(4) + other[:28])))
    check(g.new_logs(1) == [f"icmp to {SYNTH}"], "an unreachable out of nothing is not refused")
    # a redirect is no unreachable
    g.send(ether(icmp(SYNTH, 5, 1, addr("10.98.0.3") + late[:28])))
    check(g.new_logs(1) == [f"icmp to {SYNTH}"], "a redirect is not refused")
    f.close()
    s.close()


@test("main")
def traffic_is_counted(g):
    before = g.objects()
    g.send(ether(udp(OUTSIDE, 7, bytes(972))))
    refused = g.ask(ether(tcp(OUTSIDE, 7)), lambda p: p.proto == TCP)
    after = g.objects()
    check(after[1, "in"][0] == before[1, "in"][0] + 1000 + 40, "bytes in")
    check(refused and after[1, "out"][0] >= before[1, "out"][0] + 40, "bytes out")
    g.new_logs(2)


@test("main")
def a_flood_is_counted_not_told(g):
    before = g.objects()[1, "denied"][1]
    for i in range(3000):
        g.send(ether(udp(OUTSIDE, i + 1)))
    logs = g.new_logs(200)
    check(len(logs) < 1500, f"{len(logs)} lines of 3000")
    check(g.objects()[1, "denied"][1] == before + 3000, "not all are counted")
    time.sleep(1.2)  # the log's limit recovers
    g.drain()


@test("main")
def connections_are_capped(g):
    """A SYN flood: 64 at once, what is over gets no answer, and nothing is kept of it."""
    s = listener(9001)
    g.drain()
    before = g.objects()[1, "capped"][1]
    for i in range(2000):
        g.send(ether(tcp(SYNTH, 80, sport=10000 + i)))
        if i % 50 == 0:
            g.drain()
    capped = g.objects()[1, "capped"][1] - before
    check(capped >= 2000 - 64, f"{capped} of 2000 are over the cap")
    with open("/proc/sys/net/netfilter/nf_conntrack_count", encoding="ascii") as f:
        kept = int(f.read())
    check(kept < 1000, f"{kept} connections are kept")
    check(not g.new_logs(), "logged")
    s.close()


def cap_of_dns(g, packet):
    before = g.objects()[1, "capped"][1]
    for i in range(4200):
        g.send(ether(packet(20000 + i)))
        if i % 100 == 0:
            g.drain()
    g.drain()
    check(g.objects()[1, "capped"][1] > before, "4200 flows of the resolver are not too many")


@test("main")
def dns_by_udp_is_capped(g):
    u = datagrams(53, HOST, False)
    cap_of_dns(g, lambda port: udp(HOST, 53, b"q", port))
    u.close()


@test("main")
def dns_by_tcp_is_capped(g):
    s = listener(53, HOST, False)
    cap_of_dns(g, lambda port: tcp(HOST, 53, sport=port))
    s.close()


def flood_up(g, s, n):
    """n datagrams of 1000 bytes (with headers) to the relay; how many bytes reach it."""
    got = 0
    s.setblocking(False)
    for i in range(n):
        g.send(ether(udp(SYNTH, 5000, bytes(972), 45000)))
        try:
            while True:
                got += 28 + len(s.recv(2000))
        except BlockingIOError:
            pass
    return got


@test("rate")
def rate_up_has_a_wall(g):
    s = datagrams(9002)
    start = time.monotonic()
    got = flood_up(g, s, 1200)
    # the bucket holds a second's worth and the burst
    wall = RATE * 1.25 * (1 + time.monotonic() - start) + 65536
    check(200000 < got <= wall + 2000, f"{got} bytes passed, {wall:.0f} may")
    s.close()


@test("rate")
def rate_down_is_a_bucket(g):
    """tbf to within 5 %, frame bytes against the clock, once its first depth is used up."""
    s = datagrams(9002)
    g.send(ether(udp(SYNTH, 6000, b"q", 46000)))
    while True:
        data, src, meant = receive_from(s)
        if data == b"q":
            break
    f = flow(meant, src)
    f.setblocking(False)
    got, end, start = 0, time.monotonic() + 3.2, 0
    while (now := time.monotonic()) < end:
        with contextlib.suppress(OSError):
            for _ in range(100):  # so that the queue never runs dry, even on a busy machine
                f.send(bytes(958))
        for p in g.drain():
            if len(p.data) != 958:
                continue
            if not start and now > end - 3:
                start, got = now, 0
            got += 1000
    rate = got / (time.monotonic() - start)
    check(abs(rate / RATE - 1) < 0.05, f"{rate:.0f} bytes a second instead of {RATE}")
    f.close()
    s.close()


@test("total")
def total_up_has_a_wall(g):
    s = datagrams(9002)
    got = flood_up(g, s, 1000)
    wall = TOTAL * 1.25 + 65536
    check(TOTAL < got <= wall, f"{got} bytes passed, {wall:.0f} may")
    used, _, limit = g.objects()[1, "total"]
    check(limit == wall and used >= got, f"the quota says {used} of {limit}")
    s.close()


@test("total")
def total_down_has_a_wall(g):
    """The quota is used up by the test before: not a byte goes down any more."""
    f = flow((SYNTH, 5000), (WORKER, 45000))
    g.drain()
    try:
        f.send(b"more")
    except PermissionError:
        pass
    check(not g.wait(lambda p: p.data == b"more", QUIET), "an answer passed")
    f.close()


SIX = "2001:db8:6::9"


def advert(g, packet, timeout=PATIENCE):
    """The host's answer to the question for its MAC address, if there is one."""
    return g.ask(ether(packet, 0x86DD, dst="33:33:ff:00:00:01"),
                 lambda p: p.proto == ICMP6 and p.type == 136, timeout)


@test("six")
def six_finds_the_host(g):
    for question in solicit(), solicit(dst=HOST6):
        p = advert(g, question)
        check(p and p.src == HOST6 and p.dst == WORKER6, f"answered by {p}")
        check(p.data[4:20] == addr(HOST6), f"about {p.data[4:20]}")
        # whoever probes knows it already
        check(mac(HOST_MAC) in p.data or question[24:40] == addr(HOST6), "not its MAC address")
    check(not g.new_logs(), "logged")


@test("six")
def six_learns_nothing(g):
    for i in range(9):
        check(not advert(g, solicit(src=f"fe80::{i + 5}"), 4 * QUIET), "answered to another source")
    check(not g.new_logs(), "multicast is noise")
    check(not advert(g, solicit(target=SIX), 4 * QUIET), "answered for another address")
    g.silent(ether(solicit(src="fe80::9", dst=HOST6), 0x86DD), "a probe from another source")
    check(len(g.new_logs(1)) == 1, "not logged")
    g.silent(ether(solicit(sender_mac="52:54:00:99:99:99"), 0x86DD,
                   src="52:54:00:99:99:99"), "from another MAC")
    check(len(g.new_logs(1)) == 1, "not logged")
    check(advert(g, solicit(sender_mac="52:54:00:99:99:99")), "no answer")
    known = subprocess.run(["ip", "-6", "neigh"], capture_output=True, text=True, check=True).stdout
    check(known.split()[0] == WORKER6 and WORKER_MAC in known and known.count("\n") == 1,
          f"learnt: {known}")


@test("six")
def six_tcp_reaches_the_relay(g):
    s = listener(9001, "::1")
    for sport, (dst, port) in enumerate([(SIX, 443), ("2001:db8:6:ffff::", 444)]):
        c, seq = handshake(g, dst, port, 47000 + sport, s)
        check(c.getsockname()[:2] == (dst, port), f"meant for {c.getsockname()}")
        g.send(ether(tcp(dst, port, ACK | PSH, 47000 + sport, 1001, seq, b"hello", WORKER6), 0x86DD))
        check(c.recv(10) == b"hello", "data up")
        c.sendall(b"world")
        check(g.wait(lambda p: p.data == b"world"), "data down")
        reset(c)
    s.close()
    check(not g.new_logs(), "logged")


@test("six")
def six_udp_reaches_the_relay(g):
    s = datagrams(9002, "::1")
    dst, port = "2001:db8:6::35", 53
    g.send(ether(udp(dst, port, b"one", 48000, WORKER6), 0x86DD))
    data, src, meant = receive_from(s)
    check((data, src, meant) == (b"one", (WORKER6, 48000), (dst, port)), f"{data} {src} {meant}")
    f = flow(meant, src)
    f.send(b"two")
    check(g.wait(lambda p: p.data == b"two" and (p.src, p.sport) == (dst, port)), "no answer")
    g.send(ether(udp(dst, port, b"three", 48000, WORKER6), 0x86DD))
    check(f.recv(10) == b"three", "the flow's socket")
    # the worker's port is closed
    f.send(b"late")
    check(g.wait(lambda p: p.data == b"late"), "no datagram to answer")
    late = udp(WORKER6, 48000, b"late", port, dst)
    g.send(ether(icmp6(dst, 1, 4, bytes(4) + late), 0x86DD))
    try:
        f.recv(10)
        raise Failed("the flow's socket was told nothing")
    except ConnectionRefusedError:
        pass
    check(not g.new_logs(), "logged")
    other = udp(WORKER6, 1, b"late", 2, dst)
    g.send(ether(icmp6(dst, 1, 4, bytes(4) + other), 0x86DD))
    check(g.new_logs(1) == [f"icmp to {dst}"], "an unreachable out of nothing is not refused")
    f.close()
    s.close()


@test("six")
def six_is_exact(g):
    s, u = listener(9001, "::1"), datagrams(9002, "::1")
    for dst, port in (SIX, 442), (SIX, 445), ("2001:db8:5:ffff::", 443), (HOST6, 443), (HOST6, 53):
        refused_tcp(g, tcp(dst, port, src=WORKER6), f"{dst}:{port}", f"tcp to {dst} port {port}")
    g.send(ether(udp("2001:db8:6::36", 53, src=WORKER6), 0x86DD))
    g.send(ether(icmp6(SIX, 128, src=WORKER6), 0x86DD))
    check(g.new_logs(2) == ["udp to 2001:db8:6::36 port 53", f"icmp to {SIX}"], "not refused")
    # the kernel drops it before any rule sees it
    g.silent(ether(tcp("::1", 9001, src=WORKER6), 0x86DD), "the relay's listener")
    for src in "fd63:6f6e:7472::3", "fe80::2", HOST6, "2001:db8:6::9":
        g.silent(ether(tcp(SIX, 443, src=src), 0x86DD), f"from {src}")
        logs = g.new_logs(1)
        check(len(logs) == 1 and f"from {src}" in logs[0], f"{src} logged as {logs}")
    s.close()
    u.close()


def run_group(tool, group, options):
    """In a net namespace of its own: the failures as text, by test. With options only the first."""
    failures = {}
    g = Guest(tool, *GROUPS[group], *options)
    for t in TESTS[group]:
        try:
            t(g)
        except (Failed, OSError) as e:
            failures[t.__name__] = f"{type(e).__name__}: {e}"
            if options:
                break
            g.new_logs()
    g.close()
    return failures


def child(tool, group, options):
    """Runs a group in new namespaces: its failures, name -> text."""
    p = subprocess.run(
        ["unshare", "-Urn", sys.executable, os.path.abspath(__file__), tool, "group", group, *options],
        stdout=subprocess.PIPE, text=True, timeout=120, check=False,
    )
    failures = dict(x.split("\t", 1) for x in p.stdout.splitlines() if "\t" in x)
    if p.returncode not in (0, 1):
        failures["the test itself"] = f"exit {p.returncode}"
    return failures


def report(results):
    print(f"1..{len(results)}")
    for i, (name, why) in enumerate(results, 1):
        if why:
            print("# " + why)
        print(f"{'not ok' if why else 'ok'} {i} - {name}")
    return 1 if any(why for _, why in results) else 0


def packets(tool):
    results = []
    for group, tests in TESTS.items():
        failures = child(tool, group, [])
        results += [(t.__name__, failures.pop(t.__name__, "")) for t in tests]
        results += list(failures.items())
    return report(results)


def names(tool, group):
    p = subprocess.run(
        [tool, *GROUPS[group], "names"], stdout=subprocess.PIPE, text=True, check=True
    )
    return p.stdout.split()


def mutations(tool):
    done, work, results = set(), [], []
    for group in GROUPS:
        for name in names(tool, group):
            if name not in done:
                work.append((f"without {name}", group, ["--without", name], ""))
            done.add(name)
    for chain in "pre", "input", "forward", "output", "arp-in":
        work.append((f"policy of {chain}", "main", ["--open-policy", chain], DOUBLED.get(chain)))
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda w: child(tool, w[1], w[2]), work))
    for (what, _, _, doubled), failures in zip(work, found):
        if doubled:
            why = f"{failures} though {doubled}" if failures else ""
        else:
            why = "" if failures else "no test fails"
        results.append((what + ": " + (doubled or ", ".join(failures)), why))
    return report(results)


def main():
    tool, mode = os.path.abspath(sys.argv[1]), sys.argv[2]
    if mode == "group":
        failures = run_group(tool, sys.argv[3], sys.argv[4:])
        for name, why in failures.items():
            print(name + "\t" + why.replace("\n", " "))
        return 1 if failures else 0
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        print("1..0 # SKIP /dev/net/tun is not readable and writable for this user")
        return 77
    return mutations(tool) if mode == "mutations" else packets(tool)


if __name__ == "__main__":
    sys.exit(main())
