# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker made of raw frames, and the manager's sockets, for the tests of the packet policy."""

import array
import os
import select
import socket
import struct
import subprocess
import time

HOST, WORKER = "10.98.0.1", "10.98.0.2"
HOST_MAC, WORKER_MAC = "52:54:00:12:34:01", "52:54:00:12:34:02"
HOST6, WORKER6 = "fd63:6f6e:7472::1", "fd63:6f6e:7472::2"
SYNTH, OUTSIDE = "198.18.0.5", "1.2.3.4"
VNET = bytes(10)  # the virtio-net header in front of each frame of the tap
TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58
SYN, ACK, RST, PSH = 2, 16, 4, 8
IP_TRANSPARENT, IP_RECVORIGDSTADDR = 19, 20
IPV6_TRANSPARENT, IPV6_RECVORIGDSTADDR = 75, 74
# How long silence is listened to. Everything is on one machine: an answer takes microseconds.
QUIET = 0.06
PATIENCE = 3.0


class Failed(Exception):
    pass


def check(ok, what):
    if not ok:
        raise Failed(what)


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    s = sum(struct.unpack(f"!{len(data) // 2}H", data))
    s = (s >> 16) + (s & 0xFFFF)
    return ~(s + (s >> 16)) & 0xFFFF


def addr(text):
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def ether(payload, kind=0x0800, src=WORKER_MAC, dst=HOST_MAC):
    return mac(dst) + mac(src) + struct.pack("!H", kind) + payload


def with_checksum(src, dst, proto, segment, at):
    """The segment with its checksum at that offset."""
    # the numbers' widths differ between the families, their sum does not
    pseudo = addr(src) + addr(dst) + struct.pack("!HH", proto, len(segment))
    c = checksum(pseudo + segment)
    return segment[:at] + struct.pack("!H", c) + segment[at + 2 :]


def ip(dst, proto, payload, src=WORKER, hops=64):
    if ":" in dst:
        h = struct.pack("!IHBB", 6 << 28, len(payload), proto, hops)
        return h + addr(src) + addr(dst) + payload
    h = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0, 64, proto, 0)
    h += addr(src) + addr(dst)
    return h[:10] + struct.pack("!H", checksum(h)) + h[12:] + payload


def tcp(dst, dport, flags=SYN, sport=40000, seq=1000, ack=0, data=b"", src=WORKER):
    s = struct.pack("!HHIIBBHHH", sport, dport, seq, ack, 5 << 4, flags, 65535, 0, 0) + data
    return ip(dst, TCP, with_checksum(src, dst, TCP, s, 16), src)


def udp(dst, dport, data=b"x", sport=40000, src=WORKER):
    s = struct.pack("!HHHH", sport, dport, 8 + len(data), 0) + data
    return ip(dst, UDP, with_checksum(src, dst, UDP, s, 6), src)


def icmp(dst, kind, code=0, body=b"\0\1\0\1ping", src=WORKER):
    s = struct.pack("!BBH", kind, code, 0) + body
    return ip(dst, ICMP, s[:2] + struct.pack("!H", checksum(s)) + s[4:], src)


def icmp6(dst, kind, code=0, body=bytes(4), src=WORKER6):
    s = struct.pack("!BBH", kind, code, 0) + body
    return ip(dst, ICMP6, with_checksum(src, dst, ICMP6, s, 2), src, 255)


def solicit(target=HOST6, src=WORKER6, dst="ff02::1:ff00:1", sender_mac=WORKER_MAC):
    """Who has that IPv6 address?"""
    return icmp6(dst, 135, 0, bytes(4) + addr(target) + b"\1\1" + mac(sender_mac), src)


def arp(op, sender_ip, target_ip, sender_mac=WORKER_MAC, target_mac="00:00:00:00:00:00"):
    return (
        struct.pack("!HHBBH", 1, 0x0800, 6, 4, op)
        + mac(sender_mac) + addr(sender_ip) + mac(target_mac) + addr(target_ip)
    )


class Packet:
    """What came to the worker, as far as the tests look."""

    def __init__(self, frame):
        self.kind = struct.unpack("!H", frame[12:14])[0]
        self.src = self.dst = self.proto = self.sport = self.dport = None
        self.flags = self.type = self.code = 0
        self.data = b""
        p = frame[14:]
        if self.kind == 0x0806:
            self.op = struct.unpack("!H", p[6:8])[0]
            self.src, self.dst = socket.inet_ntoa(p[14:18]), socket.inet_ntoa(p[24:28])
            self.mac = p[8:14]
        elif self.kind == 0x0800:
            self.proto = p[9]
            self.src, self.dst = socket.inet_ntoa(p[12:16]), socket.inet_ntoa(p[16:20])
            self.transport(p[4 * (p[0] & 15) : struct.unpack("!H", p[2:4])[0]])
        elif self.kind == 0x86DD:
            self.proto = p[6]
            self.src, self.dst = (socket.inet_ntop(socket.AF_INET6, x) for x in (p[8:24], p[24:40]))
            self.transport(p[40:])

    def transport(self, t):
        if self.proto in (ICMP, ICMP6):
            self.type, self.code = t[0], t[1]
            self.data = t[4:]
        if self.proto in (TCP, UDP):
            self.sport, self.dport = struct.unpack("!HH", t[:4])
        if self.proto == TCP:
            self.seq, self.ack = struct.unpack("!II", t[4:12])
            self.flags = t[13]
            self.data = t[4 * (t[12] >> 4) :]
        if self.proto == UDP:
            self.data = t[8:]

    def __repr__(self):
        return str(vars(self))


