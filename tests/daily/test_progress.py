#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Progress: the live line of a terminal, and --json's events against their schema."""

import json
import os
import pty
import re
import sys
import threading

import jsonschema

import case

SCHEMA = os.path.join(case.TOP, "src/cli/events.schema.json")


class Progress(case.Case):
    def events(self, text):
        with open(SCHEMA, encoding="utf-8") as f:
            validator = jsonschema.Draft7Validator(json.load(f))
        events = []
        for line in text.splitlines():
            event = json.loads(line)
            validator.validate(event)
            events.append(event)
        return events

    def test_json(self):
        with open(self.path("code/big"), "wb") as f:
            f.write(os.urandom(30 << 20))
        self.spec("printf 'one\\ntwo \\033[31m \\377\\n'\necho end >&2\ncp big ../big\nsleep 2\nexit 7")
        r = self.contractor("build", "--json", "--cold", "-v", "spec.yaml")
        self.assertEqual(r.exit, 1, r)
        self.assertRegex(r.err, r"^contractor: failed: [^\n]*\n$")
        events = self.events(r.out)
        kinds = [e["event"] for e in events]
        self.assertEqual((kinds[0], kinds[-1]), ("start", "end"))
        self.assertEqual((kinds.count("start"), kinds.count("end"), kinds.count("worker")), (1, 1, 1))
        self.assertEqual([e["name"] for e in events if e["event"] == "phase"],
                         ["start", "boot", "ready", "copy-in", "build", "copy-out", "save"])
        output = "".join(e["text"] for e in events if e["event"] == "output")
        self.assertEqual(output, "one\ntwo \\x1b[31m \\xff\nend\n")
        copied = {e["phase"]: e["bytes"] for e in events if e["event"] == "progress"}
        self.assertGreaterEqual(copied["copy-in"], 30 << 20, copied)
        self.assertGreaterEqual(copied["save"], 60 << 20, copied)
        self.assertIn("sample", kinds)
        end = events[-1]
        self.assertEqual((end["verdict"], end["exit-status"], end["build-exit-code"]), ("failed", 1, 7))
        self.assertEqual(end["report"], events[0]["report"])
        self.assertTrue(os.path.exists(end["report"]))

    def test_json_of_a_mistake(self):
        self.write("spec.yaml", "a: 1\n")
        r = self.contractor("build", "--json", "spec.yaml")
        self.assertEqual(r.exit, 2, r)
        events = self.events(r.out)
        self.assertEqual([e["event"] for e in events], ["error", "end"])
        self.assertEqual(events[1]["verdict"], "usage")

    def test_terminal(self):
        """stderr is a terminal: a line is redrawn there; stdout is not, and gets --raw-log's bytes."""
        self.spec("printf 'red \\033[31m\\n'\nsleep 1")
        ours, theirs = pty.openpty()
        seen = bytearray()

        def read():
            while True:
                try:
                    data = os.read(ours, 65536)
                except OSError:
                    return
                if not data:
                    return
                seen.extend(data)

        self.env.update(TERM="xterm", NO_COLOR="1")
        p = self.start("build", "--raw-log", "spec.yaml", stderr=theirs)
        os.close(theirs)
        reader = threading.Thread(target=read)
        reader.start()
        out, _ = p.communicate(timeout=case.TIMEOUT)
        reader.join(30)
        os.close(ours)
        text = seen.decode("utf-8", "replace")
        self.assertEqual(p.returncode, 0, text)
        self.assertEqual(out, "red \x1b[31m\n")
        self.assertRegex(text, r"\r\x1b\[Kcontractor: (boot|start) ")
        self.assertIsNone(re.search(r"\x1b\[[0-9;]*m", text), "colour, though NO_COLOR is set")
        # the last thing on the screen is the summary, not a status line
        self.assertRegex(text.splitlines()[-1], r"contractor: report: ")


if __name__ == "__main__":
    sys.exit(case.main(__name__))
