# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps of contractor.md, in Subplot's Python form: a function a step, ctx first.

Environment: CONTRACTOR names the program (otherwise the one in PATH), CONTRACTOR_TEST_IMAGE the
worker image. get_file() and assert_eq() come from Subplot's template, or from subplot/run.
"""

import json
import os
import shlex
import socket
import subprocess

import yaml

# A build under emulation on a slow machine, with room to spare; the program's own limits come
# first when something hangs.
RUN_TIMEOUT = 1500


def program():
    return os.environ.get("CONTRACTOR", "contractor")


def working_contractor(ctx):
    p = subprocess.run([program(), "--version"], capture_output=True, text=True, timeout=30)
    assert_eq(p.returncode, 0)
    assert p.stdout.startswith("contractor "), p.stdout


def ordinary_user(ctx):
    assert os.geteuid() != 0, "these scenarios are to be run by an ordinary user"


def worker_image(ctx):
    image = os.environ.get("CONTRACTOR_TEST_IMAGE")
    assert image, "CONTRACTOR_TEST_IMAGE does not name a worker image (tests/run.sh makes one)"
    for suffix in ("", ".json"):
        try:
            os.link(image + suffix, "worker.img" + suffix)
        except OSError:
            os.symlink(image + suffix, "worker.img" + suffix)


def embedded_file(ctx, filename=None):
    with open(filename, "wb") as f:
        f.write(get_file(filename))


def host_file(ctx, path=None, content=None):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(content + "\n")


def source_folder(ctx, path=None):
    host_file(ctx, path=os.path.join(path, "readme"), content="A source with nothing in it.")


def remove_file(ctx, path=None):
    os.remove(path)


def run_contractor(ctx, args=None):
    p = subprocess.run([program()] + shlex.split(args), stdin=subprocess.DEVNULL,
                       capture_output=True, text=True, errors="replace", timeout=RUN_TIMEOUT)
    ctx["exit"] = p.returncode
    ctx["stdout"] = p.stdout
    ctx["stderr"] = p.stderr


def json_output_matches(ctx, filename=None):
    """Equal as values and as types: Python holds True and 1 for equal, their JSON texts differ."""
    expected = yaml.safe_load(get_file(filename))
    actual = json.loads(ctx["stdout"])
    assert_eq(json.dumps(actual, sort_keys=True), json.dumps(expected, sort_keys=True))


def exit_code_is(ctx, code=None):
    assert ctx["exit"] == int(code), f"exit code {ctx['exit']}, not {code}:\n{ctx['stderr']}"


def file_exists(ctx, path=None):
    assert os.path.exists(path), f"{path} does not exist"


def file_does_not_exist(ctx, path=None):
    assert not os.path.lexists(path), f"{path} exists"


def file_contains(ctx, path=None, text=None):
    with open(path, encoding="utf-8", errors="replace") as f:
        content = f.read()
    assert text in content, f"{path} has no {text!r}: {content!r}"


def stderr_contains(ctx, text=None):
    assert text in ctx["stderr"], f"no {text!r} on stderr: {ctx['stderr']!r}"


def build_folders():
    """Those of this scenario's builds, the last one first (HOME is the scenario's own)."""
    state = os.environ.get("XDG_STATE_HOME") or os.path.join(os.environ["HOME"], ".local/state")
    builds = os.path.join(state, "contractor", "builds")
    return sorted((os.path.join(builds, b) for b in os.listdir(builds)),
                  key=lambda b: os.stat(b).st_mtime_ns, reverse=True)


def newest_build():
    return build_folders()[0]


def report(which=0):
    with open(os.path.join(build_folders()[which], "report.json"), encoding="utf-8") as f:
        return json.load(f)


def log():
    with open(os.path.join(newest_build(), "log"), encoding="utf-8", errors="replace") as f:
        return f.read()


def log_contains(ctx, text=None):
    assert text in log(), f"no {text!r} in the log: {log()[-2000:]!r}"


def log_does_not_contain(ctx, text=None):
    assert text not in log(), f"{text!r} in the log: {log()[-2000:]!r}"


def verdict_is(ctx, verdict=None):
    assert_eq(report()["verdict"], verdict)


def isolation_is(ctx, isolation=None):
    assert_eq(report()["isolation"], isolation)


def reports_alike(ctx):
    """The same members, limits and phases, whatever their values."""
    for part in (lambda r: sorted(r), lambda r: sorted(r["limits"]),
                 lambda r: [p["name"] for p in r["phases"]]):
        assert_eq(part(report(0)), part(report(1)))


def reported_exit_code_is(ctx, code=None):
    assert_eq(report()["build-exit-code"], int(code))


def listener(ctx, port=None):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("0.0.0.0", int(port)))
    s.listen(16)
    s.settimeout(0)
    ctx["listener"] = s


def listener_stop(ctx, port=None):
    ctx["listener"].close()


def nothing_connected(ctx):
    try:
        ctx["listener"].accept()
    except BlockingIOError:
        return
    raise AssertionError("the build reached the host's listener")


def no_process_left(ctx):
    """Nothing that has this scenario's folder open or as its HOME is running."""
    me = os.getpid()
    home = os.environ["HOME"]
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if int(pid) == me or os.stat(f"/proc/{pid}").st_uid != os.geteuid():
                continue
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                command = f.read()
            with open(f"/proc/{pid}/environ", "rb") as f:
                environ = f.read()
        except OSError:
            continue
        mine = f"HOME={home}\0".encode() in environ + b"\0"
        assert not (mine and (b"contractor" in command or b"qemu" in command)), command