class Guest:
    """The tool with the policy in this net namespace, the tap's other end, the manager's sockets."""

    def __init__(self, tool, *options):
        ours, theirs = socket.socketpair()
        self.tool = subprocess.Popen(
            [tool, *options, "--socket", str(theirs.fileno()), "run"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[theirs.fileno()],
        )
        theirs.close()
        self.pending, self.logs = b"", []
        self.tap = -1
        self.ifname = self.line(PATIENCE).split()[1]
        _, anc, _, _ = ours.recvmsg(1, socket.CMSG_SPACE(4))
        fds = array.array("i")
        fds.frombytes(anc[0][2][:4])
        self.tap = fds[0]
        os.set_blocking(self.tap, False)
        ours.close()

    def close(self):
        if self.tap >= 0:
            os.close(self.tap)
        self.tool.stdin.close()
        check(self.tool.wait(PATIENCE) == 0, "the tool failed")
        self.tool.stdout.close()

    def line(self, timeout):
        """The next line of the tool, "" if none comes."""
        end = time.monotonic() + timeout
        fd = self.tool.stdout.fileno()
        while b"\n" not in self.pending:
            left = end - time.monotonic()
            if left < 0 or not select.select([fd], [], [], left)[0]:
                return ""
            got = os.read(fd, 65536)
            check(got, "the tool has ended")
            self.pending += got
        line, self.pending = self.pending.split(b"\n", 1)
        return line.decode()

    def objects(self):
        """The named objects: (family, name) -> (bytes, packets, limit)."""
        self.tool.stdin.write(b"read\n")
        self.tool.stdin.flush()
        found = {}
        while True:
            words = self.line(PATIENCE).split(" ")
            check(words[0], "the tool does not answer")
            if words[0] == "read":
                return found
            check(words[0] != "error", " ".join(words))
            if words[0] == "log":
                self.logs.append(" ".join(words[2:]))
            elif words[0] == "object":
                found[int(words[1]), words[2]] = tuple(int(w) for w in words[3:])

    def new_logs(self, want=0):
        """What was logged since the last call; waits until there are `want` lines, or all is quiet."""
        end = time.monotonic() + PATIENCE
        while True:
            left = end - time.monotonic() if len(self.logs) < want else QUIET
            line = self.line(max(left, 0))
            if not line:
                break
            if line.startswith("log "):
                self.logs.append(line.split(" ", 2)[2])
        logs, self.logs = self.logs, []
        return logs

    def send(self, frame):
        while True:
            try:
                return os.write(self.tap, VNET + frame)
            except BlockingIOError:
                select.select([], [self.tap], [], PATIENCE)

    def receive(self, timeout):
        if not select.select([self.tap], [], [], timeout)[0]:
            return None
        try:
            return Packet(os.read(self.tap, 70000)[len(VNET) :])
        except BlockingIOError:
            return None

    def drain(self):
        packets = []
        while (p := self.receive(0)) is not None:
            packets.append(p)
        return packets

    def ask(self, frame, want, timeout=PATIENCE):
        """Sends, and returns the first packet that `want` is true of, or None."""
        self.send(frame)
        return self.wait(want, timeout)

    def wait(self, want, timeout=PATIENCE):
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            p = self.receive(left)
            if p and want(p):
                return p
        return None

    def silent(self, frame, what):
        """Sends, and fails if anything comes back."""
        self.drain()
        p = self.ask(frame, lambda p: True, QUIET)
        check(p is None, f"{what}: answered by {p}")


def transparent_socket(kind, where):
    """A socket of the address' family that may have any address."""
    v6 = ":" in where
    s = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, kind)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if v6:
        s.setsockopt(socket.IPPROTO_IPV6, IPV6_TRANSPARENT, 1)
    else:
        s.setsockopt(socket.SOL_IP, IP_TRANSPARENT, 1)
    return s


def listener(port, where="127.0.0.1", transparent=True):
    if transparent:
        s = transparent_socket(socket.SOCK_STREAM, where)
    else:
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((where, port))
    s.listen(4096)
    s.settimeout(PATIENCE)
    return s


def datagrams(port, where="127.0.0.1", transparent=True):
    if transparent:
        s = transparent_socket(socket.SOCK_DGRAM, where)
        if ":" in where:
            s.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVORIGDSTADDR, 1)
        else:
            s.setsockopt(socket.SOL_IP, IP_RECVORIGDSTADDR, 1)
    else:
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    s.bind((where, port))
    s.settimeout(PATIENCE)
    return s


def receive_from(s):
    """Data, source and original destination of a datagram at the relay."""
    data, anc, _, src = s.recvmsg(2048, 256)
    if anc[0][0] == socket.IPPROTO_IPV6:
        port, a = struct.unpack("!2xH4x16s", anc[0][2][:24])
        return data, src[:2], (socket.inet_ntop(socket.AF_INET6, a), port)
    port, a = struct.unpack("!2xH4s", anc[0][2][:8])
    return data, src, (socket.inet_ntoa(a), port)


def flow(dst, src):
    """The relay's socket that speaks as dst to src."""
    s = transparent_socket(socket.SOCK_DGRAM, dst[0])
    s.bind(dst)
    s.connect(src)
    s.settimeout(PATIENCE)
    return s
