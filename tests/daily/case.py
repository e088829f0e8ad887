# SPDX-License-Identifier: GPL-3.0-or-later
"""The end-to-end tests' Case under this folder's roof, and what its tests share."""

import importlib.util
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
