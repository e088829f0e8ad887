# SPDX-License-Identifier: GPL-3.0-or-later
"""A headless Chromium, driven by its own protocol over two pipes: JSON texts that end in NUL."""

import ctypes
import fcntl
import glob
import json
import os
import select
import signal
import subprocess
import time

PR_SET_CHILD_SUBREAPER = 36


def end_children():
    """Kills what has become this process's, and waits until nothing is left."""
    while True:
        for name in glob.glob("/proc/self/task/*/children"):
            with open(name, encoding="ascii") as f:
                for pid in f.read().split():
                    os.kill(int(pid), signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


class Browser:
    def __init__(self, test, program, folder):
        to_r, self.to = os.pipe()
        self.heard, from_w = os.pipe()
        # out of the way of 3 and 4, where Chromium looks for them
        ends = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100) for fd in (to_r, from_w)]

        def child():
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        # its helpers, when it is gone, are ours to wait for
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        # its own sandbox would need what a test machine need not have; the page is ours
        self.process = subprocess.Popen(
            [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
             "--disable-background-networking", "--remote-debugging-pipe",
             "--user-data-dir=" + folder, "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=dict(os.environ, HOME=folder), close_fds=False, preexec_fn=child)
        for fd in (to_r, from_w, *ends):
            os.close(fd)
        test.addCleanup(self.stop)
        self.events, self.rest, self.n = [], b"", 0
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = None
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Security"):
            self.call(domain + ".enable")

    def stop(self):
        self.process.kill()
        self.process.wait()
        end_children()  # they still write to the folder
        os.close(self.to)
        os.close(self.heard)

    def receive(self, deadline):
        while b"\0" not in self.rest:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.heard], [], [], left)[0]:
                raise AssertionError("the browser does not answer")
            data = os.read(self.heard, 1 << 20)
            if not data:
                raise AssertionError("the browser has ended")
            self.rest += data
        text, self.rest = self.rest.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, timeout=120, **params):
        self.n += 1
        message = {"id": self.n, "method": method, "params": params}
        if getattr(self, "session", None):
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + timeout
        while True:
            answer = self.receive(deadline)
            if answer.get("id") == self.n:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def open(self, url, width, height=900):
        """Loads a page in a window of this width, and waits until it is there."""
        self.events = []
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=False)
        self.call("Page.navigate", url=url)
        deadline = time.monotonic() + 120
        while not any(e.get("method") == "Page.loadEventFired" for e in self.events):
            self.events.append(self.receive(deadline))

    def ask(self, expression):
        """The value of a JavaScript expression, which the page's own policy does not bind."""
        r = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in r:
            raise AssertionError(r["exceptionDetails"])
        return r["result"].get("value")

    def said(self, *methods):
        return [e["params"] for e in self.events if e.get("method") in methods]
