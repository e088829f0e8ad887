#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The long form of the kill tests of the nested home, as tests/fault/run.sh is of the other:
# tests/nested/kill.sh [KILLS [NAME-PART...]]. With 20, which is the default, it takes hours. Uses
# .build/test and its worker image, or CONTRACTOR and CONTRACTOR_TEST_IMAGE.
set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
: "${CONTRACTOR:=$top/.build/test/src/cli/contractor}"
: "${CONTRACTOR_TEST_IMAGE:=$top/.build/test/image/worker.img}"
helpers=$(dirname "$CONTRACTOR")/../../tests/nested
CONTRACTOR_EVIL=$helpers/evil-manager
CONTRACTOR_KILLED=$helpers/killed-manager
CONTRACTOR_KILLS=${1:-20}
export CONTRACTOR CONTRACTOR_TEST_IMAGE CONTRACTOR_EVIL CONTRACTOR_KILLED CONTRACTOR_KILLS
[ $# = 0 ] || shift
exec "$top/tests/nested/kill.py" "$@"
