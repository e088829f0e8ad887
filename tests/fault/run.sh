#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The long form of the kill tests: each of CLI, manager and QEMU killed 20 times (or KILLS) in each
# phase, and at each step of making and using layers and templates, which are restored 200 times in
# a row (or RESTORES): tests/fault/run.sh [KILLS [RESTORES]]. Uses .build/test and its worker image, or CONTRACTOR and
# CONTRACTOR_TEST_IMAGE.
set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
: "${CONTRACTOR:=$top/.build/test/src/cli/contractor}"
: "${CONTRACTOR_TEST_IMAGE:=$top/.build/test/image/worker.img}"
CONTRACTOR_KILLS=${1:-20}
export CONTRACTOR CONTRACTOR_TEST_IMAGE CONTRACTOR_KILLS
CONTRACTOR_RESTORES=${2:-200}
export CONTRACTOR_RESTORES
status=0
"$top/tests/fault/kill.py" || status=1
"$top/tests/fault/cached.py" || status=1
exit "$status"
