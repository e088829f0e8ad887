#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration files: spec over user over machine, origins, mistakes, and what a build makes of it."""

import json
import os
import sys

import case


class Config(case.Case):
    def setUp(self):
        super().setUp()
        self.env["CONTRACTOR_SYSTEM_CONFIG"] = self.path("machine.yaml")

    def show(self, *args):
        r = self.contractor("config", "show", "--json", *args)
        self.assertEqual(r.exit, 0, r)
        return {k: (v["value"], v["origin"]) for k, v in json.loads(r.out).items()}

    def layers(self):
        self.write("machine.yaml", "# for all\nisolation: single\njobs-limit: 7\n"
                   "limits:\n  memory: 1GiB\n  time: 5min\n  log: 1MiB\n")
        self.write("home/.config/contractor/config.yaml",
                   f"cache-dir: {self.path('cache')}\nlimits: {{memory: 512MiB, time: 6min}}\n")
        self.spec("true", image=False, limits={"memory": "300MiB"})

    def test_origins(self):
        values = self.show()
        self.assertEqual({v[1] for v in values.values()}, {"default"})
        self.assertEqual(values["isolation"][0], "auto")
        self.layers()
        user = self.path("home/.config/contractor/config.yaml")
        machine = self.path("machine.yaml")
        values = self.show()
        self.assertEqual(values["isolation"], ("single", machine + ":2"))
        self.assertEqual(values["jobs-limit"], ("7", machine + ":3"))
        self.assertEqual(values["cache-dir"], (self.path("cache"), user + ":1"))
        self.assertEqual(values["limits.memory"], ("512MiB", user + ":2"))
        self.assertEqual(values["limits.log"], ("1MiB", machine + ":7"))
        self.assertEqual(values["limits.disk"], ("10 GiB", "default"))
        values = self.show("spec.yaml")
        self.assertRegex(values["limits.memory"][1], r"^spec\.yaml:\d+$")
        self.assertEqual(values["limits.memory"][0], "300MiB")
        self.assertEqual(values["limits.time"], ("6min", user + ":2"))
        text = self.contractor("config", "show").out
        self.assertRegex(text, rf"(?m)^limits\.memory +512MiB +{user}:2$")

    def test_build(self):
        """The report of a build says what it was granted; options stand over all."""
        self.layers()
        case.fake_image(self.dir)
        r = self.contractor("build", "--boot-deadline", "1s", "--limit", "log=2MiB", "spec.yaml")
        self.assertEqual(r.exit, 5, r)
        limits = self.report()["limits"]
        self.assertEqual({k: limits[k]["granted"] for k in ("memory", "time-ms", "log")},
                         {"memory": 300 << 20, "time-ms": 360000, "log": 2 << 20})
        self.assertEqual(self.report()["isolation"], "single")
        self.assertTrue(os.path.isdir(self.path("cache")))

    def test_mistakes(self):
        name = self.path("machine.yaml")
        for text, want in (
                ("isolaton: single", ":1:1: unknown key isolaton; did you mean isolation?"),
                ("isolation: double", ":1:12: isolation must be auto, nested or single"),
                ("cache-dir: here", ":1:12: cache-dir must be an absolute path"),
                ("jobs-limit: 0", ":1:13: jobs-limit must be a number from 1 on"),
                ("limits: {memry: 1G}", ":1:10: unknown key memry; did you mean memory?"),
                ("limits: {memory: much}", ":1:18: "),
                ("limits: [1]", ":1:9: limits must be a mapping"),
                ("- a", ":1:1: a configuration is a mapping"),
                ("a: [", ":2:1: ")):
            self.write("machine.yaml", text + "\n")
            self.spec("true", image=False)
            for args in (("config", "show"), ("build", "spec.yaml")):
                r = self.contractor(*args)
                self.assertEqual(r.exit, 2, f"{text}: {r}")
                self.assertTrue(r.err.startswith(f"contractor: {name}{want}"), f"{text}: {r}")
        for text in ("", "# nothing\n", "\n \n", "limits:\n", "{}\n"):
            self.write("machine.yaml", text)
            self.show()


if __name__ == "__main__":
    sys.exit(case.main(__name__))
