# SPDX-License-Identifier: GPL-3.0-or-later
"""The end-to-end tests' Case under this folder's roof, and what its tests share."""

import importlib.util
import json
import os
import sys

TOP = os.environ.get("CONTRACTOR_TOP") or os.path.abspath(
    os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))


def load():
    path = os.path.join(TOP, "tests/e2e/case.py")
    spec = importlib.util.spec_from_file_location("e2e_case", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["e2e_case"] = module
    spec.loader.exec_module(module)
    return module


_e2e = load()
PROGRAM, IMAGE, TIMEOUT = _e2e.PROGRAM, _e2e.IMAGE, _e2e.TIMEOUT
Case, Result, main = _e2e.Case, _e2e.Result, _e2e.main


def fake_image(folder, name="worker.img"):
    """A worker image as far as anything looks at it before it boots; it does not boot."""
    with open(os.path.join(folder, name), "wb") as f:
        f.truncate(1 << 20)
    part = {"offset": 0, "size": 4096}
    manifest = {
        "format": 1, "arch": "x86_64", "suite": "bookworm", "cmdline": "quiet",
        "sha256": "0" * 64, "size": 1 << 20, "root": dict(part, fs="ext4"), "kernel": part,
        "initrd": part, "packages": ["make"], "repositories": [],
    }
    with open(os.path.join(folder, name + ".json"), "w", encoding="utf-8") as f:
        json.dump(manifest, f)


HOSTILE = ("</pre></table><script>alert(1)</script><img src=x onerror=alert(2)>"
           "&lt;b&gt; \" onload='x' \x1b[31m\x00\u202e<!-- ]]> %s %n")


def sample_report(build_id, hostile=False):
    """A report.json like the program's; with hostile text wherever a worker can bring some in."""
    text = HOSTILE if hostile else "text"
    return {
        "format": 1, "id": build_id, "verdict": "denied" if hostile else "built",
        "exit-status": 4 if hostile else 0, "build-exit-code": 0, "reason": text,
        "isolation": "single", "machine": "microvm", "accelerator": "tcg",
        "phases": [{"name": "boot", "start-ms": 0, "ms": 1500},
                   {"name": text, "start-ms": 1500, "ms": 2500}],
        "limits": {"cpus": 2, "cpu-time-ms": {"granted": 60000, "peak": 30000, "share": 0.5},
                   "memory": {"granted": 1 << 31, "peak": 1 << 30, "share": 0.5},
                   "disk": {"granted": 10 << 30, "peak": 5 << 20, "share": 0},
                   "bandwidth": {"granted": 1 << 22, "peak": 7 << 19, "share": 0.875},
                   "log": {"granted": 1000, "peak": 20, "share": 0.02}},
        "denied": [{"protocol": "tcp", "host": text, "port": 80, "count": 3, "phase": "build",
                    "reason": text, "allow": "- {host: %s, port: 80, protocol: tcp}" % text}]
                  if hostile else [],
        "outside-links": [], "paths": {"spec": text, "log": "/nowhere/log"},
        "versions": {"contractor": "0.1.0", "image-suite": text},
        "samples": [{"at-ms": i * 1000, "cpu-ms": i * 900, "memory": (1 << 27) * i, "disk": i << 20,
                     "read": i << 22, "written": i << 21, "log": i, "up": i, "down": i << 19} for i in range(8)],
    }
