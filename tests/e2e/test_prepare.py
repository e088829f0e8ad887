#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays: run by the real Ansible in a worker of its own, which installs from a real repository."""

import os
import sys

import case

ROLE = """
- name: a file of the role
  copy: {src: tool, dest: /usr/local/bin/tool, mode: "0755"}
- name: what the play sees
  shell: "ls /workspace/src; ls /sys/class/net; whoami"
  register: seen
- debug: {var: seen.stdout_lines}
"""


class Prepare(case.Case):
    def fails(self, play, expect, **more):
        self.spec("true", ansible=[{"hosts": "worker", "gather_facts": False, "tasks": play}],
                  **more)
        r = self.build(expect=expect)
        report = self.report()
        self.assertEqual([p["name"] for p in report["phases"]],
                         ["start", "boot", "ready", "prepare"], r)
        self.assertNotIn("build-exit-code", report)
        return r, report

    def test_install(self):
        """A package, a role with a file, phases of the network, and nothing of the source."""
        self.write("plays/roles/own/tasks/main.yml", ROLE)
        self.write("plays/roles/own/files/tool", "#!/bin/sh\necho the tool of the role\n")
        self.spec("hello\ntool\nls /sys/class/net > net\ntest ! -e /workspace/src/roles\n"
                  "test ! -e /usr/local/bin/of-the-build\n"
                  "touch /usr/local/bin/of-the-build\n",
                  ansible=[{"hosts": "worker", "remote_user": "worker", "become": True,
                            "roles": ["own"], "tasks": [{"apt": {"name": "hello"}}]}],
                  ansible_files="plays")
        r = self.build()
        log, self.first = self.log(), self.report()
        self.assertRegex(log, r"changed=\d")
        self.assertIn("Hello, world!\nthe tool of the role\n", log)
        self.assertRegex(log, r"(?s)roles.*eth0.*root")
        self.assertNotIn("readme", log)  # of the source
        self.assertEqual(self.read("ws/src/net"), "lo\n")
        self.assertEqual(self.report()["prepare"]["layer"], "made")
        self.check_kept(self.report()["prepare"]["key"])
        names = [p["name"] for p in self.first["phases"]]
        self.assertEqual([n for n in ("prepare", "copy-in", "build") if n in names],
                         ["prepare", "copy-in", "build"], r)

    def check_kept(self, key):
        """The second build runs no play; a damaged layer is told, dropped and made anew."""
        r = self.build()
        report = self.report()
        self.assertEqual((report["prepare"]["layer"], report["prepare"]["key"]), ("used", key))
        self.assertNotIn("prepare", [p["name"] for p in report["phases"]])
        self.assertIn(f"layer {key[:12]} of ", r.err)
        self.assertNotIn("PLAY", self.log())
        self.assertIn("the tool of the role", self.log())
        r = self.contractor("cache", "list")
        self.assertRegex(r.out, rf"(?m)^{key[:12]} .*spec\.yaml$")
        self.assertRegex(r.out, r"(?m)^[12] kept, ")  # with the workspace's, if the image has layers
        self.assertIn(" 0 damaged", self.contractor("cache", "verify").out)
        folder = self.path("home/.cache/contractor/layers")
        self.assertEqual(os.stat(folder).st_mode & 0o777, 0o700)
        names = sorted(n for n in os.listdir(folder) if n.startswith(key))
        self.assertEqual([n for n in names if not n.endswith(".lock")], [key + ".img", key + ".json"])
        self.assertEqual(os.stat(os.path.join(folder, key + ".img")).st_mode & 0o777, 0o600)

    def test_damaged_and_refreshed(self):
        """No repository needed: plays after damage, when one is too old, asked for, or another.

        Each gives the layer another content, which the memory template of the old must not meet.
        """
        plain = {"network": {"prepare-repositories": False}, "template": True,
                 "ansible": [{"hosts": "worker", "gather_facts": False, "tasks": [
                     {"shell": "cat /proc/sys/kernel/random/uuid > /made"}]}]}
        self.spec("cat /made", prepare={"max-age": "7d"}, **plain)
        self.build()
        self.assertEqual(self.report()["template"]["what"], "made")
        first = self.log().splitlines()[-1]
        folder = self.path("home/.cache/contractor/layers")
        disk = self.report()["prepare"]["key"] + ".img"
        with open(os.path.join(folder, disk), "r+b") as f:
            f.seek(5000)
            f.write(b"x")
        r = self.build()
        self.assertIn("is damaged and was removed", r.err)
        second = self.log().splitlines()[-1]
        self.assertNotEqual(first, second)
        self.build()
        self.assertEqual(self.report()["template"]["what"], "used")
        self.assertEqual(self.log().splitlines()[-1], second)
        self.spec("cat /made", prepare={"max-age": "1s"}, **plain)
        self.build()
        third = self.log().splitlines()[-1]
        self.assertNotIn(third, (first, second))
        self.assertEqual(self.report()["template"]["what"], "made")
        self.build("--refresh", "--cold")
        self.assertNotIn(self.log().splitlines()[-1], (first, second, third))
        plain["ansible"][0]["tasks"][0]["shell"] = "echo another play > /made"
        self.spec("cat /made", **plain)
        self.build()
        self.assertEqual(self.log().splitlines()[-1], "another play")
        self.assertNotEqual(self.report()["prepare"]["key"] + ".img", disk)
        self.assertEqual(self.report()["template"]["what"], "made")
        self.assertRegex(self.contractor("cache", "clear").out, "freed")
        self.assertIn("\n0 kept", "\n" + self.contractor("cache", "list").out)

    def test_killed_and_waiting(self):
        """Two builds, one play: the second waits, and takes over when the first is killed."""
        play = [{"hosts": "worker", "gather_facts": False, "tasks": [
            {"shell": "sleep 3; echo made > /made"}]}]
        quiet = {"prepare-repositories": False}
        self.spec("cat /made", ansible=play, network=quiet)
        self.spec("cat /made", name="second.yaml", workspace="ws2", ansible=play, network=quiet)
        first = self.start("build", "spec.yaml")
        layers = self.path("home/.cache/contractor/layers")
        self.wait_for("the first build's lock", lambda: os.path.isdir(layers) and
                      [n for n in os.listdir(layers) if n.endswith(".lock")])
        second = self.start("build", "second.yaml", stderr=open(self.path("err"), "w"))
        self.wait_for("the second build", lambda: "waiting for it" in self.read("err"))
        first.kill()
        first.wait()
        self.assertFalse([n for n in os.listdir(layers) if ".img" in n or ".json" in n])
        self.finish(second)
        self.assertEqual(second.returncode, 0, self.read("err"))
        self.assertIn("is kept for later builds", self.read("err"))
        r = self.build()
        self.assertIn("no play is run", r.err)
        self.assertEqual(self.read("ws2/src/readme"), "a source\n")

    def test_failing_task(self):
        r, report = self.fails([{"name": "the first", "command": "true"},
                                {"name": "the second", "command": "false"}], 1)
        self.assertEqual(report["failed-phase"], "prepare")
        self.assertIn("the second", report["reason"])
        self.assertIn("the second", r.err)
        self.assertIn("TASK [the second]", self.log())
        self.assertFalse(os.path.exists(self.path("ws/src")))
        self.assertIn("0 kept", self.contractor("cache", "list").out)

    def test_failing_fetch(self):
        """An allowed host that is not there is the infrastructure's fault; any other is denied."""
        fetch = [{"name": "the fetch", "get_url": {"url": "http://gone.invalid/x", "dest": "/x"}}]
        rule = {"host": "gone.invalid", "protocol": "http", "phase": "prepare"}
        r, report = self.fails(fetch, 5, network={"allow": [rule]})
        self.assertIn("the fetch", report["reason"], r)
        r, report = self.fails(fetch, 4)
        self.assertEqual(report["failed-phase"], "prepare")
        self.assertEqual(report["denied"][0]["phase"], "prepare")
        self.assertEqual(report["denied"][0]["host"], "gone.invalid")

    def test_image_without_ansible(self):
        self.image(packages=["bash"])
        self.spec("true", ansible=[{"hosts": "worker", "tasks": [{"command": "true"}]}])
        r = self.build(expect=2)
        self.assertIn("--no-ansible", r.err)

    def test_packages_that_are_there(self):
        self.image(packages=["bash", "build-essential"])
        self.spec("echo built", ansible=[{"hosts": "worker", "tasks": [
            {"apt": {"name": ["build-essential", "bash"], "state": "present"}}]}])
        r = self.build()
        self.assertIn("the image has all", r.err)
        self.assertNotIn("prepare", [p["name"] for p in self.report()["phases"]])


if __name__ == "__main__":
    sys.exit(case.main(__name__))
