# SPDX-License-Identifier: GPL-3.0-or-later
"""An Ansible callback: leaves the task that failed last, for the driver, which tells the host."""

import os

from ansible.plugins.callback import CallbackBase

# What a task says when it did not get what it wanted to fetch: apt, get_url and uri, git, pip.
FETCH = ("Failed to fetch", "Failed to update apt cache", "Temporary failure resolving",
         "Could not resolve", "Could not connect", "Unable to connect to", "Connection timed out",
         "Connection failed", "Connection failure", "Connection reset", "Connection refused",
         "Network is unreachable", "Request failed", "urlopen error", "Name or service not known",
         "Failed to establish a new connection", "HTTP Error 5")


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "contractor"

    def v2_runner_on_failed(self, result, ignore_errors=False):
        if ignore_errors:
            return
        said = result._result
        text = " ".join(str(said.get(k, "")) for k in ("msg", "stderr", "stdout"))
        word = "fetch" if any(f in text for f in FETCH) else "task"
        first = (str(said.get("msg", "")).strip() or "no message").splitlines()[0]
        name = " ".join(result._task.get_name().split())
        with open(os.environ["CONTRACTOR_FAILED"], "w", encoding="utf-8") as f:
            f.write(f"{word}\n{name}: {first}\n")

    v2_runner_on_unreachable = v2_runner_on_failed
