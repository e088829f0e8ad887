#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel makes of our messages, and what it keeps of us: kernel.py TOOL.

As an ordinary user, in namespaces of the test's own.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOOL = os.path.abspath(sys.argv[1])
OPTIONS = (
    "--ifname br0 --rate 200000 --total 400000"
    " --allow 93.184.216.0/24,8000-8010,tcp --allow 93.184.216.34,53,udp"
    " --allow 2001:db8:6::/48,443-444,tcp --allow 2001:db8:6::35,53,udp"
)


def inside(script, extra=""):
    """Runs a shell script in new user and net namespaces: exit status and output."""
    p = subprocess.run(
        f"unshare -Urn{extra} sh -c '{script}'", shell=True, timeout=60, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )
    return p.returncode, p.stdout


# Runs the rest of the script while the tool is up; $tool is its process.
UP = (
    "mkfifo $D/in; exec 3<>$D/in; cd $D;"
    f" {TOOL} {OPTIONS} run <$D/in >$D/out 2>&1 & tool=$!;"
    " n=0; while ! grep -q ready $D/out 2>/dev/null && [ $n -lt 100 ]; do sleep 0.05; n=$((n+1)); done;"
    " cat $D/out;"
)


def script(text):
    return "D=$(mktemp -d); trap \"rm -rf $D\" EXIT; " + text


def plain(text):
    """The rule set as nft lists it, without what the kernel numbers or counts by itself."""
    def strip(x):
        if isinstance(x, dict):
            return {k: strip(v) for k, v in x.items() if k not in ("handle", "metainfo", "flags")}
        return [strip(v) for v in x] if isinstance(x, list) else x

    return [strip(x) for x in json.loads(text)["nftables"] if "metainfo" not in x]


def json_of(out):
    return next(x for x in out.splitlines() if x.startswith("{"))


def test_round_trip():
    """The kernel lists our batch as it lists the same rules from nft."""
    r, ours = inside(script(UP + "nft -j list ruleset; kill $tool"))
    assert r == 0, ours
    r, theirs = inside(f"nft -f {HERE}/ruleset.nft && nft -j list ruleset")
    assert r == 0, theirs
    ours, theirs = plain(json_of(ours)), plain(json_of(theirs))
    for a, b in zip(ours, theirs):
        assert a == b, f"\nours   {json.dumps(a)}\ntheirs {json.dumps(b)}"
    assert len(ours) == len(theirs) > 60, (len(ours), len(theirs))


def test_table_is_owned():
    """Nobody else changes the tables, and they go with the process, whatever ends it."""
    r, out = inside(script(UP + (
        "nft delete table inet contractor && echo deleted;"
        "nft flush chain inet contractor pre && echo flushed;"
        "nft add rule inet contractor pre accept && echo added;"
        "nft list tables; kill -9 $tool; wait $tool; echo KILLED; nft list tables"
    )))
    before, _, after = out.partition("KILLED")
    assert "ready" in before and not re.search("deleted|flushed|added", before), out
    assert "table inet" in before and "table arp" in before and "table" not in after, out


