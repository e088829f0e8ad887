#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The tests that take too long for every day (suite "slow"), prepared and counted as tests/run.sh
# does it: images of other Debian releases, and each kill 20 times. It takes hours.
set -eu

CONTRACTOR_TEST_SLOW=1
export CONTRACTOR_TEST_SLOW
exec "$(dirname "$0")/run.sh"
