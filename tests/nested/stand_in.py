# SPDX-License-Identifier: GPL-3.0-or-later
"""A contractor whose manager VM has another program in it than the real manager."""

import os
import shutil

import manager


def install(variable):
    """The program, with the one that the variable names as its manager, as in a build tree."""
    top = os.path.join(manager.Manager.cache, variable.lower())
    program = os.path.join(top, "src/cli/contractor")
    if os.path.exists(program):
        return program
    real = os.path.realpath(shutil.which(manager.case.PROGRAM))
    for source, name in ((real, "src/cli/contractor"),
                         (os.environ[variable], "src/manager/contractor-manager")):
        os.makedirs(os.path.join(top, os.path.dirname(name)), exist_ok=True)
        shutil.copy(source, os.path.join(top, name))
    os.symlink(os.path.join(os.path.dirname(real), "../../firmware"), os.path.join(top, "firmware"))
    return program