def test_kill_leaves_nothing():
    """kill -9: the tap goes with the process, all the rest with the namespace."""
    p = subprocess.Popen(
        ["unshare", "-Urn", sys.executable, "-c",
         f"import socket, os, sys; a, b = socket.socketpair();"
         f"[os.set_inheritable(x.fileno(), True) for x in (a, b)];"
         f"os.execv('{TOOL}', ['{TOOL}', '--socket', str(b.fileno()), 'run'])"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )
    assert p.stdout.readline().startswith("ready"), "the tool does not come up"
    space = os.readlink(f"/proc/{p.pid}/ns/net")
    os.kill(p.pid, signal.SIGKILL)
    p.wait(10)
    p.stdin.close()
    p.stdout.close()
    left = []
    for x in os.listdir("/proc"):
        try:
            if x.isdigit() and os.readlink(f"/proc/{x}/ns/net") == space:
                left.append(x)
        except OSError:
            pass
    assert not left, f"still in the namespace: {left}"


def test_kill_takes_the_tap():
    """In a namespace that lives on, tap and tables are gone at once."""
    r, out = inside(script(
        "python3 -c \"import socket,subprocess,os,signal,sys\n"
        "a,b=socket.socketpair()\n"
        f"p=subprocess.Popen([\\\"{TOOL}\\\",\\\"--socket\\\",str(b.fileno()),\\\"run\\\"],"
        "pass_fds=[b.fileno()],stdin=subprocess.PIPE,stdout=subprocess.PIPE)\n"
        "print(p.stdout.readline())\n"
        "print(subprocess.run([\\\"ip\\\",\\\"-br\\\",\\\"link\\\"],stdout=-1,text=True).stdout)\n"
        "b.close(); a.close(); os.kill(p.pid,signal.SIGKILL); p.wait()\n"
        "\"; echo AFTER; ip -br link; nft list ruleset"
    ))
    before, _, after = out.partition("AFTER")
    assert r == 0 and "tap0" in before and "ready br0" in before, out
    assert "tap0" not in after and "table" not in after, out


def test_refusal_names_the_message():
    """A batch is refused whole, with the message's name and the kernel's word."""
    r, out = inside(f"nft add table inet contractor; {TOOL} {OPTIONS} run </dev/null;"
                    " nft list ruleset")
    assert "nf_tables: table contractor" in out and "File exists" in out, out
    assert out.count("chain") == 0, out


def test_tun_errors_say_what_to_do():
    """A forbidden /dev/net/tun, and none at all."""
    closed = "/etc/shadow"  # another's, and closed to us
    with tempfile.NamedTemporaryFile() as f:
        if os.geteuid() == 0:
            closed = f.name
            os.chown(closed, 4242, 4242)
        r, out = inside(f"mount --bind {closed} /dev/net/tun;"
                        f" {TOOL} --socket 0 run </dev/null", "m")
    assert r == 1 and "/dev/net/tun: permission denied" in out and "chmod 0666" in out, out
    r, out = inside(f"mount -t tmpfs none /dev/net; {TOOL} --socket 0 run </dev/null", "m")
    assert r == 1 and "/dev/net/tun: is the kernel module tun there?" in out, out


def test_large_rule_set():
    """Sets of thousands of elements, in messages below 64 KiB, in one batch."""
    allow = " ".join(
        f"--allow 93.{i}.0.0/16,1000-1001,tcp" for i in range(200)
    ) + "".join(
        f" --allow 0.0.0.0/0,{p},tcp" for p in range(10, 100, 10)
    ) + " --allow 93.0.0.0/8,53,udp --allow 93.7.7.7,22,tcp --allow 93.7.0.0/16,1001-1500,tcp"
    r, out = inside(f"ip link add br0 type bridge; true | {TOOL} --ifname br0 {allow} run")
    assert r == 0 and "ready" in out, out


def test_without_a_bridge():
    """Where br_netfilter cannot be turned off the tap has the address, and all holds the same."""
    if not os.path.exists("/proc/sys/net/bridge/bridge-nf-call-iptables"):
        return
    r, out = inside(
        # with what is mounted below it (binfmt_misc), which nobody may uncover
        "mount --rbind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys &&"
        f" {sys.executable} {HERE}/packets.py {TOOL} group main", "m")
    assert r == 0, out


def main():
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK) or not shutil.which("nft"):
        print("1..0 # SKIP needs nft, and /dev/net/tun readable and writable for this user")
        return 77
    tests = [(k, f) for k, f in globals().items() if k.startswith("test_")]
    print(f"1..{len(tests)}")
    failed = 0
    for i, (name, f) in enumerate(tests, 1):
        start = time.monotonic()
        try:
            f()
            print(f"ok {i} - {name} ({time.monotonic() - start:.1f} s)", flush=True)
        except (AssertionError, StopIteration) as e:
            failed += 1
            print("# " + str(e).replace("\n", "\n# "))
            print(f"not ok {i} - {name}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
