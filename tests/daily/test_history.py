#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""log, status, report and gc over folders of past and running builds that the test makes."""

import fcntl
import html.parser
import json
import os
import signal
import subprocess
import sys
import time

import case

OLD, NEW = "20250101-120000-00aa11", "20260101-120000-00bb22"
VOID = {"meta", "br", "line", "polyline"}


class Page(html.parser.HTMLParser):
    """The elements and texts of a page; an element that is closed by none is an error."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.names, self.attributes, self.text, self.errors = [], set(), set(), "", []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.attributes.update(n for n, _ in attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.names.add(tag)
        self.attributes.update(n for n, _ in attrs)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.errors.append(tag)

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data

    def handle_comment(self, data):
        self.errors.append(data)


class History(case.Case):
    def folder(self, build_id, report=True, log="a line\n", hostile=False, age=0):
        path = self.path("home/.local/state/contractor/builds", build_id)
        os.makedirs(path)
        with open(os.path.join(path, "log"), "w", encoding="utf-8") as f:
            f.write(log)
        with open(os.path.join(path, "state"), "w", encoding="utf-8") as f:
            f.write('{"spec":"/somewhere/hello.yaml","began":1767265200}\n'
                    '{"phase":"build","at":1767265203}\n')
        if report:
            with open(os.path.join(path, "report.json"), "w", encoding="utf-8") as f:
                json.dump(case.sample_report(build_id, hostile), f)
        os.utime(path, (time.time() - age, time.time() - age))
        return path

    def lock(self, path):
        """Holds the lock by which a build shows that it lives, in a process of its own."""
        holder = subprocess.Popen(["flock", path + "/log", "sh", "-c", "echo locked; exec sleep 600"],
                                  stdout=subprocess.PIPE, process_group=0)
        self.addCleanup(holder.stdout.close)
        self.addCleanup(holder.wait)
        self.addCleanup(lambda: holder.poll() is None and os.killpg(holder.pid, signal.SIGKILL))
        self.assertEqual(holder.stdout.readline(), b"locked\n")
        return holder

    def run_ok(self, *args, expect=0):
        r = self.contractor(*args)
        self.assertEqual(r.exit, expect, r)
        return r.out if expect == 0 else r.err

    def test_nothing_yet(self):
        self.assertEqual(self.run_ok("status"), "")
        self.assertEqual(json.loads(self.run_ok("status", "--json")), [])
        self.assertEqual(self.run_ok("log", expect=2), "contractor: there are no builds yet\n")
        self.assertEqual(self.run_ok("gc"), "")

    def test_log(self):
        self.folder(OLD, log="old\n")
        self.folder(NEW, log="red \x1b[31m\nnew\n")
        self.assertEqual(self.run_ok("log"), "red \\x1b[31m\nnew\n")
        self.assertEqual(self.run_ok("log", "--raw-log", "last"), "red \x1b[31m\nnew\n")
        self.assertEqual(self.run_ok("log", OLD), "old\n")
        self.assertEqual(self.run_ok("log", "2025"), "old\n")
        self.assertEqual(self.run_ok("log", "-f", "2025"), "old\n")
        self.assertIn("2 builds begin like this", self.run_ok("log", "202", expect=2))
        self.assertIn("no such build", self.run_ok("log", "../../../etc", expect=2))

    def test_follow(self):
        path = self.folder(NEW, report=False, log="one\n")
        holder = self.lock(path)
        p = self.start("log", "--follow", stdout=open(self.path("out"), "w"))
        self.wait_for("the first line", lambda: self.read("out") == "one\n")
        with open(path + "/log", "a", encoding="utf-8") as f:
            f.write("two\n")
        self.wait_for("the second line", lambda: self.read("out") == "one\ntwo\n")
        self.assertIsNone(p.poll())
        os.killpg(holder.pid, signal.SIGKILL)
        self.assertEqual(p.wait(timeout=60), 0)

    def test_status(self):
        self.folder(OLD)
        killed = self.folder("20250601-000000-0000cc", report=False)
        path = self.folder(NEW, report=False)
        self.lock(path)
        lines = self.run_ok("status").splitlines()
        self.assertRegex(lines[0], rf"^{NEW}  running     build for .*  /somewhere/hello\.yaml$")
        self.assertRegex(lines[1], r"^20250601-000000-0000cc  killed      without a report, in phase build")
        self.assertRegex(lines[2], rf"^{OLD}  built       text  /somewhere/hello\.yaml$")
        states = {b["id"]: b for b in json.loads(self.run_ok("status", "--json"))}
        self.assertEqual(states[NEW]["state"], "running")
        self.assertEqual(states[OLD]["state"], "built")
        self.assertEqual(states[os.path.basename(killed)]["folder"], killed)
        for n in range(20):
            self.folder(f"20240101-1200{n:02}-00aa11")
        self.assertEqual(len(self.run_ok("status").splitlines()), 11)
        self.assertEqual(len(self.run_ok("status", "--all").splitlines()), 23)

    def test_report(self):
        self.folder(NEW)
        text = self.run_ok("report")
        self.assertIn(f"build: {NEW}\nverdict: built\n", text)
        self.assertIn("  memory   [##########..........]  50 %  1 GiB of 2 GiB", text)
        self.assertEqual(json.loads(self.run_ok("report", "--json")), case.sample_report(NEW))
        page = Page(self.run_ok("report", "--html", "-"))
        self.assertEqual((page.open, page.errors), ([], []))
        for word in ("built", NEW, "boot", "1.5", "Processor time", "Memory", "Disk in use", "Network",
                     "limit 2 GiB", "a line"):
            self.assertIn(word, page.text)
        self.run_ok("report", "--html", "page.html")
        self.assertEqual(self.read("page.html"), self.run_ok("report", "--html", "-"))

    def test_hostile_report(self):
        self.folder(NEW, hostile=True, log=case.HOSTILE + "\n")
        source = self.run_ok("report", "--html", "-")
        page = Page(source)
        self.assertEqual((page.open, page.errors), ([], []))
        self.assertEqual(page.names & {"script", "img", "b", "iframe", "link", "a", "object"}, {"b"})
        self.assertEqual(page.attributes & {"src", "href", "onerror", "onload", "action"}, set())
        self.assertNotIn("<script", source)
        self.assertNotRegex(source, r"https?:")
        self.assertIn("default-src 'none'", source)
        shown = case.HOSTILE.replace("\x1b", "\\x1b").replace("\0", "\\x00").replace(
            "\u202e", "\\xe2\\x80\\xae")
        self.assertEqual(page.text.count("<script>alert(1)</script>"), source.count("alert(1)"))
        self.assertIn(shown + "\n", page.text)
        self.assertIn("to allow it", page.text)
        for out in (self.run_ok("report"), source, self.run_ok("status"), self.run_ok("log")):
            self.assertNotIn("\x1b", out)
            self.assertNotIn("\u202e", out)

    def test_report_of_nonsense(self):
        """Any JSON may stand where the report was: the page is still whole."""
        path = self.folder(NEW)
        for text in ("{}", "[]", '"x"', '{"samples":[1,2,{"at-ms":"x"}],"phases":{"a":1},"limits":[3]}',
                     '{"samples":[{"at-ms":9007199254740991,"cpu-ms":1,"memory":9007199254740991},'
                     '{"at-ms":5},{"at-ms":1e300,"cpu-ms":-1}],"limits":{"memory":{"granted":0}}}'):
            with open(path + "/report.json", "w", encoding="utf-8") as f:
                f.write(text)
            page = Page(self.run_ok("report", "--html", "-"))
            self.assertEqual((page.open, page.errors), ([], []), text)
            self.run_ok("report")
            self.run_ok("status")

    def test_no_report(self):
        path = self.folder(NEW, report=False)
        self.assertIn("was killed and has no report", self.run_ok("report", expect=2))
        self.lock(path)
        self.assertIn("still runs", self.run_ok("report", expect=2))

    def test_gc(self):
        day = 24 * 3600
        for n in range(5):
            self.folder(f"20240101-12000{n}-00aa11", age=40 * day)
        running = self.folder("20240101-120005-00aa11", report=False, age=40 * day)
        self.lock(running)
        self.folder(OLD, age=20 * day)
        self.folder(NEW)
        self.assertEqual(self.run_ok("gc"), "", "ten are always kept")
        would = self.run_ok("gc", "--dry-run", "--keep", "1")
        self.assertEqual(would.count("would remove"), 5)
        self.assertEqual(len(self.builds()), 8)
        self.assertEqual(self.run_ok("gc", "--keep", "1"), would.replace("would remove", "removed"))
        self.assertEqual(sorted(os.path.basename(b) for b in self.builds()),
                         ["20240101-120005-00aa11", OLD, NEW])
        self.run_ok("gc", "--keep", "1", "--older-than", "10d")
        self.assertEqual(len(self.builds()), 2)
        self.run_ok("gc", "--keep", "0", "--older-than", "0s")
        self.assertEqual([os.path.basename(b) for b in self.builds()], ["20240101-120005-00aa11"])


class Queue(case.Case):
    """Builds of an image that does not boot: they come as far as the queue, and fail soon behind it."""

    def setUp(self):
        super().setUp()
        case.fake_image(self.dir)
        for n in range(10):
            self.spec("true", name=f"{n}.yaml", image=False, workspace=f"ws{n}")

    def hold(self, number):
        """A place in the queue, held by a process that is killed in the end."""
        folder = self.path("home/.local/state/contractor/jobs")
        os.makedirs(folder, exist_ok=True)
        f = open(os.path.join(folder, str(number)), "w", encoding="ascii")
        f.write("20260101-120000-00bb22")
        f.flush()
        fcntl.flock(f, fcntl.LOCK_EX)
        self.addCleanup(f.close)
        return f

    def queue(self):
        return {b["spec"][0]: b["place"]
                for b in json.loads(self.contractor("status", "--json").out) if "place" in b}

    def build_in_background(self, n, *options):
        return self.start("build", "--boot-deadline", "2s", "--isolation", "single", *options, f"{n}.yaml")

    def test_queue_and_killed_holders(self):
        first = self.hold(7)
        a = self.build_in_background("1", "--jobs-limit", "1", "--json")
        self.wait_for("the first to queue", lambda: self.queue() == {"1": 2})
        b = self.build_in_background("2", "--jobs-limit", "1")
        self.wait_for("the second to queue", lambda: self.queue() == {"1": 2, "2": 3})
        c = self.build_in_background("3", "--jobs-limit", "1")
        self.wait_for("the third to queue", lambda: len(self.queue()) == 3)
        r = self.contractor("status")
        self.assertRegex(r.out, r"queued +number 2 of the queue, for .*1\.yaml")
        b.kill()
        b.wait()
        self.wait_for("the killed one to go", lambda: self.queue() == {"1": 2, "3": 3})
        c.send_signal(signal.SIGINT)
        r = self.finish(c)
        self.assertEqual(r.exit, 130, r)
        self.assertIn("interrupted by SIGINT in the queue", r.err)
        first.close()  # as when its holder is killed: the file stays, the lock is gone
        r = self.finish(a)
        self.assertEqual(r.exit, 5, r)
        events = [json.loads(l) for l in r.out.splitlines()]
        self.assertIn({"event": "queued", "place": 1, "running": 1}, events)
        self.assertEqual(os.listdir(self.path("home/.local/state/contractor/jobs")), ["lock"])

    def test_ten_at_once(self):
        """Never more than two beyond the queue, and all come through."""
        builds = [self.build_in_background(n, "--jobs-limit", "2") for n in range(10)]
        most = 0
        while any(p.poll() is None for p in builds):
            builds_now = json.loads(self.contractor("status", "--all", "--json").out)
            most = max(most, sum(b["state"] == "running" and "phase" in b for b in builds_now))
        for p in builds:
            self.assertEqual(self.finish(p).exit, 5)
        # the list is not of one moment: some end while it is read, and others begin
        self.assertLessEqual(most, 4)
        self.assertEqual(len(self.builds()), 10)


if __name__ == "__main__":
    sys.exit(case.main(__name__))
