#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A package of the distribution's, installed by a build with one rule for the repository."""

import json
import sys
import urllib.parse

import case


class Apt(case.Case):
    def test_install(self):
        """The repository that the image was made from; it may be a mirror on a private network."""
        self.image()
        with open(self.path("worker.img.json"), encoding="utf-8") as f:
            host = urllib.parse.urlsplit(json.load(f)["repositories"][0]).hostname
        self.spec(f"""
                  sed -i '/{host}/!d' /etc/apt/sources.list
                  apt-get update
                  apt-get install -y hello
                  hello
                  """, limits={"time": "10min"},
                  network={"allow": [{"host": host, "protocol": "http", "private": True}]})
        self.build()
        self.assertIn("\nHello, world!\n", self.log())
        report = self.report()
        self.assertEqual(report["denied"], [])
        self.assertEqual(report["verdict"], "built")


if __name__ == "__main__":
    sys.exit(case.main(__name__))
