# SPDX-License-Identifier: GPL-3.0-or-later
"""Ethernet frames for the attacks, as hexadecimal text."""

import socket
import struct

WORKER, HOST = "525400637472", "525400686f73"
WORKER_IP, HOST_IP = "10.98.0.2", "10.98.0.1"


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    s = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return ~s & 0xFFFF


def with_sum(header, at, data):
    return header[:at] + struct.pack("!H", checksum(data)) + header[at + 2:]


def ethernet(payload, kind, source=WORKER, target=HOST):
    return target + source + f"{kind:04x}" + payload.hex()


def ip4(proto, payload, source=WORKER_IP, target=HOST_IP, fragment=0):
    h = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 77, fragment, 64, proto, 0,
                    socket.inet_aton(source), socket.inet_aton(target))
    return with_sum(h, 10, h) + payload


def ip6(proto, payload, source, target):
    return struct.pack("!IHBB", 6 << 28, len(payload), proto, 64) + \
        socket.inet_pton(socket.AF_INET6, source) + \
        socket.inet_pton(socket.AF_INET6, target) + payload


def syn(source, target, port):
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    a = socket.inet_pton(family, source) + socket.inet_pton(family, target)
    h = struct.pack("!HHIIBBHHH", 4321, port, 1, 0, 0x50, 2, 1024, 0, 0)
    return with_sum(h, 16, a + struct.pack("!II", len(h), 6) + h)


def udp(port, data=b"x"):
    return struct.pack("!HHHH", 4321, port, 8 + len(data), 0) + data


def arp(operation, sender_mac, sender, target_mac, target):
    return struct.pack("!HHBBH", 1, 0x800, 6, 4, operation) + bytes.fromhex(sender_mac) + \
        socket.inet_aton(sender) + bytes.fromhex(target_mac) + socket.inet_aton(target)
