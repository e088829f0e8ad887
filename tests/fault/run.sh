#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The long form of the kill tests: each of CLI, manager and QEMU killed 20 times (or KILLS) in each
# phase: tests/fault/run.sh [KILLS]. Uses .build/test and its worker image, or CONTRACTOR and
# CONTRACTOR_TEST_IMAGE.
set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
: "${CONTRACTOR:=$top/.build/test/src/cli/contractor}"
: "${CONTRACTOR_TEST_IMAGE:=$top/.build/test/image/worker.img}"
CONTRACTOR_KILLS=${1:-20}
export CONTRACTOR CONTRACTOR_TEST_IMAGE CONTRACTOR_KILLS
exec "$top/tests/fault/kill.py"
