#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wrong usage: each mistake has a golden file in usage/ with the command, what it says, its status.

A message has three lines at most, and the exit status is 2 (the user's mistake) or 5 (the machine's).
UPDATE_GOLDEN=1 writes the files anew, from the commands in them.
"""

import glob
import os
import shutil
import subprocess
import sys

import case

HERE = os.path.join(case.TOP, "tests/daily/usage")
NOBODY = 65534


class Usage(case.Case):
    def setUp(self):
        super().setUp()
        case.fake_image(self.dir)
        os.mkdir(self.path("folder"))
        self.spec("true", name="good.yaml", image=False)
        self.spec("true", name="no-image.yaml", image=False, worker_image="absent.img")
        self.spec("true", name="no-manifest.yaml", image=False, worker_image="plain.img")
        self.spec("true", name="broken-manifest.yaml", image=False, worker_image="broken.img")
        self.spec("true", name="short-image.yaml", image=False, worker_image="short.img")
        self.spec("true", name="image-folder.yaml", image=False, worker_image="folder")
        self.spec("true", name="no-source.yaml", image=False, source="absent")
        self.spec("true", name="file-source.yaml", image=False, source="file")
        self.spec("true", name="file-workspace.yaml", image=False, workspace="file")
        self.spec("true", name="deep-workspace.yaml", image=False, workspace="file/ws")
        self.spec("true", name="other-arch.yaml", image=False, arch="aarch64")
        self.write("file", "")
        self.write("empty.yaml", "")
        self.write("misspelt.yaml", "worker-imag: a\nsource: .\nworkspace: ws\nbuild: make\n")
        self.write("tabs.yaml", "worker-image: a\n\tsource: .\n")
        self.write("plain.img", "not an image")
        self.write("broken.img", "x" * 100)
        self.write("broken.img.json", "{")
        shutil.copy(self.path("worker.img.json"), self.path("short.img.json"))
        self.write("short.img", "short")
        self.write("secret.yaml", "x", 0o000)
        with open(self.path("binary.yaml"), "wb") as f:
            f.write(bytes(range(256)))
        os.mkdir(self.path("bin"))
        os.symlink(os.path.abspath(case.PROGRAM), self.path("bin/contractor"))
        self.env.update(PATH=self.path("bin") + ":/usr/bin:/bin:/usr/sbin:/sbin")
        for name in ("CONTRACTOR_CACHE_DIR", "TMPDIR"):
            self.env.pop(name, None)
        self.options = {"cwd": self.dir, "env": self.env, "text": True, "timeout": 120,
                        "stdin": subprocess.DEVNULL, "capture_output": True,
                        "errors": "backslashreplace"}
        if os.geteuid() == 0:
            self.options.update(user=NOBODY, group=NOBODY, extra_groups=[])
            for where, dirs, files in os.walk(self.dir):
                for name in [where] + [os.path.join(where, n) for n in files]:
                    os.chown(name, NOBODY, NOBODY, follow_symlinks=False)

    def run_one(self, command):
        p = subprocess.run(["sh", "-c", command], **self.options)
        said = [l for l in p.stderr.replace(self.dir, "DIR").splitlines()
                if not l.startswith("contractor: isolation: ")]
        self.assertEqual(p.stdout, "", command)
        self.assertIn(p.returncode, (2, 5), f"{command}\n{p.stderr}")
        self.assertIn(len(said), (1, 2, 3), f"{command}\n{p.stderr}")
        for line in said:
            self.assertLessEqual(len(line), 300, command)
        return "\n".join([f"$ {command}", *said, f"= {p.returncode}", ""])

    def test_all(self):
        names = sorted(glob.glob(HERE + "/*.txt"))
        self.assertGreaterEqual(len(names), 40)
        wrong = []
        for name in names:
            with open(name, encoding="utf-8") as f:
                want = f.read()
            got = self.run_one(want.splitlines()[0].removeprefix("$ "))
            if os.environ.get("UPDATE_GOLDEN"):
                with open(name, "w", encoding="utf-8") as f:
                    f.write(got)
            elif got != want:
                wrong.append(f"{os.path.basename(name)}:\n{want}--- is now\n{got}")
        self.assertEqual(wrong, [], "\n".join(wrong))

    def test_help_of_a_verb(self):
        for words in ("build", "image build", "image"):
            said = [subprocess.run(["sh", "-c", f"contractor {c}"], **self.options)
                    for c in (f"help {words}", f"{words} --help")]
            self.assertEqual([p.returncode for p in said], [0, 0], said)
            self.assertEqual(said[0].stdout, said[1].stdout)
            self.assertIn(f"Usage: contractor {words} ", said[0].stdout)
        self.run_one("contractor help frobnicate")

    def test_no_subordinate_ids(self):
        """An image build by a user without a line in /etc/subuid."""
        self.write("none", "")
        said = self.run_one("unshare --user --map-current-user --keep-caps --mount sh -c 'mount --bind "
                            "none /etc/subuid && mount --bind none /etc/subgid && exec contractor "
                            "image build -q -o folder/x.img'")
        self.assertTrue(said.endswith("= 5\n"), said)
        self.assertIn("/etc/subuid", said)

    def test_no_kvm_is_no_mistake(self):
        """Without permission for /dev/kvm a build emulates, and one line says why."""
        p = subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
                            "mount --bind file /dev/kvm 2>/dev/null; exec contractor build "
                            "--isolation single --boot-deadline 1s good.yaml"], **self.options)
        self.assertEqual(p.returncode, 5, p)
        self.assertRegex(p.stderr, r"contractor: worker: microvm, tcg: .*/dev/kvm")


if __name__ == "__main__":
    sys.exit(case.main(__name__))
