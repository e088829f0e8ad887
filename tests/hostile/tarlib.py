# SPDX-License-Identifier: GPL-3.0-or-later
"""Tar archives made by hand, block by block, so that every lie can be told."""

BLOCK = 512
END = bytes(2 * BLOCK)


def octal(value, width):
    """A number field, NUL-ended."""
    return b"%0*o\0" % (width - 1, value)


def base256(value, width):
    """A number field in GNU's binary form, negative ones too."""
    raw = value.to_bytes(width, "big", signed=True)
    return bytes([raw[0] | 0x80]) + raw[1:]


def pad(data):
    return data + bytes(-len(data) % BLOCK)


def header(name, size=0, kind=b"0", link=b"", mode=0o644, magic=b"ustar\x0000", prefix=b"",
           size_field=None, mtime=1600000000, checksum=None, devices=b""):
    """One header block; size_field, checksum and devices take the place of the honest ones."""
    h = bytearray(BLOCK)

    def put(at, data, width):
        assert len(data) <= width, (data, width)
        h[at:at + len(data)] = data

    put(0, name, 100)
    put(100, octal(mode, 8), 8)
    put(108, octal(0, 8), 8)
    put(116, octal(0, 8), 8)
    put(124, size_field if size_field is not None else octal(size, 12), 12)
    put(136, octal(mtime, 12), 12)
    put(156, kind, 1)
    put(157, link, 100)
    put(257, magic, 8)
    put(329, devices, 16)
    put(345, prefix, 155)
    h[148:156] = b" " * 8
    total = sum(h) if checksum is None else checksum
    h[148:156] = b"%06o\0 " % total
    return bytes(h)


def record(key, value):
    """One pax record: its length counts itself."""
    body = b" " + key + b"=" + value + b"\n"
    n = len(body)
    while n != len(body) + len(b"%d" % n):
        n = len(body) + len(b"%d" % n)
    return b"%d" % n + body


def pax(records, kind=b"x", raw=None, size_field=None):
    """An extended header with its body."""
    body = raw if raw is not None else b"".join(record(k, v) for k, v in records)
    return header(b"PaxHeaders/x", len(body), kind, size_field=size_field) + pad(body)


def gnu_long(value, kind=b"L", end=b"\0"):
    body = value + end
    return header(b"././@LongLink", len(body), kind, magic=b"ustar  \0") + pad(body)


def folder(name, mode=0o755):
    return header(name.rstrip(b"/") + b"/", kind=b"5", mode=mode)


def file(name, data=b"data\n", **more):
    return header(name, len(data), **more) + pad(data)


def symlink(name, target):
    return header(name, kind=b"2", link=target)


def hardlink(name, target, data=b""):
    return header(name, len(data), kind=b"1", link=target) + pad(data)


TOP = folder(b"workspace")
SRC = TOP + folder(b"workspace/src")


def long_file(name, data=b"data\n"):
    """A file whose name needs a pax header."""
    return pax([(b"path", name)]) + file(b"short", data)
