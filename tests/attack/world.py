# SPDX-License-Identifier: GPL-3.0-or-later
"""A world of its own for tests of the network: namespaces with hosts that no real network has.

enter() puts the program into user, mount and net namespaces, where /etc/hosts and /etc/resolv.conf
are the test's and nothing leads outside. The `outside` is one more net namespace behind a veth
pair. Its hosts have addresses that count as public, and one process serves them all and notes every
connection and datagram that reaches it.
"""

import ctypes
import hashlib
import http.server
import json
import os
import resource
import socket
import socketserver
import ssl
import subprocess
import sys
import tempfile
import threading
import time

MARK = "CONTRACTOR_TEST_WORLD"
HOST = "45.12.7.1"
WEB, OTHER, RESOLVER = "45.12.7.10", "45.12.7.20", "45.12.7.53"
METADATA, PRIVATE = "169.254.169.254", "10.1.2.3"
WEB6, OTHER6 = "2a0e:77::10", "2a0e:77::20"
NAMES = {
    "web.test": WEB, "prepare.test": WEB, "six.test": WEB6, "other.test": OTHER,
    "lan.test": PRIVATE, "rebind-loopback.test": "127.0.0.1", "rebind-host.test": HOST,
    "rebind-metadata.test": METADATA, "rebind-zero.test": "0.0.0.0", "rebind-private.test": PRIVATE,
}
ECHO, SOURCE, SINK = 7, 19, 9  # echo, an endless sender, a reader that says how much it got
POUR, DRAW = 5001, 5002  # streams with checksums, from the worker and to it
GREETING = b"hello from the outside\n"
CLONE_NEWNET, CLONE_NEWNS = 0x40000000, 0x20000


def enter():
    """Goes on in the world; to be called first, in a process with one thread."""
    if os.environ.get(MARK) != str(os.getppid()):
        pid = os.fork()
        if pid == 0:
            os.environ[MARK] = str(os.getppid())
            os.execvp("unshare", ["unshare", "-Urmn", "--propagation", "private", sys.executable,
                                  *sys.argv])
        _, status = os.waitpid(pid, 0)
        sys.exit(os.waitstatus_to_exitcode(status))


def run(*args):
    subprocess.run(args, check=True, stdin=subprocess.DEVNULL)


def bind_over(path, text, folder):
    mine = os.path.join(folder, path.strip("/").replace("/", "-"))
    with open(mine, "w", encoding="utf-8") as f:
        f.write(text)
    run("mount", "--bind", mine, os.path.realpath(path))


