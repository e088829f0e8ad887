#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""`contractor check` against a table of questions and answers: check.py CHECK FOLDER."""

import json
import os
import subprocess
import sys
import tempfile

CHECK, FOLDER = os.path.abspath(sys.argv[1]), sys.argv[2]

# Options, exit status, stdout, stderr.
CASES = [
    ("", 0, "net.yaml: correct, with 6 network rules\n", ""),
    ("--host git.example.org --protocol https", 0,
     "allowed by line 7\n  - {host: git.example.org, protocol: https}\n", ""),
    ("--host GIT.Example.org. --port 443 --phase prepare", 0,
     "allowed by line 7\n  - {host: git.example.org, protocol: https}\n", ""),
    ("--host a.b.cdn.example.net --port 8001 --protocol tcp --phase prepare", 0,
     'allowed by line 8\n  - {host: "*.cdn.example.net", port: 8000-8080, protocol: tcp, '
     "phase: prepare}\n", ""),
    ("--host intern.example.org --protocol ssh", 0,
     "allowed by line 11\n  - host: intern.example.org\n", ""),
    ("--host 9.9.9.9 --protocol dns", 0,
     "allowed by line 9\n  - {host: 9.9.9.9, protocol: dns}\n" * 2, ""),
    ("--host deb.example.com --protocol http --phase prepare", 0,
     "allowed by built-in rule 7\n  the image's own package repository\n", ""),
    ("--host 127.0.0.1 --port 80", 0,
     "allowed by line 15\n  - {host: 127.0.0.0/8, port: 80, protocol: tcp, private: true}\n", ""),
    ("--host deb.example.com --protocol http", 4,
     "denied: built-in rule 7 allows deb.example.com, but not in the build phase; this line would "
     "allow it:\n  - {host: deb.example.com, port: 80, protocol: tcp, phase: build}\n", ""),
    ("--host a.cdn.example.net --port 8001", 4,
     "denied: line 8 allows a.cdn.example.net, but not in the build phase; this line would allow "
     "it:\n  - {host: a.cdn.example.net, port: 8001, protocol: tcp, phase: build}\n", ""),
    ("--host cdn.example.net --port 8001", 4,
     "denied: no rule allows cdn.example.net; this line would allow it:\n"
     "  - {host: cdn.example.net, port: 8001, protocol: tcp, phase: build}\n", ""),
    ("--host git.example.org --port 22", 4,
     "denied: line 7 allows git.example.org by tcp, but not port 22; this line would allow it:\n"
     "  - {host: git.example.org, port: 22, protocol: tcp, phase: build}\n", ""),
    ("--host 9.9.9.9 --port 80", 4,
     "denied: line 9 allows 9.9.9.9 by tcp, but not port 80", None),
    ("--host 10.1.2.3 --protocol ssh", 4,
     "denied: 10.1.2.3 is a private address, and line 10 does not say private: true; this line "
     "would allow it:\n"
     "  - {host: 10.1.2.3, port: 22, protocol: tcp, phase: build, private: true}\n", ""),
    ("--host ::1 --port 22", 4,
     'denied: no rule allows ::1; this line would allow it:\n'
     '  - {host: "::1", port: 22, protocol: tcp, phase: build, private: true}\n', ""),
    ("--host 255.255.255.255 --port 22", 4, "denied: no rule allows 255.255.255.255\n", ""),
    ("--host git.example.org", 2, "", "contractor: --port"),
    ("--host git.example.org --port 1-2", 2, "", "contractor: --port"),
    ("--host git.example.org --port 0", 2, "", "contractor: "),
    ("--host git.example.org --port 1 --protocol gopher", 2, "", "contractor: "),
    ("--host git.example.org --port 1 --phase never", 2, "",
     "contractor: --phase: prepare or build, not never\n"),
    ("--host a\x1b[31m --port 1", 2, "",
     "contractor: --host: a\\x1b[31m is no host name and no address\n"),
    ("--port 1", 2, "", "contractor: check: --port, --protocol and --phase belong to --host\nTry: contractor check --help\n"),
    ("--nonsense", 2, "", None),
]


def image(folder):
    """A worker image as far as check looks at it."""
    with open(os.path.join(folder, "worker.img"), "wb") as f:
        f.truncate(4096)
    part = {"offset": 0, "size": 512}
    manifest = {
        "format": 1, "arch": "x86_64", "suite": "bookworm", "cmdline": "quiet",
        "sha256": "0" * 64, "size": 4096, "root": dict(part, fs="ext4"), "kernel": part,
        "initrd": part, "packages": ["make"],
        "repositories": ["http://deb.example.com/debian", "file:/srv/debian",
                         "http://deb.example.com/debian-security", "nonsense"],
    }
    with open(os.path.join(folder, "worker.img.json"), "w", encoding="utf-8") as f:
        json.dump(manifest, f)


def main():
    bad = 0
    with open(os.path.join(FOLDER, "net.yaml"), encoding="utf-8") as f:
        spec = f.read()
    with tempfile.TemporaryDirectory() as folder:
        image(folder)
        with open(os.path.join(folder, "net.yaml"), "w", encoding="utf-8") as f:
            f.write(spec)
        for n, (options, status, out, err) in enumerate(CASES, 1):
            p = subprocess.run([CHECK, *options.split(), "net.yaml"], cwd=folder, text=True,
                               capture_output=True, timeout=20)
            good = p.returncode == status and p.stdout.startswith(out or "")
            good = good and (err is None or (p.stderr.startswith(err) if err else not p.stderr))
            good = good and (bool(p.stdout) == bool(out))
            bad += not good
            print(f"{'ok' if good else 'not ok'} {n} - {options.encode('unicode_escape').decode()}")
            if not good:
                print(f"# status {p.returncode}\n# {p.stdout!r}\n# {p.stderr!r}")
    print(f"1..{len(CASES)}")
    sys.exit(bad > 0)


main()
