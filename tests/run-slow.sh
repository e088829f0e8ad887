#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The tests that take too long for every day (suite "slow"), prepared and counted as tests/run.sh
# does it: images of other Debian releases, whole examples, and each kill 20 times. All of them take
# hours.
#
# usage: tests/run-slow.sh [NAME...]: only those tests; a name that there is not shows all.
set -eu

CONTRACTOR_TEST_SLOW=1
CONTRACTOR_TEST_NAMES=$*
export CONTRACTOR_TEST_SLOW CONTRACTOR_TEST_NAMES
exec "$(dirname "$0")/run.sh"