class World:
    """The hosts outside. `seen()` is what has reached them."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="contractor-world-")
        self.notes = os.path.join(self.dir, "notes")
        self.www = os.path.join(self.dir, "www")
        os.mkdir(self.www)
        with open(os.path.join(self.www, "hello"), "wb") as f:
            f.write(GREETING)
        open(self.notes, "w", encoding="utf-8").close()
        bind_over("/etc/hosts", "127.0.0.1 localhost\n" + "".join(
            f"{a} {n}\n" for n, a in NAMES.items()), self.dir)
        bind_over("/etc/resolv.conf", "", self.dir)  # the host itself, where nobody answers
        self.make_certificate()
        self.make_repository()
        self.make_login()
        self.connect()

    def make_certificate(self):
        """The web server's, and one for the same name by somebody else."""
        def make(name):
            key, ca = (os.path.join(self.dir, name + end) for end in (".key", ".pem"))
            run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=web.test",
                "-addext", "subjectAltName=DNS:web.test", "-keyout", key, "-out", ca)
            return key, ca

        self.key, self.ca = make("web")
        _, self.other_ca = make("other")

    def make_repository(self):
        """A repository that any server of files can serve."""
        work, bare = os.path.join(self.dir, "work"), os.path.join(self.www, "repo.git")
        env = {"HOME": self.dir, "PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1"}
        for args in (["init", "-q", work],
                     ["-C", work, "-c", "user.name=t", "-c", "user.email=t@web.test", "commit",
                      "-q", "--allow-empty", "-m", "the one commit"],
                     ["clone", "-q", "--bare", work, bare],
                     ["-C", bare, "update-server-info"]):
            subprocess.run(["git", *args], check=True, env=env)

    def make_login(self):
        """A key for the host of SSH, one for its user git, and what each end knows of the other."""
        self.home = os.path.join(self.dir, "home")
        self.host_key, self.user_key, self.known_hosts = (
            os.path.join(self.dir, n) for n in ("host-key", "user-key", "known-hosts"))
        os.makedirs(os.path.join(self.home, ".ssh"), 0o700)
        quiet = {"check": True, "capture_output": True, "text": True}
        out = subprocess.run(["dropbearkey", "-t", "ed25519", "-f", self.host_key], **quiet).stdout
        key = next(line for line in out.splitlines() if line.startswith("ssh-ed25519 "))
        with open(self.known_hosts, "w", encoding="ascii") as f:
            f.write(f"web.test {key}\n")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.user_key], **quiet)
        os.rename(self.user_key + ".pub", os.path.join(self.home, ".ssh/authorized_keys"))

    def connect(self):
        run("ip", "link", "set", "lo", "up")
        ready_r, ready_w = os.pipe()
        go_r, go_w = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                outside(self, ready_w, go_r)
            finally:
                os._exit(1)
        assert os.read(ready_r, 1) == b"u"
        run("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns",
            str(self.pid))
        # neither end says anything by itself: no neighbour discovery, no ARP
        for args in (["link", "set", "v0", "address", "02:00:00:00:00:01"],
                     ["addr", "add", HOST + "/24", "dev", "v0"],
                     ["link", "set", "v0", "up", "arp", "off"],
                     ["-6", "addr", "add", "2a0e:77::1/64", "dev", "v0", "nodad"],
                     ["route", "add", "default", "dev", "v0"]):
            run("ip", *args)
        os.write(go_w, b"g")
        assert os.read(ready_r, 1) == b"s", "the hosts outside did not start"
        for address in ("127.0.0.1", HOST):  # services of the host itself, to be refused
            for port in (80, ECHO):
                serve_tcp(self, address, port, speak)

    def note(self, what, address, port, **more):
        with open(self.notes, "a", encoding="utf-8") as f:
            f.write(json.dumps({"what": what, "to": address, "port": port, **more}) + "\n")

    def seen(self):
        with open(self.notes, encoding="utf-8") as f:
            return [json.loads(line) for line in f]

    def forget(self):
        with open(self.notes, "w", encoding="utf-8"):
            pass

    def sent_packets(self):
        """How many packets have left the host."""
        with open("/proc/self/net/dev", encoding="ascii") as f:
            return next(int(line.split()[10]) for line in f if line.startswith("    v0:"))

    def end(self):
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)
        run("umount", "/etc/hosts")
        run("umount", os.path.realpath("/etc/resolv.conf"))
        run("rm", "-rf", self.dir)


def speak(connection, _):
    connection.sendall(GREETING)


def echo(connection, _):
    while data := connection.recv(65536):
        connection.sendall(data)


def source(connection, note):
    block, sent = b"\xaa" * 65536, 0
    try:
        while True:
            sent += connection.send(block)
    finally:
        note(sent=sent)


def sink(connection, note):
    """Says what it got and how long that took when the other end has shut its side."""
    got, start = 0, None
    try:
        while data := connection.recv(65536):
            start = start or time.monotonic()
            got += len(data)
        connection.sendall(f"{got} {time.monotonic() - (start or 0):.3f}\n".encode())
    finally:
        note(got=got)


def pour(connection, note):
    """Takes a stream; says its checksum and length when the other end has shut its side."""
    got, checksum = 0, hashlib.sha1()
    while data := connection.recv(262144):
        checksum.update(data)
        got += len(data)
    connection.sendall(f"{checksum.hexdigest()} {got}\n".encode())
    note(got=got)


