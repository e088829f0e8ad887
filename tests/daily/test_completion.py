#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The completions of bash, zsh and fish have each verb and option that --help tells of, and no other.

The manual is held against --help by tests/lint/man.py, so that the three cannot differ.
"""

import os
import re
import shutil
import subprocess
import sys

import case


class Completion(case.Case):
    def help_of(self, *words):
        r = self.contractor(*words, "--help")
        self.assertEqual(r.exit, 0, r)
        return r.out

    def walk(self, *words):
        text = self.help_of(*words)
        if re.match(r"Usage: contractor[a-z ]* VERB ", text):
            for verb in re.findall(r"^  ([a-z]+) ", text, re.MULTILINE):
                yield from self.walk(*words, verb)
        else:
            yield words, set(re.findall(r"^ .{5} ?(--[a-z][a-z0-9-]+)", text, re.MULTILINE))

    def script(self, shell):
        r = self.contractor("completion", shell)
        self.assertEqual(r.exit, 0, r)
        self.write("script", r.out)
        return r.out

    def run_shell(self, *args):
        if not shutil.which(args[0]):
            self.skipTest(f"{args[0]} is not installed")
        env = dict(self.env, PATH=os.path.dirname(os.path.abspath(case.PROGRAM)) + ":" + self.env["PATH"])
        p = subprocess.run(args, cwd=self.dir, env=env, text=True, capture_output=True, timeout=60)
        self.assertEqual((p.returncode, p.stderr), (0, ""), p)
        return p.stdout

    def test_bash(self):
        self.script("bash")
        asked = list(self.walk())
        self.assertGreater(len(asked), 10)
        lines = [". ./script", 'ask() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _contractor; '
                 'echo "${COMPREPLY[*]}"; }']
        lines += [f"ask contractor {' '.join(words)} --" for words, _ in asked]
        lines += ['ask contractor ""', 'ask contractor build --isolation n', "ask contractor build sp",
                  'ask contractor manager ""', "ask contractor build --cache-dir co"]
        self.write("spec.yaml", "")
        answers = self.run_shell("bash", "--norc", "-c", "\n".join(lines)).splitlines()
        for (words, options), answer in zip(asked, answers):
            self.assertEqual(set(answer.split()), options, words)
        self.assertEqual(set(answers[-5].split()) - {"--help", "--version"}, {w[0] for w, _ in asked})
        self.assertEqual(answers[-4:-2], ["nested", "spec.yaml"])
        self.assertEqual(set(answers[-2].split()), {w[1] for w, _ in asked if w[0] == "manager"})
        self.assertEqual(answers[-1], "code")

    def test_fish(self):
        self.script("fish")
        asked = list(self.walk())
        lines = ["source script"] + [f"echo (complete -C 'contractor {' '.join(w)} --')" for w, _ in asked]
        lines += ["echo (complete -C 'contractor build --isolation ' | cut -f1)"]
        answers = self.run_shell("fish", "--no-config", "-c", "\n".join(lines)).splitlines()
        for (words, options), answer in zip(asked, answers):
            self.assertEqual(set(re.findall(r"(--[a-z][a-z-]+)\t", answer)) |
                             ({"--help"} if "--help" in answer else set()), options, words)
        self.assertEqual(answers[-1].split(), ["auto", "nested", "single"])

    def test_zsh(self):
        """zsh has no way to ask but a terminal: the script is parsed, and its text looked at."""
        text = self.script("zsh")
        self.run_shell("zsh", "-f", "-n", "script")
        for words, options in self.walk():
            part = text.split(f"\t'{' '.join(words)}')\n", 1)
            self.assertEqual(len(part), 2, words)
            part = part[1].split(";;\n", 1)[0]
            found = set(re.findall(r"(--[a-z][a-z-]+)=?(?=[\[}])", part))
            self.assertEqual(found, options, words)

    def test_installed(self):
        p = subprocess.run(["meson", "install", "-C", os.environ["CONTRACTOR_BUILD"], "--no-rebuild",
                            "--quiet", "--destdir", self.path("root")], text=True,
                           capture_output=True, timeout=200)
        self.assertEqual(p.returncode, 0, p)
        found = {f: os.path.join(d, f) for d, _, files in os.walk(self.path("root")) for f in files}
        for shell, name in (("zsh", "_contractor"), ("fish", "contractor.fish")):
            with open(found[name], encoding="utf-8") as f:
                self.assertEqual(f.read(), self.script(shell))
        for name in ("contractor.1", "contractor-spec.5", "contractor-manager", "events.schema.json"):
            self.assertIn(name, found)
        for verb in {words[0] for words, _ in self.walk()}:
            with open(found[f"contractor-{verb}.1"], encoding="ascii") as f:
                self.assertEqual(f.read(), ".so man1/contractor.1\n")


if __name__ == "__main__":
    sys.exit(case.main(__name__))