def draw(connection, note):
    """Sends as many bytes as the first line says, no two blocks alike."""
    left, checksum, noise = int(connection.recv(100)), hashlib.sha1(), os.urandom(262136)
    sent = left
    while left > 0:
        block = (left.to_bytes(8, "big") + noise)[:left]
        checksum.update(block)
        connection.sendall(block)
        left -= len(block)
    note(sum=checksum.hexdigest(), sent=sent)


def ssh(connection, note):
    """A session with a real server, as the one user that it has."""
    note()
    subprocess.run(["unshare", "-U", "--map-user=1000", "--map-group=1000", "/usr/sbin/dropbear",
                    "-i", "-s", "-r", note.world.host_key], stdin=connection,
                   stdout=connection, stderr=subprocess.DEVNULL, check=False)


def serve_tcp(world, address, port, handle):
    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            def note(**more):
                world.note("tcp-end", address, port, **more)
            note.world = world
            world.note("tcp", address, port)
            try:
                handle(self.request, note)
            except OSError:
                pass

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address, daemon_threads, request_queue_size = True, True, 1024
        address_family = socket.AF_INET6 if ":" in address else socket.AF_INET

    start(Server((address, port), Handler))


def serve_udp(world, address, port, answer):
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((address, port))

    def loop():
        while True:
            data, peer = s.recvfrom(65536)
            world.note("udp", address, port)
            if answer:
                s.sendto(data, peer)

    threading.Thread(target=loop, daemon=True).start()


def serve_files(world, address, port, tls=False):
    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=world.www)

        def log_message(self, *args):
            world.note("http", address, port, host=self.headers.get("Host", ""))

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *_):
            pass  # a client that does not trust the certificate

    server = Server((address, port), Handler)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(world.ca, world.key)
        server.socket = context.wrap_socket(server.socket, server_side=True,
                                            do_handshake_on_connect=False)
    start(server)


def start(server):
    threading.Thread(target=server.serve_forever, daemon=True).start()


def outside(world, ready, go):
    """The process of the hosts outside; never returns."""
    libc = ctypes.CDLL(None, use_errno=True)
    # dies with its parent
    if libc.unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 or libc.prctl(1, 9, 0, 0, 0) < 0:
        os._exit(1)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    bind_over("/etc/passwd", f"git:x:1000:1000::{world.home}:/bin/sh\n", world.dir)
    os.write(ready, b"u")
    os.read(go, 1)
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "set", "v1", "address", "02:00:00:00:00:01")  # what v0 sends goes there
    for a in (WEB, OTHER, RESOLVER):
        run("ip", "addr", "add", a + "/24", "dev", "v1")
    for a in (METADATA, PRIVATE):
        run("ip", "addr", "add", a + "/32", "dev", "v1")
    for a in (WEB6, OTHER6):
        run("ip", "-6", "addr", "add", a + "/64", "dev", "v1", "nodad")
    run("ip", "link", "set", "v1", "up", "arp", "off")
    serve_files(world, WEB, 80)
    serve_files(world, WEB, 443, tls=True)
    for port, handle in ((22, ssh), (ECHO, echo), (SOURCE, source), (SINK, sink), (8080, speak),
                         (POUR, pour), (DRAW, draw)):
        serve_tcp(world, WEB, port, handle)
    serve_tcp(world, WEB6, ECHO, echo)
    serve_tcp(world, WEB6, 8080, speak)
    serve_udp(world, WEB6, ECHO, True)
    serve_tcp(world, PRIVATE, ECHO, echo)
    serve_udp(world, WEB, ECHO, True)
    serve_udp(world, WEB, SINK, False)
    # all that must never be reached
    for address in (OTHER, METADATA, PRIVATE, RESOLVER):
        for port in (22, 53, 80, 443):
            serve_tcp(world, address, port, speak)
        serve_udp(world, address, 53, True)
    serve_udp(world, WEB, 8080, True)
    serve_tcp(world, OTHER6, ECHO, speak)
    os.write(ready, b"s")
    while True:
        time.sleep(3600)
